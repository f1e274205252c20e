// A table of any length as an ARIA grid, of which only the rows in sight are in the page.
import { make, newId } from "../editor/dom.js";

const ROW = 30; // px
const SPARE = 8; // rows drawn beyond both edges
const MOST_HEIGHT = 14 * ROW;

// By kind: the least and the most px, and which columns go first where there is no room; those of rank 0 stay.
const KINDS = {
  mark: { least: 34, most: 34, rank: 0 },
  name: { least: 82, most: 220, rank: 0 },
  figure: { least: 70, most: 190, rank: 0 },
  change: { least: 90, most: 190, rank: 0 },
  points: { least: 70, most: 130, rank: 0 },
  text: { least: 220, most: 220, rank: 1 },
  flip: { least: 124, most: 124, rank: 2 },
  word: { least: 80, most: 120, rank: 3 },
  group: { least: 70, most: 160, rank: 4 },
  count: { least: 66, most: 110, rank: 4 },
  seconds: { least: 66, most: 110, rank: 5 },
  usd: { least: 66, most: 110, rank: 6 },
};
const LETTER = 7.4; // px, about
const BOLD_LETTER = 8.4;
const ROOM = 18; // px beside a value
const ARROW = 14;
const LOOKED_AT = 2_000; // values of a column, to find how wide it should be
const AT_END = new Set(["points", "seconds", "usd", "count", "figure"]);
const SHOWN = {
  points: (value) => (value === null ? "–" : (100 * value).toFixed(1)),
  seconds: (value) => (value === null ? "–" : value.toFixed(2)),
  usd: (value) => (value === null ? "–" : value.toFixed(5)),
  count: (value) => (value === null ? "–" : value.toLocaleString("en")),
};

export const cellText = (column, row) => {
  const { kind, names, values } = column;
  const value = names ? names[values[row]] : values[row];
  return SHOWN[kind] ? SHOWN[kind](value) : (value ?? "");
};

const lettersOf = (text) => [...text].reduce((sum, letter) => sum + (letter > "\u2e80" ? 2 : 1), 0);

// How wide a column is that shows its values in full, and its heading in two lines.
function widthOf(column) {
  if (column.px) return column.px;
  const { least, most } = KINDS[column.kind];
  const count = Math.min(column.names?.length ?? column.values?.length ?? 0, LOOKED_AT);
  const all = column.names ? { ...column, names: null, values: column.names } : column;
  const head = Math.max(...column.heading.split(" ").map(lettersOf), Math.ceil(lettersOf(column.heading) / 2) + 1);
  let letters = 0;
  for (let row = 0; row < count; row++) letters = Math.max(letters, lettersOf(cellText(all, row)));
  const px = Math.max(Math.ceil(letters * LETTER) + ROOM, column.heading ? Math.ceil(head * BOLD_LETTER) + ROOM + ARROW : 0);
  column.px = Math.min(most, Math.max(least, px));
  return column.px;
}

