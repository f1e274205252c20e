// The fields, each with a control that fits. A control shows what the kernel says, except while the kernel has
// not heard yet what was typed into it.
import { button, grow, make, newId, setText, setValue, whenChanged } from "./dom.js";
import { showTools } from "./tools.js";

export function fieldRows(link) {
  const shows = [];
  const groups = new Map();
  for (const form of link.facts.forms) {
    if (!groups.has(form.group)) groups.set(form.group, []);
    groups.get(form.group).push(form);
  }
  const sections = [...groups].map(([heading, forms]) => {
    const inside = make("div", { class: "wb-fields" });
    for (const form of forms) {
      const row = fieldRow(link, form);
      inside.append(row.element);
      shows.push(row.show);
    }
    const present = forms.some(({ name }) => link.state.fields[name].text !== null);
    const hint = make("span", { class: "wb-faint" }, forms.map(({ key }) => key).join(", "));
    const always = ["Name and description", "Model and effort", "Tools and permissions"].includes(heading);
    return make("details", { class: "wb-group", open: present || always }, make("summary", {}, make("b", {}, heading), hint), inside);
  });
  return { sections, show: (state) => shows.forEach((show) => show(state)) };
}

function fieldRow(link, form) {
  const id = newId();
  const send = (value) => link.setControl(form.name, { type: "field", field: form.name, value });
  const control = (controls[form.kind] ?? controls.line)(link, form, id, send);
  const why = make("p", { class: "wb-why", id: `${id}-why` });
  const remove = button("×", () => send(null), {
    class: "wb-button wb-icon",
    "aria-label": `Remove ${form.key} from the file`,
    title: `Remove ${form.key} from the file`,
  });
  const label = control.labels
    ? make("span", { class: "wb-label", id: `${id}-label` }, form.key)
    : make("label", { class: "wb-label", htmlFor: id }, form.key);
  const found = make("p", { class: "wb-found", id: `${id}-found` });
  const picked = form.name === "description" ? pickedLine(`${id}-picked`) : null;
  const says = form.says ? make("p", { class: "wb-says" }, form.says) : null;
  const element = make("div", { class: `wb-row wb-row-${form.kind}` }, label, make("div", { class: "wb-control" }, control.element, says, why, found, picked?.element), remove);
  const show = whenChanged(([field, model, problems, decisions]) => {
    const isAbsent = field.text === null;
    const hint = isAbsent ? `not in the file: ${form.absent}` : form.keeps_empty ? form.empty : "";
    control.show(field, hint, model);
    remove.style.visibility = isAbsent ? "hidden" : "visible";
    element.classList.toggle("wb-absent", isAbsent);
    setText(why, field.why ? `Not taken: ${field.why}` : "");
    why.hidden = !field.why;
    setText(found, problems.map(({ severity, message }) => `${severity}: ${message}`).join("\n"));
    found.hidden = problems.length === 0;
    picked?.show(decisions);
    const marked = control.input ?? control.element;
    const isInvalid = Boolean(field.why) || problems.some(({ severity }) => severity === "error");
    marked.setAttribute("aria-invalid", String(isInvalid));
    const describing = [why, found, picked?.element].filter((one) => one && !one.hidden).map(({ id: one }) => one);
    if (describing.length) marked.setAttribute("aria-describedby", describing.join(" "));
    else marked.removeAttribute("aria-describedby");
  });
  const problemsOf = (state) => state.problems.filter(({ field }) => field === form.key).map(({ severity, message }) => ({ severity, message }));
  const showState = (state) =>
    link.isHeard(form.name) &&
    show([state.fields[form.name], form.kind === "model" ? state.model : null, problemsOf(state), picked && state.picked]);
  showState(link.state);
  return { element, show: showState };
}

// How the description was picked: what the kernel says of it, or nothing before it has looked.
function pickedLine(id) {
  const text = make("b");
  const details = make("span", { class: "wb-faint" });
  const movedOn = make("span", { class: "wb-moved-on" });
  const element = make("p", { class: "wb-decided", id, hidden: true }, text, details, movedOn);
  const show = (decisions) => {
    element.hidden = !decisions;
    if (!decisions) return;
    element.dataset.kind = decisions.kind;
    setText(text, `Is it picked? ${decisions.text} `);
    setText(details, decisions.details);
    setText(movedOn, decisions.moved_on);
    movedOn.hidden = !decisions.moved_on;
  };
  return { element, show };
}

