function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

const CHOICE_KEYS = "1 the first is better, 2 the second, 0 neither, ← → another pair, N next without a choice, U take back, Enter a note";
const KEYS = "1–9 give a level, 0 cannot tell, ↑ ↓ another criterion, ← → another reply, N next without a label, U take back, Enter a note";

function render({ model, el }) {
  const box = element("section", "workbench-labels");
  const progress = element("progress", "");
  const counter = element("p", "workbench-labels-counter");
  const live = element("p", "workbench-labels-said");
  live.setAttribute("role", "status");
  const trouble = element("p", "workbench-labels-trouble");
  trouble.setAttribute("role", "alert");
  const asked = element("pre", "workbench-labels-asked");
  const reply = element("pre", "workbench-labels-reply");
  const beside = element("pre", "workbench-labels-reply");
  const replies = element("div", "workbench-labels-replies");
  const isChoice = model.get("rubric").side_by_side;
  const named = isChoice ? [[reply, "First reply"], [beside, "Second reply"]] : [[reply, "Reply"]];
  replies.append(...named.map(([block]) => block));
  for (const [block, label] of [[asked, "Task"], ...named]) {
    block.tabIndex = 0;
    block.setAttribute("role", "region");
    block.setAttribute("aria-label", label);
  }
  const form = element("div", "workbench-labels-criteria");
  const keys = element("p", "workbench-labels-keys", isChoice ? CHOICE_KEYS : KEYS);
  const fields = [];
  let current = 0;
  let shown = null;
  let waits = false;

  const queue = [];

  const send = (content) => {
    waits = true;
    box.setAttribute("aria-busy", "true");
    model.send(content);
  };
  const give = (index, number) => {
    const criterion = model.get("rubric").criteria[index];
    const level = number === 0 ? criterion?.levels.at(-1) : criterion?.levels[number - 1];
    if (level === undefined || (number !== 0 && number >= criterion.levels.length)) return;
    current = index;
    send({ event: "give", criterion: criterion.name, level });
  };
  const focus = (index) => {
    current = Math.min(Math.max(index, 0), fields.length - 1);
    const { buttons } = fields[current];
    (buttons.find((each) => each.getAttribute("aria-checked") === "true") ?? buttons[0]).focus({ preventScroll: false });
  };

  // One at a time, in order. A level belongs to the reply that was seen when its key was pressed: where another one is
  // shown by then, it is dropped.
  const later = (act, isLevel) => {
    if (waits) queue.push({ act, isLevel });
    else act();
  };
  const goOn = (moved) => {
    const kept = moved ? queue.filter(({ isLevel }) => !isLevel) : [...queue];
    queue.length = 0;
    while (kept.length && !waits) kept.shift().act();
    queue.push(...kept);
  };

  const build = () => {
    form.replaceChildren();
    fields.length = 0;
    for (const [index, criterion] of model.get("rubric").criteria.entries()) {
      const group = element("div", "workbench-labels-criterion");
      group.setAttribute("role", "radiogroup");
      const name = element("p", "workbench-labels-name", criterion.asks);
      name.id = `${model.model_id ?? "label"}-${index}`;
      group.setAttribute("aria-labelledby", name.id);
      const row = element("div", "workbench-labels-levels");
      const buttons = criterion.levels.map((level, at) => {
        const number = at === criterion.levels.length - 1 ? 0 : at + 1;
        const made = element("button", "workbench-labels-level");
        made.type = "button";
        made.setAttribute("role", "radio");
        made.append(element("kbd", "", String(number)), ` ${level}`);
        made.addEventListener("click", () => later(() => give(index, number), true));
        made.addEventListener("focus", () => { current = index; });
        return made;
      });
      const note = element("input", "workbench-labels-note");
      note.type = "text";
      note.placeholder = "Note";
      note.setAttribute("aria-label", `Note on: ${criterion.asks}`);
      note.addEventListener("change", () => model.send({ event: "note", criterion: criterion.name, text: note.value }));
      note.addEventListener("focus", () => { current = index; });
      row.append(...buttons);
      group.append(name, row, note);
      form.append(group);
      fields.push({ criterion, buttons, note });
    }
  };

  const show = () => {
    const state = model.get("state");
    waits = false;
    box.removeAttribute("aria-busy");
    progress.max = state.total;
    progress.value = state.done;
    const [what, done] = isChoice ? ["Pair", "chosen"] : ["Reply", "labelled"];
    progress.setAttribute("aria-label", isChoice ? "Pairs chosen between" : "Replies labelled");
    counter.textContent = `${what} ${state.position + 1} of ${state.total}, ${state.done} ${done}, by ${state.labeller}`;
    live.textContent = state.said;
    trouble.textContent = state.trouble;
    const moved = shown !== `${state.position}`;
    if (moved) {
      asked.textContent = state.asked;
      reply.textContent = state.reply;
      beside.textContent = state.beside;
      beside.scrollTop = reply.scrollTop = asked.scrollTop = 0;
    }
    for (const { criterion, buttons, note } of fields) {
      const at = criterion.levels.indexOf(state.levels[criterion.name]);
      for (const [index, each] of buttons.entries()) {
        each.setAttribute("aria-checked", String(index === at));
        // One stop of Tab a criterion, as of any group of choices.
        each.tabIndex = index === Math.max(at, 0) ? 0 : -1;
      }
      if (document.activeElement !== note) note.value = state.notes[criterion.name];
      note.disabled = at < 0;
    }
    const had = box.contains(document.activeElement) && document.activeElement !== document.body;
    if (had || (moved && shown !== null && box.dataset.focused)) {
      const open = fields.findIndex(({ criterion }) => !state.levels[criterion.name]);
      focus(moved ? Math.max(open, 0) : open >= 0 && state.said ? open : current);
    }
    shown = `${state.position}`;
    goOn(moved);
  };

  const onKey = (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const inNote = event.target.classList.contains("workbench-labels-note");
    if (inNote) {
      if (event.key === "Enter" || event.key === "Escape") {
        event.stopPropagation();
        event.preventDefault();
        event.target.blur();
        focus(current);
      }
      return;
    }
    const inText = [reply, beside, asked].includes(event.target);
    const acts = {
      ArrowLeft: () => send({ event: "move", steps: -1 }),
      ArrowRight: () => send({ event: "move", steps: 1 }),
      ArrowUp: inText ? null : () => focus(current - 1),
      ArrowDown: inText ? null : () => focus(current + 1),
      n: () => send({ event: "next" }),
      u: () => send({ event: "undo" }),
      Enter: inText || !fields[current] || fields[current].note.disabled ? null : () => fields[current].note.focus(),
    };
    const isLevel = /^[0-9]$/.test(event.key);
    const act = isLevel ? () => give(current, Number(event.key)) : acts[event.key] ?? acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    later(act, isLevel);
  };

  box.addEventListener("keydown", onKey);
  box.addEventListener("focusin", () => { box.dataset.focused = "yes"; });
  build();
  box.append(progress, counter, trouble, asked, replies, form, live, keys);
  el.append(box);
  show();
  model.on("change:state", show);
  return () => model.off("change:state", show);
}

export default { render };
