// The page's half of `AgentEditor`. It shows what the kernel says and sends what is typed and clicked.
import styles from "./editor.css";
import { changes } from "./changes.js";
import { conflict, gone, standingView } from "./conflict.js";
import { button, keepFocus, leaveOnEscape, make, setText, whenChanged } from "./dom.js";
import { exampleCards } from "./examples.js";
import { fieldRows } from "./fields.js";
import { Link } from "./link.js";
import { costs, problemList, reading, tabs, unknownKeys } from "./panels.js";
import { Writing } from "./writing.js";

const BUSY = "The kernel is busy. Go on typing: all of it reaches the kernel when that is free.";
const AWAY = "JupyterLab's server does not answer. What the kernel had heard is kept as a draft; what is typed from now on is on this page only until the server answers. Copy it before you leave the page.";

function bringStyles() {
  if (document.querySelector("style[data-workbench-editor]")) return;
  document.head.append(make("style", { "data-workbench-editor": "" }, styles));
}

// One editor of the kernel, for all its views in this page.
export function begin(model) {
  bringStyles();
  const link = new Link(model);
  return { render: (place) => render(link, place) };
}

function render(link, place) {
  const parts = [];
  const part = (made) => (parts.push(made), made);

  const status = make("p", { class: "wb-status", role: "status", "aria-live": "polite" });
  const trouble = make("p", { class: "wb-trouble", role: "status", "aria-live": "polite", hidden: true });
  const offered = part(offer(link));
  const clash = part(conflict(link));
  const missing = part(gone(link));
  const fields = part(fieldRows(link));
  const examples = part(exampleCards(link));
  const unknown = part(unknownKeys());
  const compared = changes(link);
  // A tab: its name for a state of the draft, and what shows that state.
  const panels = part(tabs("About the draft", [
    [({ problems }) => `Problems (${problems.length})`, problemList(link, goTo)],
    [({ is_edited, edited }) => (is_edited ? `Changes (${edited.length || "text"} edited)` : "Changes"), compared],
    [() => "As Claude Code reads it", reading(link)],
    [() => "Cost", costs()],
  ]));

  const promptPlace = make("div", { class: "wb-writing", tabIndex: -1 });
  const rawPlace = make("div", { class: "wb-writing wb-raw", tabIndex: -1 });
  const prompt = new Writing(link, "prompt", "Prompt", { onLeave: () => promptPlace.focus() });
  const raw = new Writing(link, "raw", "Raw file", { onLeave: () => rawPlace.focus() });
  promptPlace.append(prompt.view.dom);
  rawPlace.append(raw.view.dom);
  const [first] = fields.sections;
  first.querySelector(".wb-fields").append(examples.element);
  const form = make("div", { class: "wb-form" },
    make("div", { class: "wb-column" }, ...fields.sections, unknown.element),
    make("div", { class: "wb-column wb-column-prompt" }, make("div", { class: "wb-heading" }, make("b", {}, "Prompt"), keysHint()), promptPlace),
  );
  const rawView = make("div", { class: "wb-column", hidden: true }, make("div", { class: "wb-heading" }, make("b", {}, "Raw file"), keysHint("Ctrl-Z undoes, what the fields did too, ")), rawPlace);

  const bar = part(head(link, (showsRaw) => {
    form.hidden = showsRaw;
    rawView.hidden = !showsRaw;
    (showsRaw ? raw : prompt).view.requestMeasure();
  }));
  const meter = make("p", { class: "wb-meter" });
  const root = make("div", { class: "wb-editor", role: "group", "aria-label": "Agent editor", "data-lm-suppress-shortcuts": "true" },
    bar.element, status, trouble, offered.element, clash.element, missing.element, form, rawView, meter, panels.element);

  // The panels of the same notebook hear it; whether one did anything.
  const tell = (name) =>
    !root.dispatchEvent(new CustomEvent(name, { bubbles: true, cancelable: true, detail: { manager: link.model.widget_manager } }));
  root.addEventListener("keydown", (event) => {
    if (event.isComposing || event.shiftKey || event.altKey) return;
    const isTry = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (!isTry && !(event.key === "Escape" && tell("workbench-stop"))) return;
    event.preventDefault();
    event.stopPropagation();
    if (isTry) link.afterTyped(() => tell("workbench-try"));
  }, true);
  root.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    link.act("save");
  }, true);
  // JupyterLab's cell keys are for whatever has the focus, `dd` on a button too: none leaves the editor.
  root.addEventListener("keydown", (event) => {
    event.stopPropagation();
    leaveOnEscape(event);
  });

  function goTo({ line, column }) {
    const inBody = line >= link.state.body_line;
    if (inBody && !form.hidden) return prompt.goTo(line - link.state.body_line + 1, column);
    bar.pick(true);
    raw.goTo(line, column);
  }

  const mark = whenChanged(({ problems: found, body_line: bodyLine }) => {
    prompt.mark(found, bodyLine);
    raw.mark(found, 1);
  });
  function show(state) {
    for (const made of parts) made.show?.(state);
    setText(status, state.note);
    status.hidden = !state.note;
    status.classList.toggle("wb-fails", state.note_fails);
    setText(meter, state.upkeep.brief);
    mark({ problems: state.problems, body_line: state.body_line });
  }
  function showTrouble(text) {
    trouble.hidden = !text;
    setText(trouble, text);
  }
  let isSlow = false;
  const stop = link.listen((message) => {
    if (message.type === "state") show(message.state);
    else if (message.type === "gone") {
      showTrouble("The kernel is gone. What it had heard is kept as a draft: run the cell again, and it is offered there. What is seen here can still be copied.");
      root.classList.add("wb-gone");
      prompt.freeze();
      raw.freeze();
      for (const control of root.querySelectorAll(":is(input, textarea, select):not(.cm-editor *), .wb-acts button")) control.disabled = true;
    } else if (message.type === "slow" || message.type === "connection") {
      isSlow = message.isSlow ?? isSlow;
      if (!link.isGone) showTrouble(link.isAway ? AWAY : isSlow ? BUSY : "");
    } else {
      examples.hear(message);
      compared.hear(message);
    }
  });
  const flush = () => link.lookNow();
  // What no kernel has heard is on this page alone: the browser asks before it is left.
  const ask = (event) => link.isSettled || event.preventDefault();
  window.addEventListener("beforeunload", ask);
  window.addEventListener("pagehide", flush);
  document.addEventListener("visibilitychange", flush);
  show(link.state);
  place.append(root);
  return () => {
    flush();
    window.removeEventListener("beforeunload", ask);
    window.removeEventListener("pagehide", flush);
    document.removeEventListener("visibilitychange", flush);
    stop();
    compared.destroy();
    prompt.destroy();
    raw.destroy();
  };
}

