// The two editors, of the prompt and of the raw file: CodeMirror, set up for writing Markdown below a header.
import { closeBrackets } from "@codemirror/autocomplete";
import { collab, getClientID, getSyncedVersion, receiveUpdates, sendableUpdates } from "@codemirror/collab";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { markdown, markdownKeymap, markdownLanguage } from "@codemirror/lang-markdown";
import { yamlFrontmatter } from "@codemirror/lang-yaml";
import {
  bracketMatching, codeFolding, foldGutter, foldKeymap, HighlightStyle, syntaxHighlighting,
} from "@codemirror/language";
import { forEachDiagnostic, lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, RangeSetBuilder, Transaction } from "@codemirror/state";
import {
  Decoration, drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap,
  lineNumbers, ViewPlugin,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";

const KERNEL = "kernel"; // in place of a view, where it made a change
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;
const rightToLeftLine = Decoration.line({ attributes: { dir: "auto" } });

const colours = HighlightStyle.define([
  { tag: tags.heading, color: "var(--wb-heading)", fontWeight: "600" },
  { tag: tags.strong, fontWeight: "700" },
  { tag: tags.emphasis, fontStyle: "italic" },
  { tag: tags.strikethrough, textDecoration: "line-through" },
  { tag: tags.monospace, color: "var(--wb-code)" },
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--wb-key)", fontWeight: "600" },
  { tag: [tags.link, tags.url], color: "var(--wb-link)" },
  { tag: [tags.meta, tags.processingInstruction, tags.contentSeparator, tags.comment], color: "var(--wb-faint)" },
]);

