// A table in a "sortable" place sorts, filters and turns pages; a list in a "searched" one filters. Nothing is asked of
// anybody, and without this script all rows stand there.
"use strict";
const ROWS = 50;
const NUMBER = /^[▲▼]?\s*([-+]?\d[\d,]*(?:\.\d+)?)/;
const made = (name, given = {}, ...inside) => {
  const element = Object.assign(document.createElement(name), given);
  element.append(...inside);
  return element;
};
const finder = (what, changed) => {
  const field = made("input", { type: "search" });
  field.addEventListener("input", () => changed(field.value.trim().toLowerCase()));
  return made("label", {}, `Find in ${what} `, field);
};
const press = (text, pressed) => {
  const button = made("button", { type: "button" }, text);
  button.addEventListener("click", pressed);
  return button;
};

for (const table of document.querySelectorAll(".sortable table")) {
  const body = table.tBodies[0], all = [...body.rows], headings = [...table.tHead.rows[0].cells];
  const texts = new Map(all.map(row => [row, row.textContent.toLowerCase()]));
  let order = all, sought = "", page = 0;
  const said = made("span", { role: "status" });
  const turn = by => () => { page += by; show(); };
  const earlier = press("Earlier rows", turn(-1)), later = press("Later rows", turn(1));
  const show = () => {
    const found = order.filter(row => texts.get(row).includes(sought)), last = Math.max(0, Math.ceil(found.length / ROWS) - 1);
    page = Math.min(Math.max(page, 0), last);
    const first = page * ROWS, shown = found.slice(first, first + ROWS);
    body.replaceChildren(...shown);
    earlier.disabled = page === 0;
    later.disabled = page === last;
    said.textContent = found.length > ROWS ? `${first + 1} to ${first + shown.length} of ${found.length} rows` : `${found.length} of ${all.length} rows`;
  };
  const value = (row, column) => {
    const text = row.cells[column].textContent.trim(), number = NUMBER.exec(text);
    return text === "" || text === "-" ? null : number ? Number(number[1].replaceAll(",", "")) : text.toLowerCase();
  };
  headings.forEach((heading, column) => {
    const name = heading.textContent;
    const button = press(name, () => {
      const sign = heading.ariaSort === "ascending" ? -1 : 1;
      headings.forEach(each => each.removeAttribute("aria-sort"));
      heading.ariaSort = sign === 1 ? "ascending" : "descending";
      const values = new Map(all.map(row => [row, value(row, column)]));
      order = [...all].sort((one, other) => {
        const a = values.get(one), b = values.get(other);
        if (a === null || b === null) return (a === null) - (b === null);
        if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
        return sign * (typeof a === "number" ? a - b : a.localeCompare(b));
      });
      page = 0;
      show();
    });
    heading.replaceChildren(button);
  });
  const place = table.closest(".sortable");
  const what = place.dataset.what;
  place.before(made("p", { className: "tools" }, finder(what, text => { sought = text; page = 0; show(); }),
    " ", earlier, " ", later, " ", said));
  show();
}

for (const list of document.querySelectorAll(".searched")) {
  const parts = [...list.children].filter(part => part.tagName === "DETAILS");
  const texts = new Map(parts.map(part => [part, part.textContent.toLowerCase()]));
  const said = made("span", { role: "status" });
  const show = sought => {
    let found = 0;
    for (const part of parts) found += !(part.hidden = !texts.get(part).includes(sought));
    said.textContent = `${found} of ${parts.length}`;
  };
  list.prepend(made("p", { className: "tools" }, finder(list.dataset.what, show), " ", said));
  show("");
}