const keysHint = (undo = "") => make("span", { class: "wb-faint" }, `Ctrl-F finds, ${undo}Ctrl-S saves, Ctrl-Enter tries it, Esc stops or leaves`);

// Who is edited, how the draft stands, and what can be done with it.
function head(link, onPick) {
  const dot = make("span", { class: "wb-dot" });
  const name = make("b", { class: "wb-title", dir: "auto" });
  const path = make("span", { class: "wb-faint wb-path" });
  const standing = make("span", { class: "wb-standing" });
  const views = ["Fields", "Raw file"].map((text, index) => button(text, () => pick(index === 1), { class: "wb-button wb-view" }));
  const revert = button("Revert", () => link.act("revert"), { title: "Throw all edits away" });
  const restore = button("Undo revert", () => link.act("restore"), { title: "Bring the edits back that were thrown away" });
  const save = button("Save", () => link.act("save"), { class: "wb-button wb-primary", title: "Write the edited lines to the file (Ctrl-S)" });
  const pick = (showsRaw) => {
    views.forEach((view, index) => view.setAttribute("aria-pressed", String((index === 1) === showsRaw)));
    onPick(showsRaw);
  };
  pick(false);
  const acts = make("span", { class: "wb-acts" }, restore, revert, save);
  return {
    element: make("div", { class: "wb-head" },
      make("div", { class: "wb-who" }, dot, name, path, standing),
      make("div", { class: "wb-acts" }, make("span", { class: "wb-views", role: "group", "aria-label": "View" }, ...views), acts)),
    pick,
    show: (state) => {
      setText(name, state.title);
      setText(path, state.path);
      setText(standing, state.standing);
      standing.classList.toggle("wb-edited", state.is_edited);
      const paint = link.facts.colors[state.fields.color.text];
      dot.style.background = paint ?? "";
      dot.classList.toggle("wb-dot-none", !paint);
      const unread = Object.values(state.fields).some(({ why }) => why);
      keepFocus(acts, () => {
        save.disabled = revert.disabled = !state.is_edited && !unread;
        restore.hidden = !state.can_restore;
      }, () => (restore.hidden ? views.find(({ ariaPressed }) => ariaPressed === "true") : restore));
    },
  };
}

// A draft that an earlier kernel left.
function offer(link) {
  const says = make("span");
  const element = make("section", { class: "wb-offer", "aria-label": "Kept draft", hidden: true },
    says, button("Take it up", () => link.act("take_up_draft"), { class: "wb-button wb-primary" }), button("Remove it", () => link.act("drop_draft")));
  return {
    element,
    show: ({ offered }) => {
      keepFocus(element, () => (element.hidden = !offered), () => standingView(element));
      if (offered) setText(says, `A draft of this agent, last typed at ${offered.at} UTC, was never saved.`);
    },
  };
}
