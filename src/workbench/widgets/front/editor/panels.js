// What is found, how it is read, what it costs: tables of texts below the form.
import { button, keepFocus, make, newId, setText, whenChanged } from "./dom.js";

const rowsOf = (rows) => rows.map(([head, ...cells]) =>
  make("tr", {}, make("th", { scope: "row" }, head), ...cells.map((cell) => make("td", { dir: "auto" }, cell))));

export function problemList(link, goTo) {
  const element = make("ul", { class: "wb-problems" });
  const none = make("p", { class: "wb-faint" }, "No problems found.");
  const show = whenChanged((problems) => {
    const place = [...element.children].findIndex((row) => row.contains(document.activeElement));
    const nearest = () => [...element.children].slice(0, place + 1).at(-1)?.querySelector("button") ?? element.closest("[role=tabpanel]");
    none.hidden = problems.length > 0;
    keepFocus(element, () => element.replaceChildren(
      ...problems.map((problem) => {
        const { mend, changes, ...given } = problem;
        const place = `${problem.line}:${problem.column}`;
        return make("li", { class: `wb-problem wb-${problem.severity}` },
          make("b", { class: "wb-severity" }, problem.severity),
          button(place, () => goTo(problem), { class: "wb-button wb-place", "aria-label": `Go to line ${problem.line}, column ${problem.column}`, title: "Go to the place" }),
          make("span", { class: "wb-finding" },
            problem.field ? make("code", {}, problem.field) : null, problem.field ? " " : null, problem.message,
            problem.fix ? make("span", { class: "wb-faint" }, ` ${problem.fix}`) : null,
            changes ? make("span", { class: "wb-otherwise" }, ` ${changes}`) : null),
          mend ? button(changes ? "Change" : "Mend", () => link.act("mend", { ...given, accepting: changes }), {
            title: changes ? `Not a safe mend. ${changes}` : "Set it right; nothing is read otherwise",
          }) : null,
        );
      }),
    ), nearest);
  });
  return { element: make("div", {}, none, element), show: (state) => show(state.problems) };
}

export function reading(link) {
  const body = make("tbody");
  const show = whenChanged((rows) => body.replaceChildren(...rowsOf(rows)));
  const table = make("table", { class: "wb-table" }, make("caption", { class: "wb-hidden" }, "As Claude Code reads it"), body);
  return {
    element: make("div", {}, make("p", { class: "wb-says" }, `Measured with ${link.facts.product}.`), table),
    show: (state) => show(state.reading),
  };
}

export function costs() {
  const body = make("tbody");
  const assumed = make("p", { class: "wb-says" });
  const heads = ["text", "length", "cost", "priced as"].map((head) => make("th", { scope: "col" }, head));
  const table = make("table", { class: "wb-table" }, make("caption", { class: "wb-hidden" }, "Tokens and cost a day"), make("thead", {}, make("tr", {}, ...heads)), body);
  const show = whenChanged(({ rows, assumption }) => {
    body.replaceChildren(...rowsOf(rows));
    setText(assumed, assumption);
  });
  return { element: make("div", {}, table, assumed), show: (state) => show(state.upkeep) };
}

export function unknownKeys() {
  const list = make("ul", { class: "wb-unknown" });
  const element = make("details", { class: "wb-group" },
    make("summary", {}, make("b", {}, "Other keys"), make("span", { class: "wb-faint" }, "kept in the file; Claude Code does not read them")),
    list);
  const show = whenChanged((unknown) => {
    element.hidden = unknown.length === 0;
    list.replaceChildren(...unknown.map(({ text }) => make("li", {}, make("pre", { class: "wb-pre" }, text))));
  });
  return { element, show: (state) => show(state.unknown) };
}

// Tabs as the ARIA practices have them: arrows move between them, Tab goes on into the panel.
export function tabs(label, panels) {
  const list = make("div", { class: "wb-tabs", role: "tablist", "aria-label": label });
  const bodies = [];
  const heads = panels.map(([, { element, onShow }], index) => {
    const id = newId();
    const head = make("button", { type: "button", role: "tab", id: `${id}-tab`, "aria-controls": id, class: "wb-tab" });
    const body = make("div", { role: "tabpanel", id, "aria-labelledby": head.id, class: "wb-panel", tabIndex: 0 }, element);
    head.addEventListener("click", () => pick(index));
    bodies.push({ body, onShow });
    return head;
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = (heads.indexOf(document.activeElement) + step + heads.length) % heads.length;
    pick(next);
    heads[next].focus();
  });
  function pick(chosen) {
    heads.forEach((head, index) => {
      const isChosen = index === chosen;
      head.setAttribute("aria-selected", String(isChosen));
      head.tabIndex = isChosen ? 0 : -1;
      bodies[index].body.hidden = !isChosen;
      bodies[index].onShow?.(isChosen);
    });
  }
  list.append(...heads);
  pick(0);
  return {
    element: make("div", {}, list, ...bodies.map(({ body }) => body)),
    show: (state) => panels.forEach(([name, panel], index) => {
      setText(heads[index], name(state));
      panel.show?.(state);
    }),
  };
}
