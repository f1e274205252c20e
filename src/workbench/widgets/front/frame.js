// ipywidgets holds text back while the kernel is busy with the text before it; a save must not overtake it.
const TYPING_SETTLES_MS = 200;

function render({ model, el }) {
  el.style.display = "none";
  const onKey = (event) => {
    if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    setTimeout(() => model.send({ event: "save" }), TYPING_SETTLES_MS);
  };
  let box = null;
  const attach = () => {
    box = el.closest(".workbench-frame");
    if (!box) return false;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", model.get("label"));
    box.setAttribute("data-lm-suppress-shortcuts", "true");
    // On the way down: text controls of ipywidgets let no key out.
    if (model.get("saves")) box.addEventListener("keydown", onKey, true);
    return true;
  };
  // ipywidgets may attach this element to its box only after it is rendered.
  const timer = attach() ? null : setInterval(() => attach() && clearInterval(timer), 50);
  return () => {
    clearInterval(timer);
    box?.removeEventListener("keydown", onKey, true);
  };
}

export default { render };
