// The page's half of `ResultsTable`. It shows the rows that the kernel finds, and says what is clicked.
import { button, leaveOnEscape, make, newId, setText } from "../editor/dom.js";
import { filters, isFiltered } from "./filters.js";
import { cellText, grid } from "./grid.js";
import { copyButton, linkedKey, linkTo, setFollowed } from "./link.js";
import { pairView } from "./pair.js";
import { trialView } from "./trial.js";

const BUSY_AFTER_MS = 1000;
const TABS = [["variants", "Variants"], ["tasks", "Tasks"], ["trials", "Trials"]];

// Called once for each table, however many views it has: what it holds is read once.
export default () => {
  let data = null;
  return {
    initialize: ({ model }) => {
      data = JSON.parse(new TextDecoder().decode(model.get("data")));
      for (const columns of Object.values(data.columns)) columns.forEach((column, number) => (column.number = number));
    },
    render: ({ model, el }) => render(model, el, data),
  };
};

function orderOf(model) {
  const { buffer, byteOffset, byteLength } = model.get("order");
  return new Int32Array(buffer.slice(byteOffset, byteOffset + byteLength));
}

function render(model, el, data) {
  const asked = () => model.get("asked");
  const ids = newId();
  let isGone = false;
  let of = null; // the table that is drawn
  let answered = null; // the number of the answer that is drawn
  let sorts = {}; // by table, what it was sorted by when it was left
  let left = null; // the table from which one went on to the trials of a row, and its filter there
  let wantsFocus = false; // what comes next was asked for here
  let wantsWhole = null;
  let trial = null;
  let pair = null;
  let busy = null;

  const send = (message) => isGone || model.send(message);
  function set(changes) {
    if (isGone) return;
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  }
  function ask(changes) {
    set({ asked: { ...asked(), ...changes, number: asked().number + 1 } });
    choices.show(asked());
    watch();
  }
  function openTab(name) {
    openTable(name, left?.of === name ? left.filter : {});
    left = null;
  }
  function openTable(name, changes = {}) {
    sorts[asked().of] = { sort: asked().sort, descending: asked().descending };
    ask({ of: name, sort: null, descending: false, ...sorts[name], ...changes });
  }
  const openTrial = (at) => {
    wantsFocus = true;
    if (trial?.row === at) arrive(trial);
    else set({ opened: at });
  };
  const compare = (rows) => {
    wantsFocus = true;
    send({ type: "pair", rows });
  };

  const table = grid("Results", {
    open: (at) => {
      if (of === "trials") return openTrial(at);
      const name = of === "tasks" ? "task" : "variant";
      left = { of, filter: { [name]: asked()[name] } };
      openTable("trials", { [name]: at });
    },
    sort: (column) => {
      const { sort, descending } = asked();
      if (sort !== column) ask({ sort: column, descending: false });
      else ask(descending ? { sort: null, descending: false } : { descending: true });
    },
    mark: (at) => {
      const marked = model.get("marked");
      set({ marked: marked.includes(at) ? marked.filter((other) => other !== at) : [...marked, at].slice(-2) });
    },
  });
  const choices = filters(data, ask);
  const status = make("p", { class: "wr-status", role: "status", "aria-live": "polite" });
  const keys = make("span", { class: "wr-faint wr-keys" });
  const trouble = make("p", { class: "wr-trouble", role: "status", "aria-live": "polite", hidden: true });
  const marks = make("div", { class: "wr-marks", hidden: true });
  const trialPlace = make("div", {});
  const pairPlace = make("div", {});

  const heads = TABS.map(([name, label]) => {
    const head = make("button", { type: "button", role: "tab", id: `${ids}-${name}`, "aria-controls": `${ids}-panel`, class: "wr-tab", onclick: () => openTab(name) },
      `${label} (${data.counts[name].toLocaleString("en")})`);
    head.dataset.of = name;
    return head;
  });
  const tabs = make("div", { class: "wr-tabs", role: "tablist", "aria-label": "One row for each" }, ...heads);
  tabs.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = heads[(heads.indexOf(document.activeElement) + step + heads.length) % heads.length];
    next.focus();
    next.click();
  });
  const panel = make("div", { class: "wr-panel", role: "tabpanel", id: `${ids}-panel` }, choices.element,
    make("div", { class: "wr-bar" }, status, keys, copyButton("Copy as code", () => model.get("says"), { title: "The call that shows these rows" })),
    table.element);
  const root = make("div", { class: "wr-table tex2jax_ignore mathjax_ignore", role: "group", "aria-label": "Results table", "data-lm-suppress-shortcuts": "true" },
    make("p", { class: "wr-size" }, data.size),
    data.stand_in ? make("p", { class: "wr-standin" }, data.stand_in) : null,
    trouble, tabs, panel, marks, trialPlace, pairPlace);

  root.addEventListener("keydown", (event) => {
    // JupyterLab's cell keys are for whatever has the focus: none leaves the table.
    event.stopPropagation();
    const isTyping = event.target.matches("input:not([type=checkbox]), textarea, select");
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      choices.focus();
    } else if (event.key === "Escape") {
      if (isTyping) {
        if (!event.target.value || event.target.matches("select")) table.goTo(-1);
      } else if (pair && !trialPlace.contains(event.target)) closePair();
      else if (trial) closeTrial();
      else leaveOnEscape(event);
    }
  });

  function draw() {
    const now = asked();
    if (model.get("answered") !== now.number) return watch();
    watch();
    if (answered === now.number) return;
    if (of !== now.of) {
      of = now.of;
      table.show(data.columns[of], { isMarking: of === "trials" });
      for (const head of heads) {
        const isShown = head.dataset.of === of;
        head.setAttribute("aria-selected", String(isShown));
        head.tabIndex = isShown ? 0 : -1;
        if (isShown) panel.setAttribute("aria-labelledby", head.id);
      }
    } else if (answered !== null) table.toTop();
    answered = now.number;
    choices.show(now);
    const order = orderOf(model);
    table.pick(now.promise);
    table.fill(order, { column: now.sort, descending: now.descending },
      isFiltered(now) ? "None is left. Clear takes the filters away." : "There is none.");
    const count = order.length.toLocaleString("en");
    const all = data.counts[of].toLocaleString("en");
    const what = `${isFiltered(now) ? `${count} of ${all}` : all} ${of}`;
    const by = now.sort === null ? "" : `, by ${data.columns[of][now.sort].heading}, ${now.descending ? "descending" : "ascending"}`;
    const hint = of === "trials" ? "Enter opens, Space marks two to compare" : "Enter shows the trials of a row";
    setText(status, `${what}${by}.`);
    setText(keys, hint);
  }

  // Says so when the kernel has not answered for a while.
  function watch() {
    const isWaiting = model.get("answered") !== asked().number;
    if (!isWaiting) {
      clearTimeout(busy);
      busy = null;
      if (!isGone) showTrouble("");
    } else busy ??= setTimeout(() => isGone || showTrouble("The kernel is busy: the table changes when it is free."), BUSY_AFTER_MS);
  }
  function showTrouble(text) {
    trouble.hidden = !text;
    setText(trouble, text);
  }

  const askForTrial = () => send({ type: "trial", row: model.get("opened") });
  function drawOpened() {
    const opened = model.get("opened");
    table.open(opened);
    if (opened === null) {
      trialPlace.replaceChildren();
      trial = null;
    } else if (trial?.row !== opened) askForTrial();
  }
  function closeTrial() {
    const before = model.get("opened");
    set({ opened: null });
    table.goTo(before);
  }
  function closePair() {
    pairPlace.replaceChildren();
    pair = null;
    const [marked] = model.get("marked").slice(-1);
    table.goTo(marked);
  }
  function drawMarks() {
    const marked = model.get("marked");
    table.mark(marked);
    if (pair && String(pair.marked) !== String(marked)) {
      pairPlace.replaceChildren();
      pair = null;
    }
    marks.hidden = marked.length === 0;
    const [task, variant, repeat] = ["task", "variant", "repeat"].map((name) => data.columns.trials.find((column) => column.name === name));
    const names = marked.map((at) => make("bdi", {}, `${cellText(task, at)} · ${cellText(variant, at)} · ${cellText(repeat, at)}`));
    const says = make("span", { class: "wr-marked" }, "Marked: ", ...names.flatMap((name, index) => (index ? [" and ", name] : [name])), marked.length === 1 ? " (mark another one)" : "");
    marks.replaceChildren(says, button("Compare", () => compare(marked), { class: "wr-button wr-primary", disabled: marked.length < 2 }),
      button("Unmark", () => set({ marked: [] }), { class: "wr-button" }));
  }

  function hear(message) {
    if (message.type === "trial" && message.row === model.get("opened") && message.row !== trial?.row) {
      const view = trialView(message, {
        ask: send,
        link: (key) => linkTo(model, key),
        close: closeTrial,
        compare: (other) => compare([message.row, other]),
        step: (by) => {
          const next = table.neighbour(message.row, by);
          if (next !== undefined) openTrial(next);
        },
        whole: (at) => new Promise((resolve) => {
          wantsWhole = resolve;
          send({ type: "copy", row: at });
        }),
      });
      trial = { ...view, row: message.row };
      trialPlace.replaceChildren(view.element);
      arrive(view);
    } else if (message.type === "rest" && message.row === trial?.row) trial.rest(message.text);
    else if (message.type === "copy") wantsWhole?.(message.text);
    else if (message.type === "pair" && wantsFocus) {
      const view = pairView(message, { close: closePair });
      pair = { marked: message.marked };
      pairPlace.replaceChildren(view.element);
      arrive(view);
    } else if (message.type === "found" && message.key === linkedKey()) {
      setFollowed(message.key, true);
      wantsFocus = true;
      if (trial && trial.row === model.get("opened")) arrive(trial);
    }
  }
  // What was asked for here is shown and gets the focus; other views of the table only show it.
  function arrive(view) {
    if (!wantsFocus) return;
    wantsFocus = false;
    view.focus();
    view.element.scrollIntoView({ block: "nearest" });
  }

  function follow() {
    const key = linkedKey();
    if (key) send({ type: "link", key });
  }
  const live = () => {
    isGone = true;
    root.classList.add("wr-gone");
    showTrouble("The kernel is gone: what is shown stays, and nothing more can be opened. Run the cell again.");
  };
  const handlers = [["change:asked", draw], ["change:answered", draw], ["change:order", draw], ["change:opened", drawOpened], ["change:marked", drawMarks], ["msg:custom", hear], ["comm_live_update", live]];
  for (const [name, call] of handlers) model.on(name, call);
  const changed = () => (setFollowed(null, false), location.hash && follow());
  window.addEventListener("hashchange", changed);
  el.append(root);
  choices.show(asked());
  draw();
  drawMarks();
  drawOpened();
  follow();
  return () => {
    for (const [name, call] of handlers) model.off(name, call);
    window.removeEventListener("hashchange", changed);
    clearTimeout(busy);
    choices.destroy();
    table.destroy();
  };
}
