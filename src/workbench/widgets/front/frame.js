function render({ model, el }) {
  el.style.display = "none";
  // JupyterLab's cell keys are for whatever has the focus, `dd` on a button too: none leaves the box.
  const keep = (event) => event.stopPropagation();
  let box = null;
  const attach = () => {
    box = el.closest(".workbench-frame");
    if (!box) return false;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", model.get("label"));
    box.setAttribute("data-lm-suppress-shortcuts", "true");
    box.addEventListener("keydown", keep);
    return true;
  };
  // ipywidgets may attach this element to its box only after it is rendered.
  const timer = attach() ? null : setInterval(() => attach() && clearInterval(timer), 50);
  return () => {
    clearInterval(timer);
    box?.removeEventListener("keydown", keep);
  };
}

export default { render };
