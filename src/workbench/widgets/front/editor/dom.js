// Elements. Whatever a file, a model or a person wrote goes in as text, never as markup.

// Counted for the whole page: editor and table have this file each, and a label finds its control by the id.
const ids = (globalThis[Symbol.for("workbench.ids")] ??= { made: 0 });

export const newId = () => `workbench-${++ids.made}`;

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const button = (text, onclick, properties = {}) =>
  make("button", { type: "button", class: "wb-button", onclick, ...properties }, text);

// The text of an element to the clipboard; where the page may not, it is selected to be copied by hand.
export function copyText(element, tell) {
  const written = navigator.clipboard ? navigator.clipboard.writeText(element.textContent) : Promise.reject();
  written.then(() => tell("Copied"), () => getSelection().selectAllChildren(element));
}

// Only what differs is set: a screen reader reads a status out each time it is set.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A function that calls `act` when what it is given differs from the last time, as JSON.
export function whenChanged(act) {
  let before;
  return (value) => {
    const now = JSON.stringify(value);
    if (now === before) return;
    before = now;
    act(value);
  };
}

// Escape leads from a control back to the cell that it is in, where the notebook's keys work. Not where it closes a list
// of suggestions, ends what an input method composes, or was of use to somebody else; nor outside of a notebook.
export function leaveOnEscape(event) {
  if (event.key !== "Escape" || event.defaultPrevented || event.isComposing) return;
  if (!event.target.matches("select:not([multiple]), input[list]")) event.target.closest(".jp-Cell")?.focus({ preventScroll: true });
}

// Redraws or hides a part of the page. Where the focus was in it and is lost by that, it goes to what `next` gives: the
// keyboard would be nowhere.
export function keepFocus(place, act, next) {
  const before = document.activeElement;
  if (!place.contains(before)) return act();
  act();
  const isLost = !place.contains(before) || before.disabled || before.closest("[hidden]");
  if (isLost) next()?.focus({ preventScroll: true });
}

// A text area as high as its text, up to what the style allows.
export function grow(area) {
  area.style.height = "auto";
  if (area.scrollHeight) area.style.height = `${area.scrollHeight + 2}px`;
}

// A control gets the kernel's value; the caret stays where one is. Says whether that was another value.
export function setValue(control, value) {
  if (control.value === value) return false;
  const { selectionStart: start, selectionEnd: end } = control;
  control.value = value;
  if (document.activeElement === control && start !== null && start !== undefined) control.setSelectionRange(start, end);
  return true;
}
