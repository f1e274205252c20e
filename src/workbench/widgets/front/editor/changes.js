// What the draft changes, word by word, against the file, git's HEAD or any version that was ever tried.
import { getChunks, unifiedMergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { button, make, newId, setText } from "./dom.js";
import { look } from "./writing.js";

const REDRAW_AFTER_MS = 250;
const ABOVE_FIRST_CHANGE_PX = 60;

export function changes(link) {
  const id = newId();
  const fixed = [["disk", "the file as it was last read"], ["git", "the last commit (git HEAD)"]];
  const against = make("select", { id }, ...fixed.map(([value, text]) => make("option", { value }, text)));
  const tried = make("optgroup", { label: "Versions that were tried" });
  const says = make("p", { class: "wb-faint", role: "status" });
  const place = make("div", { class: "wb-changes" });
  const element = make("div", {},
    make("div", { class: "wb-acts" }, make("label", { htmlFor: id }, "Compare the draft with"), against,
      button("Look again", () => ask(), { title: "Read that version anew" })),
    says, place);
  let original = null;
  let view = null;
  let isShown = false;
  let timer = null;

  let isNew = false; // what is compared: the first change comes into sight; else one stays where one looks

  const ask = () => link.act("compare", { against: against.value });
  against.addEventListener("change", ask);

  function draw() {
    clearTimeout(timer);
    const top = isNew ? null : view?.scrollDOM.scrollTop;
    isNew = false;
    view?.destroy();
    view = null;
    if (!isShown || original === null) return;
    const { doc } = link.texts.raw;
    const isSame = doc.toString() === original;
    setText(says, isSame ? "The draft is the same." : "");
    if (isSame) return;
    view = new EditorView({
      parent: place,
      state: EditorState.create({ doc, extensions: [
        look("raw", "Changes of the draft"),
        EditorState.readOnly.of(true),
        unifiedMergeView({ original, mergeControls: false, gutter: true, collapseUnchanged: { margin: 2, minSize: 6 } }),
      ] }),
    });
    view.requestMeasure({
      read: ({ state, documentTop, scrollDOM }) => {
        const first = getChunks(state)?.chunks[0]?.fromB ?? 0;
        const line = view.lineBlockAt(Math.min(first, state.doc.length));
        return top ?? Math.max(0, line.top + documentTop - scrollDOM.getBoundingClientRect().top - ABOVE_FIRST_CHANGE_PX);
      },
      write: (place, { scrollDOM }) => (scrollDOM.scrollTop = place),
    });
  }

  function hear(message) {
    if (message.type === "compared" && message.against === against.value) {
      original = message.text;
      isNew = true;
      setText(says, message.says);
      draw();
    } else if (message.type === "versions") {
      tried.replaceChildren(...message.items.map(({ name, says: text }) => make("option", { value: name }, text)));
      if (message.items.length) against.append(tried);
      else tried.remove();
      if (message.says) setText(says, message.says);
    } else if (isShown && (message.type === "updates" || message.type === "reset")) {
      clearTimeout(timer);
      timer = setTimeout(draw, REDRAW_AFTER_MS);
    }
  }

  let saved = null;
  return {
    element,
    hear,
    onShow: (now) => {
      if (now === isShown) return;
      isShown = now;
      if (now) link.act("versions");
      if (now) ask();
      else draw();
    },
    // What was edited became what is saved, or the other way round: the file is not the one that was compared.
    show: (state) => {
      if (isShown && saved !== null && saved !== state.is_edited && against.value === "disk") ask();
      saved = state.is_edited;
    },
    destroy: () => (clearTimeout(timer), view?.destroy()),
  };
}
