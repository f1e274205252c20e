// One trial in full.
import { button, make } from "../editor/dom.js";
import { copyButton } from "./link.js";

const BLOCK = 8_000; // characters that are laid out together

// A text of any length: its blocks are laid out only when they come in sight, so that the page never stands still.
export function longText(label) {
  const element = make("div", { class: "wr-text", role: "region", "aria-label": label, tabIndex: 0, dir: "auto" });
  const append = (text) => {
    for (let start = 0; start < text.length; ) {
      let piece = text.slice(start, start + BLOCK);
      if (start + BLOCK < text.length) {
        const line = piece.lastIndexOf("\n") + 1;
        if (line > 0) piece = piece.slice(0, line);
        else if (/[\uD800-\uDBFF]$/.test(piece)) piece = piece.slice(0, -1);
      }
      start += piece.length;
      element.append(make("div", { class: "wr-block", dir: "auto" }, piece));
    }
  };
  return { element, append };
}

const table = (caption, heads, rows) => make("table", { class: "wr-small" },
  make("caption", {}, caption),
  ...(heads.length ? [make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head))))] : []),
  make("tbody", {}, ...rows.map(([first, ...cells]) => make("tr", {}, make("th", { scope: "row", dir: "auto" }, first), ...cells.map((cell) => make("td", { dir: "auto" }, cell))))));

export const scoresTable = (heads, rows) => table("Scores", heads, rows);

// `on` has ask(message), link(key), whole(row), close(), step(by) and compare(row).
export function trialView(trial, on) {
  const title = make("h3", { tabIndex: -1, dir: "auto" }, `${trial.task} · ${trial.variant} · repeat ${trial.repeat}`);
  const reply = longText("Reply");
  const more = make("p", { class: "wr-more", hidden: true });
  reply.append(trial.text);
  if (trial.length > trial.first) {
    const all = button(`Show all ${trial.length.toLocaleString("en")} characters`, () => {
      all.disabled = true;
      all.textContent = "Fetching …";
      on.ask({ type: "rest", row: trial.row, start: trial.first });
    }, { class: "wr-button" });
    more.hidden = false;
    more.append(`The first ${trial.first.toLocaleString("en")} characters are shown. `, all);
  }
  const facts = make("dl", { class: "wr-facts" }, ...trial.facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", { dir: "auto" }, value)]));
  const asked = make("details", {}, make("summary", {}, "What was asked"), make("div", { class: "wr-text wr-asked", role: "region", "aria-label": "What was asked", tabIndex: 0, dir: "auto" }, trial.asked));
  const target = trial.target ? make("details", {}, make("summary", {}, "Target"), make("div", { class: "wr-text wr-asked", role: "region", "aria-label": "Target", tabIndex: 0, dir: "auto" }, trial.target)) : null;
  const side = make("div", { class: "wr-side" },
    trial.scores.length ? scoresTable(["Promise", "Points", "Why"], trial.scores) : null,
    facts, asked, target);
  const element = make("section", { class: "wr-trial", "aria-label": "Trial" },
    make("div", { class: "wr-bar" },
      make("div", { class: "wr-titles" }, title, make("p", {}, `${trial.outcome}, ${trial.score}`)),
      make("div", { class: "wr-acts" },
        button("‹ Previous", () => on.step(-1), { class: "wr-button", "aria-label": "Previous trial" }),
        button("Next ›", () => on.step(1), { class: "wr-button", "aria-label": "Next trial" }),
        trial.counterpart === null ? null : button("Compare with the other variant", () => on.compare(trial.counterpart), { class: "wr-button", title: "The same task and repeat, word by word" }),
        copyButton("Copy link to this trial", () => on.link(trial.key)),
        trial.has_reply ? copyButton("Copy reply", () => on.whole(trial.row)) : null,
        button("Close", () => on.close(), { class: "wr-button", title: "Esc" }))),
    trial.failure ? make("p", { class: "wr-trouble", dir: "auto" }, trial.failure) : null,
    make("div", { class: "wr-columns" },
      make("div", { class: "wr-main" }, trial.has_reply ? reply.element : make("p", { class: "wr-faint" }, "There is no reply."), more), side));
  return {
    element,
    focus: () => title.focus({ preventScroll: true }),
    rest: (text) => {
      reply.append(text);
      more.hidden = true;
      reply.element.focus({ preventScroll: true });
    },
  };
}
