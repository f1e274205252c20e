// The `<example>` blocks of the description as cards.
import { button, copyText, grow, keepFocus, make, newId, setText, setValue } from "./dom.js";

const PARTS = [
  ["context", "Context", "what is going on"],
  ["user", "User", "what the user says"],
  ["assistant", "Assistant", "how it hands the work over"],
  ["commentary", "Commentary", "why this agent"],
];

export function exampleCards(link) {
  const cards = make("ol", { class: "wb-cards" });
  const count = make("span", { class: "wb-faint" });
  const tasks = make("pre", { class: "wb-pre", tabIndex: 0, hidden: true, "aria-label": "The examples as tasks" });
  const copy = button("Copy", () => copyText(tasks, (words) => setText(copy, words)), { "aria-label": "Copy the examples as tasks" });
  const said = make("div", { class: "wb-acts wb-says", hidden: true },
    make("span", {}, "In a cell: ", make("code", {}, "editor.tasks()"), ". As a task file:"), copy);
  const add = button("Add an example", () => ((focusNew = true), set([...examples, blank()])));
  const element = make("details", { class: "wb-examples" },
    make("summary", {}, "Examples in the description ", count),
    cards,
    make("div", { class: "wb-acts" },
      add,
      button("As tasks", () => link.act("tasks")),
    ),
    said, tasks,
  );
  const blank = () => ({ context: "", user: "", assistant: "", commentary: "", source: "" });
  let examples = [];
  let focusNew = false;
  const set = (next) => {
    examples = next;
    keepFocus(cards, draw, () => drawn.at(-1)?.remove ?? add);
    // A card that says nothing is no block yet: it waits here until something is typed.
    const told = next.filter((example) => PARTS.some(([part]) => example[part].trim()));
    link.setControl("examples", { type: "examples", examples: told });
  };
  const move = (from, to) => {
    const next = [...examples];
    next.splice(to, 0, ...next.splice(from, 1));
    set(next);
    const { up, down } = drawn[to]; // the card that moves keeps the focus, so that it can go on
    const [same, other] = to < from ? [up, down] : [down, up];
    (same.disabled ? other : same).focus();
  };
  const drawn = [];

  function card(index) {
    const fields = {};
    const id = newId();
    const parts = PARTS.map(([part, label, hint]) => {
      const area = make("textarea", { id: `${id}-${part}`, rows: 1, dir: "auto", placeholder: hint });
      area.addEventListener("input", () => {
        grow(area);
        set(examples.map((example, place) => (place === index ? { ...example, [part]: area.value } : example)));
      });
      fields[part] = area;
      return [make("label", { htmlFor: area.id }, label), area];
    });
    const named = (text, act, what) => button(text, act, { class: "wb-button wb-icon", "aria-label": `${what} example ${index + 1}`, title: what });
    const up = named("↑", () => move(index, index - 1), "Move up");
    const down = named("↓", () => move(index, index + 1), "Move down");
    const remove = named("×", () => set(examples.filter((_, place) => place !== index)), "Remove");
    const element = make("li", { class: "wb-card" },
      make("div", { class: "wb-card-head" }, make("b", {}, `Example ${index + 1}`), up, down, remove),
      ...parts.flat(),
    );
    return { element, up, down, remove, show: (example) => {
      for (const [part] of PARTS) if (setValue(fields[part], example[part])) grow(fields[part]);
      up.disabled = index === 0;
      down.disabled = index === examples.length - 1;
    }, fields };
  }

  function draw() {
    while (drawn.length > examples.length) drawn.pop().element.remove();
    while (drawn.length < examples.length) {
      drawn.push(card(drawn.length));
      cards.append(drawn.at(-1).element);
    }
    examples.forEach((example, index) => drawn[index].show(example));
    setText(count, String(examples.length));
    if (focusNew && drawn.length) drawn.at(-1).fields.context.focus();
    focusNew = false;
  }

  element.addEventListener("toggle", () => drawn.forEach(({ fields }) => Object.values(fields).forEach(grow)));
  return {
    element,
    show: (state) => {
      if (!link.isHeard("examples")) return;
      const waiting = examples.filter((example) => PARTS.every(([part]) => !example[part].trim()));
      // Blanks at the edges are typed before the word that follows them, and the kernel leaves them out.
      const isSame = (one, other) => PARTS.every(([part]) => one?.[part].trim() === other[part].trim());
      const shown = examples;
      examples = [...state.examples.map((one, index) => (isSame(shown[index], one) ? { ...shown[index], source: one.source } : one)), ...waiting];
      draw();
    },
    hear: (message) => {
      if (message.type !== "tasks") return;
      said.hidden = tasks.hidden = false;
      copy.hidden = !message.text;
      setText(copy, "Copy");
      setText(tasks, message.text || "No example has a turn of the user yet.");
    },
  };
}
