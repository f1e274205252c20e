// The search and the choices above the table. They hold nothing: each says what it asks for, and shows what is asked.
import { button, make, newId, setValue } from "../editor/dom.js";

const SEARCH_AFTER_MS = 120;
const FLIPPED = [["", "all"], ["either", "flipped either way"], ["now passes", "▲ now passes"], ["now fails", "▼ now fails"]];
const OUTCOMES = ["answered", "refused", "cut_off", "empty", "failed", "stopped"];

// `ask` is called with what is to change in what is asked for.
export function filters(data, ask) {
  const controls = [];
  const element = make("div", { class: "wr-filters", role: "search", "aria-label": "Filters of the table" });

  function add(label, control, show) {
    control.id = newId();
    element.append(make("div", { class: "wr-filter" }, make("label", { htmlFor: control.id }, label), control));
    controls.push(show);
  }
  function choice(label, name, options, read = (value) => value || null) {
    const control = make("select", { onchange: () => ask({ [name]: read(control.value) }) }, ...options.map(([value, text]) => make("option", { value }, text)));
    add(label, control, (asked) => (control.value = String(asked[name] ?? "")));
  }
  const numbered = (all, names) => [["", all], ...names.map((name, at) => [String(at), name])];
  const number = (value) => (value === "" ? null : Number(value));

  const search = make("input", { type: "search", placeholder: "task, message or reply", autocomplete: "off", spellcheck: false, dir: "auto" });
  let timer = null;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => ask({ text: search.value }), SEARCH_AFTER_MS);
  });
  add("Search ( / )", search, ({ text }) => document.activeElement === search || setValue(search, text));
  search.parentElement.classList.add("wr-search");

  if (data.variants.length > 1) {
    choice("What flipped", "flipped", FLIPPED);
    choice("Variant", "variant", numbered("all", data.variants), number);
  }
  const tasks = make("input", { type: "text", placeholder: "all", autocomplete: "off", spellcheck: false, dir: "auto" });
  const listed = make("datalist", { id: newId() });
  tasks.setAttribute("list", listed.id);
  element.append(listed);
  tasks.addEventListener("focus", () => listed.childElementCount || listed.append(...data.tasks.map((value) => make("option", { value }))), { once: true });
  tasks.addEventListener("change", () => {
    const task = tasks.value ? data.tasks.indexOf(tasks.value) : null;
    tasks.setAttribute("aria-invalid", String(task === -1));
    if (task !== -1) ask({ task });
  });
  add("Task", tasks, ({ task }) => {
    if (tasks.getAttribute("aria-invalid") !== "true" || task !== null) setValue(tasks, task === null ? "" : data.tasks[task]);
  });
  if (data.promises.length) choice("Promise", "promise", numbered("all together", data.promises), number);
  choice("Score", "scored", [["", "any score"], ["passed", `passed (${data.passing} or more)`], ["failed", "failed"], ["missing", "no score"]]);
  choice("Outcome", "outcome", [["", "any"], ...OUTCOMES.map((value) => [value, value.replace("_", " ")])]);
  const clear = button("Clear", () => {
    clearTimeout(timer);
    search.value = "";
    tasks.setAttribute("aria-invalid", "false");
    ask({ text: "", variant: null, task: null, promise: null, scored: null, outcome: null, flipped: null });
  }, { class: "wr-button", title: "Take all filters away" });
  element.append(clear);

  return {
    element,
    show: (asked) => controls.forEach((show) => show(asked)),
    focus: () => (search.focus(), search.select()),
    destroy: () => clearTimeout(timer),
  };
}

export const isFiltered = ({ text, variant, task, promise, scored, outcome, flipped }) =>
  text !== "" || [variant, task, promise, scored, outcome, flipped].some((value) => value !== null);