// Lines with right-to-left script find their own direction; for all lines it would cost too much.
const lineDirections = ViewPlugin.fromClass(
  class {
    constructor(view) {
      this.decorations = directions(view);
    }
    update(update) {
      if (update.docChanged || update.viewportChanged) this.decorations = directions(update.view);
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

function directions(view) {
  const found = new RangeSetBuilder();
  for (const { from, to } of view.visibleRanges) {
    for (let at = from; at <= to; ) {
      const line = view.state.doc.lineAt(at);
      if (RIGHT_TO_LEFT.test(line.text)) found.add(line.from, line.from, rightToLeftLine);
      at = line.to + 1;
    }
  }
  return found.finish();
}

const language = {
  prompt: () => markdown({ base: markdownLanguage, pasteURLAsLink: false, completeHTMLTags: false }),
  raw: () => yamlFrontmatter({ content: language.prompt() }),
};

export const look = (name, label) => [
  lineNumbers(),
  highlightSpecialChars(),
  language[name](),
  syntaxHighlighting(colours),
  EditorView.lineWrapping,
  EditorView.perLineTextDirection.of(true),
  lineDirections,
  // What scrolls is reached by the keyboard through the text in it, also where that cannot be edited.
  EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "true", tabindex: "0" }),
];

function marksOf(state) {
  const marks = [];
  forEachDiagnostic(state, ({ severity, message }, from, to) => marks.push({ from, to, severity, message }));
  return marks;
}

function sameMarks(some, others) {
  const written = (marks) => marks.map(({ from, to, severity, message }) => JSON.stringify([from, to, severity, message])).sort().join();
  return some.length === others.length && written(some) === written(others);
}

// One text in one view of the page, kept the same as the kernel's.
export class Writing {
  constructor(link, name, label, { onLeave }) {
    this.link = link;
    this.name = name;
    this.onItsWay = 0; // how many changes
    this.left = null;
    this.isFrozen = new Compartment();
    this.hasErrors = false;
    this.extensions = [
      this.isFrozen.of([]),
      look(name, label),
      EditorView.contentAttributes.of(() => ({ "aria-invalid": String(this.hasErrors) })),
      codeFolding(),
      foldGutter({ openText: "▾", closedText: "▸" }),
      lintGutter(),
      history(),
      drawSelection(),
      bracketMatching(),
      closeBrackets(),
      highlightActiveLine(),
      highlightActiveLineGutter(),
      highlightSelectionMatches(),
      search({ top: true }),
      keymap.of([
        ...searchKeymap,
        { key: "Escape", run: () => (onLeave(), true) }, // after the search, which Escape closes first
        ...markdownKeymap, ...defaultKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap,
      ]),
      EditorView.updateListener.of((update) => this.note(update)),
      EditorView.domEventHandlers({ blur: () => link.lookNow() }),
    ];
    this.view = new EditorView({ state: this.begin() });
    this.stop = link.listen((message) => this.hear(message));
    link.writers.add(this);
  }

  begin() {
    const { doc, version } = this.link.texts[this.name];
    const client = Math.random().toString(36).slice(2);
    return EditorState.create({ doc, extensions: [collab({ startVersion: version, clientID: client }), this.extensions] });
  }

  // What is in the view, or was in it when that was closed.
  get state() {
    return this.left ?? this.view.state;
  }

  get isSettled() {
    return sendableUpdates(this.state).length === 0;
  }

  note(update) {
    if (!update.docChanged || this.isSettled) return;
    this.link.lookSoon();
    this.link.watch();
    setTimeout(() => this.push()); // CodeMirror is in the midst of an update, in which its state is not to be read
  }

  push() {
    if (!this.onItsWay) this.sendFrom(0);
  }

  // Sends what was typed after the first `count` changes, which are on their way already.
  sendFrom(count) {
    const updates = sendableUpdates(this.state).slice(count);
    if (!updates.length) return;
    this.onItsWay = count + updates.length;
    this.link.send({
      type: "push",
      text: this.name,
      version: getSyncedVersion(this.state) + count,
      client: getClientID(this.state),
      updates: updates.map(({ changes }) => changes.toJSON()),
    });
  }

  hear(message) {
    if (message.text !== this.name) return;
    if (message.type === "updates") {
      // Also an empty list is an answer: what was sent was made on an old version, and goes again over what came.
      if (message.updates.length) {
        const received = receiveUpdates(this.state, message.updates);
        const isOfKernel = message.updates.every(({ clientID }) => clientID === KERNEL);
        this.apply(isOfKernel ? this.undoable(received) : received);
      }
      this.onItsWay = 0;
      this.push();
    } else if (message.type === "reset") this.takeReset();
    if (this.left && this.isSettled) this.end();
  }

  // What a control, a button or the other of the two editors changed can be undone here too. What was typed into this
  // text in another view cannot: it is undone there.
  undoable({ changes, effects, annotations }) {
    const kept = annotations.filter(({ type }) => type !== Transaction.addToHistory && type !== Transaction.time);
    return this.state.update({ changes, effects, annotations: kept, filter: false });
  }

  apply(transaction) {
    if (this.left) this.left = transaction.state;
    else this.view.dispatch(transaction);
  }

  // The kernel forgot what was changed since this view last heard of it: its text, then what was typed here, on top.
  takeReset() {
    const mine = this.isSettled ? null : this.state.doc;
    this.onItsWay = 0;
    if (this.left) this.left = this.begin();
    else this.view.setState(this.begin());
    if (mine) this.apply(this.state.update({ changes: { from: 0, to: this.state.doc.length, insert: mine } }));
    this.push();
  }

  // For good: there is no kernel any more that could take what is typed.
  freeze() {
    this.view.dispatch({ effects: this.isFrozen.reconfigure(EditorState.readOnly.of(true)) });
  }

  place(line, column) {
    const { doc } = this.view.state;
    const found = doc.line(Math.max(1, Math.min(line, doc.lines)));
    return Math.min(found.to, found.from + [...found.text].slice(0, column - 1).join("").length);
  }

  goTo(line, column) {
    const at = this.place(line, column);
    this.view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
    this.view.focus();
  }

  // Marks the problems, whose lines are those of the file, in a text that begins at a line of it.
  mark(problems, firstLine) {
    const severities = { error: "error", warning: "warning", note: "info" };
    const marks = problems
      .filter(({ line }) => line >= firstLine)
      .map(({ line, column, severity, message }) => {
        const from = this.place(line - firstLine + 1, column);
        return { from, to: this.view.state.doc.lineAt(from).to, severity: severities[severity], message };
      });
    // Only where they differ: an update puts the editor's selection into the page, over one that was just made there.
    if (sameMarks(marks, marksOf(this.view.state))) return;
    this.hasErrors = marks.some(({ severity }) => severity === "error");
    this.view.dispatch(setDiagnostics(this.view.state, marks));
  }

  // The view is closed; what was typed into it goes on to the kernel.
  destroy() {
    this.sendFrom(this.onItsWay); // nobody types any more: no reason to wait for the answer to what is on its way
    this.left = this.view.state;
    this.view.destroy();
    if (this.isSettled || this.link.isGone) this.end();
  }

  end() {
    this.link.writers.delete(this);
    this.stop();
  }
}