// `on` has open(row), sort(column) and mark(row), and find() for the key that leads to the search.
export function grid(label, on) {
  const id = newId();
  const space = make("div", { class: "wr-space", role: "presentation" });
  const head = make("div", { class: "wr-row wr-head", role: "row", "aria-rowindex": "1" });
  const body = make("div", { class: "wr-body", role: "rowgroup" }, space);
  const none = make("p", { class: "wr-none", hidden: true });
  const scroller = make("div", { class: "wr-grid", role: "grid", "aria-label": label, id }, make("div", { role: "rowgroup", class: "wr-heads" }, head), body);
  let columns = []; // those that are shown
  let every = [];
  let order = new Int32Array();
  let marked = [];
  let opened = null;
  let sorted = { column: null, descending: false };
  let drawn = new Map(); // by index: the element of the row
  let at = { row: 0, column: 0 }; // row -1 is the headings
  let canMark = false;

  const isShown = (column) => column.promise === undefined || column.isPicked;

  function fit() {
    const width = scroller.clientWidth || 900;
    const wanted = every.filter(isShown);
    const kept = new Set(wanted);
    const rankOf = ({ kind }) => KINDS[kind].rank;
    const sum = () => [...kept].reduce((total, column) => total + widthOf(column), 0);
    const leastNeeded = [...wanted].sort((one, other) => rankOf(other) - rankOf(one) || wanted.indexOf(other) - wanted.indexOf(one));
    for (const column of leastNeeded) {
      if (sum() <= width || rankOf(column) === 0) break;
      kept.delete(column);
    }
    const next = wanted.filter((column) => kept.has(column));
    const leastOf = (column) => (column.kind === "name" ? KINDS.name.least : widthOf(column));
    // What is left over is for the replies; without them, for all columns alike.
    const hasText = next.some(({ kind }) => kind === "text");
    const mostOf = (column) => (!hasText ? `${widthOf(column)}fr` : column.kind === "text" ? "1fr" : `${widthOf(column)}px`);
    const template = next.map((column) => `minmax(${leastOf(column)}px, ${column.kind === "mark" ? `${widthOf(column)}px` : mostOf(column)})`);
    scroller.style.setProperty("--wr-columns", template.join(" "));
    scroller.style.setProperty("--wr-width", `${next.reduce((total, column) => total + leastOf(column), 0)}px`);
    const isSame = next.length === columns.length && next.every((column, index) => column === columns[index]);
    columns = next;
    scroller.setAttribute("aria-colcount", String(columns.length));
    return !isSame;
  }

  function drawHead() {
    head.replaceChildren(...columns.map((column, index) => {
      const isSorted = column.number !== undefined && column.number === sorted.column;
      const cell = make("div", { class: `wr-cell wr-heading${AT_END.has(column.kind) ? " wr-end" : ""}`, role: "columnheader", tabIndex: -1, title: column.heading });
      if (column.kind === "mark") cell.setAttribute("aria-label", "Marked to be compared");
      else {
        cell.setAttribute("aria-sort", isSorted ? (sorted.descending ? "descending" : "ascending") : "none");
        cell.append(make("span", { class: "wr-name", dir: "auto" }, column.heading), make("span", { class: "wr-arrow", "aria-hidden": "true" }, isSorted ? (sorted.descending ? "▼" : "▲") : ""));
      }
      cell.dataset.column = index;
      return cell;
    }));
  }

  function cellOf(column, index, row) {
    const cell = make("div", { class: "wr-cell", role: "gridcell", tabIndex: -1 });
    cell.dataset.column = index;
    if (column.kind === "mark") {
      cell.classList.add("wr-mark");
      cell.append(make("input", { type: "checkbox", tabIndex: -1, checked: marked.includes(row), "aria-label": "Mark to be compared" }));
      return cell;
    }
    const text = cellText(column, row);
    cell.textContent = text;
    if (AT_END.has(column.kind)) cell.classList.add("wr-end");
    else {
      cell.dir = "auto";
      if (text.length > 12) cell.title = text;
    }
    if (column.kind === "change" || column.kind === "flip") cell.classList.toggle("wr-up", text[0] === "▲"), cell.classList.toggle("wr-down", text[0] === "▼");
    if (column.kind === "word" && text !== "answered") cell.classList.add("wr-strong");
    return cell;
  }

  function rowOf(index) {
    const row = order[index];
    const element = make("div", { class: "wr-row", role: "row", "aria-rowindex": String(index + 2) }, ...columns.map((column, number) => cellOf(column, number, row)));
    element.style.transform = `translateY(${index * ROW}px)`;
    element.dataset.index = index;
    if (canMark) element.setAttribute("aria-selected", String(marked.includes(row)));
    element.classList.toggle("wr-open", row === opened);
    return element;
  }

  function draw() {
    const first = Math.max(0, Math.floor(scroller.scrollTop / ROW) - SPARE);
    const last = Math.min(order.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / ROW) + SPARE);
    const wanted = new Set(at.row >= 0 && at.row < order.length ? [at.row] : []);
    for (let index = first; index < last; index++) wanted.add(index);
    for (const [index, element] of drawn) if (!wanted.has(index)) element.remove(), drawn.delete(index);
    const fresh = [];
    for (const index of [...wanted].sort((one, other) => one - other)) {
      if (drawn.has(index)) continue;
      const element = rowOf(index);
      drawn.set(index, element);
      fresh.push(element);
    }
    space.append(...fresh);
    point();
  }

  function redraw() {
    const hasFocus = scroller.contains(document.activeElement);
    for (const element of drawn.values()) element.remove();
    drawn = new Map();
    at.row = Math.min(at.row, order.length - 1);
    at.column = Math.max(0, Math.min(at.column, columns.length - 1));
    space.style.height = `${order.length * ROW}px`;
    scroller.style.maxHeight = `${MOST_HEIGHT}px`;
    scroller.setAttribute("aria-rowcount", String(order.length + 1));
    drawHead();
    draw();
    if (hasFocus) cellAt()?.focus({ preventScroll: true });
  }

  const cellAt = () => (at.row < 0 ? head : drawn.get(at.row))?.children[at.column];

  // One cell of the grid is reached by Tab: the one where the arrows were last.
  function point() {
    for (const cell of scroller.querySelectorAll('[tabindex="0"]')) cell.tabIndex = -1;
    const cell = cellAt();
    if (cell) cell.tabIndex = 0;
  }

  function go(row, column) {
    at = { row: Math.max(-1, Math.min(order.length - 1, row)), column: Math.max(0, Math.min(columns.length - 1, column)) };
    if (at.row >= 0) {
      const top = at.row * ROW;
      const room = scroller.clientHeight - head.offsetHeight;
      if (top < scroller.scrollTop) scroller.scrollTop = top;
      else if (top + ROW > scroller.scrollTop + room) scroller.scrollTop = top + ROW - room;
    }
    draw();
    cellAt()?.focus({ preventScroll: at.row < 0 });
    cellAt()?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  const isReversed = () => getComputedStyle(scroller).direction === "rtl";
  function press(event) {
    if (event.altKey) return;
    const page = Math.max(1, Math.floor(scroller.clientHeight / ROW) - 2);
    const side = isReversed() ? -1 : 1;
    const isFar = event.ctrlKey || event.metaKey;
    const moves = {
      ArrowDown: () => go(at.row + 1, at.column),
      ArrowUp: () => go(at.row - 1, at.column),
      ArrowRight: () => go(at.row, at.column + side),
      ArrowLeft: () => go(at.row, at.column - side),
      PageDown: () => go(Math.max(0, at.row) + page, at.column),
      PageUp: () => go(Math.max(0, at.row - page), at.column),
      Home: () => (isFar ? go(0, 0) : go(at.row, 0)),
      End: () => (isFar ? go(order.length - 1, columns.length - 1) : go(at.row, columns.length - 1)),
      Enter: () => (at.row < 0 ? sort(at.column) : on.open(order[at.row])),
      " ": () => (at.row < 0 ? sort(at.column) : canMark && on.mark(order[at.row])),
    };
    const move = moves[event.key];
    if (!move || (isFar && !["Home", "End"].includes(event.key))) return;
    event.preventDefault();
    move();
  }

  function sort(index) {
    const column = columns[index];
    if (column?.number !== undefined) on.sort(column.number);
  }

  scroller.addEventListener("keydown", press);
  scroller.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  scroller.addEventListener("click", (event) => {
    const cell = event.target.closest(".wr-cell");
    if (!cell) return;
    const column = Number(cell.dataset.column);
    const row = cell.closest(".wr-head") ? -1 : Number(cell.parentElement.dataset.index);
    at = { row, column };
    point();
    if (row < 0) {
      cell.focus({ preventScroll: true });
      sort(column);
    } else if (cell.classList.contains("wr-mark")) {
      event.preventDefault();
      cell.focus({ preventScroll: true });
      on.mark(order[row]);
    } else {
      cell.focus({ preventScroll: true });
      // Who selects text with the mouse does not mean to open it.
      if (getSelection().isCollapsed) on.open(order[row]);
    }
  });

  const sizes = new ResizeObserver(() => (fit() ? redraw() : draw()));
  sizes.observe(scroller);

  return {
    element: make("div", {}, scroller, none),
    destroy: () => sizes.disconnect(),
    // What is shown; `number` of a column is its number among all of them.
    show: (given, { isMarking }) => {
      canMark = isMarking;
      every = [...(isMarking ? [{ kind: "mark", heading: "" }] : []), ...given];
      if (isMarking) scroller.setAttribute("aria-multiselectable", "true");
      else scroller.removeAttribute("aria-multiselectable");
      at = { row: 0, column: isMarking ? 1 : 0 };
      scroller.scrollTop = 0;
      fit();
    },
    fill: (rows, how, empty) => {
      order = rows;
      sorted = how;
      none.hidden = rows.length > 0;
      none.textContent = empty;
      redraw();
    },
    mark: (rows) => {
      marked = rows;
      redraw();
    },
    open: (row) => {
      opened = row;
      redraw();
    },
    pick: (promise) => {
      for (const column of every) if (column.promise !== undefined) column.isPicked = column.promise === promise;
      if (fit()) redraw();
    },
    neighbour: (row, step) => order[order.indexOf(row) + step],
    toTop: () => {
      scroller.scrollTop = 0;
      if (at.row > 0) at.row = 0;
    },
    goTo: (row) => {
      const index = order.indexOf(row);
      if (index >= 0) go(index, at.column);
      else go(Math.max(0, at.row), at.column);
    },
  };
}
