// Two replies side by side: how they were scored, what differs in the personas, and what differs in the replies.
import { button, make } from "../editor/dom.js";
import { scoresTable } from "./trial.js";

const SIGNS = { equal: "  ", added: "+ ", removed: "− " };
const TAGS = { added: "ins", removed: "del" };
const SAID = { added: "added", removed: "removed" };

const changed = (kind, text, sign) => make(TAGS[kind], { class: `wr-${kind}` }, sign ? make("span", { class: "wr-sign" }, kind === "added" ? "+" : "−") : null, text);
const fold = (text) => make("i", { class: "wr-fold" }, `(${text})`);

function lineOf([kind, parts]) {
  if (kind === "fold") return make("div", { class: "wr-line" }, fold(parts[0][0]));
  const shown = parts.map(([text, isMarked]) => (isMarked ? changed(kind, text, false) : text));
  return make("div", { class: `wr-line wr-line-${kind}`, dir: "auto" }, make("span", { class: "wr-sign", ...(SAID[kind] ? { "aria-label": SAID[kind], role: "img" } : {}) }, SIGNS[kind]), ...shown);
}

const wordOf = ([kind, text]) => (kind === "fold" ? fold(text) : kind === "equal" ? text : changed(kind, text, true));

export function pairView(pair, on) {
  const title = make("h3", { tabIndex: -1, dir: "auto" }, pair.title);
  const column = (heading, label, children) => make("div", { class: "wr-half" },
    make("h4", {}, heading), make("div", { class: "wr-text wr-diff", role: "region", "aria-label": label, tabIndex: 0, dir: "auto" }, ...children));
  const element = make("section", { class: "wr-pair", "aria-label": "Two replies compared" },
    make("div", { class: "wr-bar" }, make("div", { class: "wr-titles" }, title),
      make("div", { class: "wr-acts" }, button("Close", () => on.close(), { class: "wr-button", title: "Esc" }))),
    scoresTable(pair.heads, pair.scores),
    make("div", { class: "wr-columns wr-even" },
      column(pair.persona.title, "Persona diff", pair.persona.lines.map(lineOf)),
      column(pair.reply.title, "Word diff of the replies", pair.reply.words.map(wordOf))));
  return { element, focus: () => title.focus({ preventScroll: true }) };
}
