// The file changed on disk while it was edited: what it was, what is here and what is there, side by side.
import { button, keepFocus, make, newId, setText, whenChanged } from "./dom.js";

const SIDES = [["mine", "yours"], ["disk", "the file's"], ["both", "both"]];

export function conflict(link) {
  const list = make("ol", { class: "wb-pieces" });
  let radios = [];
  const choose = (side) => radios.filter(({ value }) => value === side).forEach((radio) => (radio.checked = true));
  const settle = () => {
    const sides = Object.fromEntries(radios.filter(({ checked }) => checked).map(({ dataset, value }) => [dataset.index, value]));
    link.act("settle", { sides });
  };
  const quick = make("span", { class: "wb-acts" },
    button("Yours everywhere", () => choose("mine")), button("The file's everywhere", () => choose("disk")));
  const says = make("p");
  const element = make("section", { class: "wb-conflict", "aria-label": "The file changed on disk", hidden: true },
    make("h3", {}, "The file changed on disk"),
    says,
    list,
    make("div", { class: "wb-acts" },
      button("Make one draft of both", settle, { class: "wb-button wb-primary" }),
      quick,
      button("Read the file again, keep my edits", () => link.act("reread")),
    ),
  );
  const show = whenChanged((pieces) => {
    keepFocus(element, () => (element.hidden = !pieces), () => standingView(element));
    radios = [];
    const clashes = (pieces ?? []).filter(({ kind }) => kind === "clash").length;
    const toChoose = clashes ? `Both sides changed the same lines in ${clashes} ${clashes === 1 ? "place" : "places"}: choose there. ` : "";
    setText(says, `Somebody changed it since the draft was begun. Nothing was written, and nothing is lost. ${toChoose}What only one side changed comes into the draft by itself.`);
    quick.hidden = !clashes;
    list.replaceChildren(...(pieces ?? []).map((piece) => make("li", { class: `wb-piece wb-piece-${piece.kind}` }, ...shown(piece))));
    // What is to be chosen comes into sight, however long the lines before it are; the element may not be in the page yet.
    const first = list.querySelector(".wb-piece-clash");
    if (first) requestAnimationFrame(() => (list.scrollTop += first.getBoundingClientRect().top - list.getBoundingClientRect().top));
  });

  function shown(piece) {
    const text = (value, label) => make("figure", {},
      make("figcaption", {}, label), make("pre", { class: "wb-pre", dir: "auto", tabIndex: 0, "aria-label": label }, value || "(no lines)"));
    if (piece.kind === "same") return [make("pre", { class: "wb-pre wb-faint", tabIndex: 0, "aria-label": "Lines that nobody changed" }, piece.base)];
    if (piece.kind !== "clash") {
      const [who, value] = piece.kind === "mine" ? ["only you changed this", piece.mine] : ["only the file changed this", piece.disk];
      return [make("div", { class: "wb-columns" }, text(piece.base, "as it was read"), text(value, who))];
    }
    const name = newId();
    const choices = SIDES.map(([value, label]) => {
      const radio = make("input", { type: "radio", name, value, checked: value === "mine" });
      radio.dataset.index = piece.index;
      radios.push(radio);
      return make("label", {}, radio, ` ${label}`);
    });
    return [
      make("div", { class: "wb-columns" }, text(piece.base, "as it was read"), text(piece.mine, "yours"), text(piece.disk, "on disk now")),
      make("fieldset", { class: "wb-choice" }, make("legend", {}, "Both changed this. Take"), ...choices),
    ];
  }
  return { element, show: (state) => show(state.conflict) };
}

// There is no file any more that could be written.
export function gone(link) {
  const element = make("section", { class: "wb-offer", "aria-label": "The file is gone", hidden: true },
    make("span", {}, "Somebody removed or moved the file since it was read here."),
    button("Write it again", () => link.act("write_again"), { class: "wb-button wb-primary", title: "Write the draft where the file was" }));
  return { element, show: ({ is_gone: isGone }) => keepFocus(element, () => (element.hidden = !isGone), () => standingView(element)) };
}

// The button of the view that is shown, which is there whatever else comes and goes.
export const standingView = (element) => element.closest(".wb-editor")?.querySelector(".wb-view[aria-pressed=true]");
