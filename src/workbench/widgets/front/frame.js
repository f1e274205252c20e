function render({ model, el }) {
  el.style.display = "none";
  let box = null;
  const showGone = () => {
    for (const control of box?.querySelectorAll(".jupyter-button") ?? []) control.disabled = true;
    el.style.display = "";
    el.setAttribute("role", "alert");
    el.className = "workbench-note";
    el.textContent = "The kernel is gone. What is shown here stays and can be copied, and what was answered in full is in the ledger. Run the cell again to go on.";
  };
  model.on("comm_live_update", showGone);
  // JupyterLab's cell keys are for whatever has the focus, `dd` on a button too: none leaves the box.
  const keep = (event) => event.stopPropagation();
  // Before the controls, of which some let no key out: Escape leads back to the cell, where the notebook's keys work.
  const leave = (event) => {
    if (event.key !== "Escape" || event.isComposing || event.target.matches("select:not([multiple]), input[list]")) return;
    event.target.closest(".jp-Cell")?.focus({ preventScroll: true });
  };
  // What an editor of the same notebook asks for, while this box is in the page and has such a button.
  const press = (name) => (event) => {
    const one = box?.querySelector(`.workbench-${name}`);
    if (event.defaultPrevented || event.detail.manager !== model.widget_manager || !one?.isConnected || one.disabled) return;
    event.preventDefault();
    one.click();
  };
  // While the kernel works on a change of a control, the next change waits in the page, as what is typed does in the
  // editor, but a click does not: it would run another choice than the one that is seen. So a click is held until the
  // kernel has answered after the change that it works on, when what waited has gone before it.
  const held = new Map();
  let passes = null;
  const hold = (event) => {
    const pressed = event.target.closest(".jupyter-button");
    if (!pressed || pressed === passes) return;
    event.preventDefault();
    event.stopPropagation();
    if ([...held.values()].includes(pressed)) return;
    const number = Math.random(); // views of one model hear each other's answers
    held.set(number, pressed);
    model.send({ holds: number });
  };
  const letGo = ({ passes: number }) => {
    passes = held.get(number) ?? null;
    held.delete(number);
    passes?.click();
    passes = null;
  };
  model.on("msg:custom", letGo);
  const asked = [["workbench-try", press("run")], ["workbench-stop", press("stop")]];
  for (const [name, act] of asked) document.addEventListener(name, act);
  const attach = () => {
    box = el.closest(".workbench-frame");
    if (!box) return false;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", model.get("label"));
    box.setAttribute("data-lm-suppress-shortcuts", "true");
    box.addEventListener("keydown", keep);
    box.addEventListener("keydown", leave, true);
    box.addEventListener("click", hold, true);
    return true;
  };
  // ipywidgets may attach this element to its box only after it is rendered.
  const timer = attach() ? null : setInterval(() => attach() && clearInterval(timer), 50);
  return () => {
    clearInterval(timer);
    for (const [name, act] of asked) document.removeEventListener(name, act);
    model.off("comm_live_update", showGone);
    model.off("msg:custom", letGo);
    box?.removeEventListener("keydown", keep);
    box?.removeEventListener("keydown", leave, true);
    box?.removeEventListener("click", hold, true);
  };
}

export default { render };