function line(_link, _form, id, send) {
  const input = make("input", { id, type: "text", dir: "auto", autocomplete: "off", spellcheck: false });
  input.addEventListener("input", () => send(input.value));
  return {
    element: input,
    input,
    show: ({ text }, hint) => {
      setValue(input, text ?? "");
      input.placeholder = hint;
    },
  };
}

function area(link, form, id, send) {
  const input = make("textarea", { id, dir: "auto", rows: 1, class: form.kind === "yaml" ? "wb-code" : "", spellcheck: form.kind !== "yaml" });
  input.addEventListener("input", () => (send(input.value), grow(input)));
  new ResizeObserver(() => input.clientWidth !== input.wbWidth && ((input.wbWidth = input.clientWidth), grow(input))).observe(input);
  return {
    element: input,
    input,
    show: ({ text }, hint) => {
      input.placeholder = hint;
      if (setValue(input, text ?? "")) grow(input);
    },
  };
}

function number(...given) {
  const made = line(...given);
  made.input.inputMode = "numeric";
  return made;
}

// Picked among known values, the file's own beside them.
function choice(_link, form, id, send) {
  const input = make("select", { id });
  input.addEventListener("change", () => send(input.value || null));
  return {
    element: input,
    input,
    show: ({ text }) => {
      const options = [make("option", { value: "" }, `not in the file: ${form.absent}`)];
      options.push(...form.values.map((value) => make("option", { value }, value)));
      if (text && !form.values.includes(text)) {
        options.push(make("option", { value: text }, `${text} (not a value that Claude Code knows)`));
      }
      input.replaceChildren(...options);
      input.value = text ?? "";
    },
  };
}

function model(link, form, id, send) {
  const made = line(link, form, id, send);
  const list = make("datalist", { id: `${id}-list` }, ...form.values.map((value) => make("option", { value })));
  made.input.setAttribute("list", list.id);
  const known = make("dl", { class: "wb-known" });
  // The list of suggestions holds what begins like the text that is there: this one holds all.
  const groups = link.facts.models.map(([label, models]) =>
    make("optgroup", { label }, ...models.map(([value, text]) => make("option", { value }, text))));
  const pick = make("select", { class: "wb-pick", "aria-label": `Pick a ${form.key}`, title: "All models, with what they cost" },
    make("option", { value: "", hidden: true }, "▾"), ...groups);
  pick.addEventListener("change", () => {
    setValue(made.input, pick.value);
    send(pick.value);
    pick.value = "";
  });
  const { show } = made;
  return {
    ...made,
    element: make("div", {}, make("div", { class: "wb-picked" }, made.input, pick), list, known),
    show: (field, hint, rows) => {
      show(field, hint);
      known.replaceChildren(...rows.flatMap(([what, much]) => [make("dt", {}, what), make("dd", {}, much)]));
    },
  };
}

function color(link, form, id, send) {
  const swatches = make("div", { class: "wb-swatches", role: "radiogroup", "aria-labelledby": `${id}-label` });
  const name = newId();
  const swatch = (value, shown, paint) => {
    const radio = make("input", { type: "radio", name, value });
    radio.addEventListener("change", () => radio.checked && send(value || null));
    if (paint) radio.style.cssText = `--wb-paint: ${paint}; --wb-mark: #fff`;
    return make("label", { class: "wb-swatch" }, radio, make("span", {}, shown));
  };
  const known = [swatch("", "none", ""), ...form.values.map((value) => swatch(value, value, link.facts.colors[value]))];
  return {
    element: swatches,
    labels: true,
    show: ({ text }) => {
      const odd = text && !form.values.includes(text) ? [swatch(text, `${text} (not one of Claude Code's)`, "")] : [];
      if (swatches.children.length !== known.length + odd.length || odd.length) swatches.replaceChildren(...known, ...odd);
      for (const radio of swatches.querySelectorAll("input")) radio.checked = radio.value === (text ?? "");
    },
  };
}

function tools(link, form, id, send) {
  const made = line(link, form, id, send);
  const picker = showTools(link, form, (text) => (setValue(made.input, text), send(text)));
  const { show } = made;
  return {
    ...made,
    element: make("div", {}, made.input, picker.element),
    show: (field, hint) => {
      show(field, hint);
      picker.show(field);
    },
  };
}

const controls = { line, lines: area, yaml: area, names: line, number, choice, switch: choice, model, color, tools };
