// Links to a trial: the address of this notebook and, after the #, the key of the trial in the ledger.
import { button, make } from "../editor/dom.js";

const followed = (globalThis[Symbol.for("workbench.followed")] ??= new Set());
const NAMED = /workbench-trial=([0-9a-f]{64})/;

// Without what comes after a ?: there a token may be.
export const linkTo = (model, key) => `${location.origin}${notebookPath(model)}#workbench-trial=${key}`;

// JupyterLab's address names the notebook only sometimes; the addresses of other hosts always do.
function notebookPath(model) {
  const { pathname } = location;
  const path = model.widget_manager?.context?.path;
  const config = document.getElementById("jupyter-config-data");
  if (!path || !config || decodeURIComponent(pathname).endsWith(path)) return pathname;
  return `${JSON.parse(config.textContent).baseUrl}lab/tree/${path.split("/").map(encodeURIComponent).join("/")}`;
}

// The key in this page's address, unless a table has been opened there; JupyterLab takes it away soon after it loads.
export function linkedKey() {
  const [loaded] = performance.getEntriesByType("navigation");
  const key = (location.hash.match(NAMED) ?? loaded?.name.match(NAMED) ?? [])[1] ?? null;
  return followed.has(key) ? null : key;
}
export const setFollowed = (key, isFollowed) => (isFollowed ? followed.add(key) : followed.clear());

// A button that copies what `read` gives; where the page may not copy, the text stands beside it to be copied by hand.
export function copyButton(text, read, properties = {}) {
  const by = make("input", { class: "wr-byhand", type: "text", readOnly: true, hidden: true, "aria-label": "To be copied" });
  const copy = button(text, async () => {
    const copied = await read();
    try {
      await navigator.clipboard.writeText(copied);
      copy.textContent = "Copied";
      setTimeout(() => (copy.textContent = text), 1500);
    } catch {
      by.value = copied.slice(0, 10_000);
      by.hidden = false;
      by.select();
    }
  }, { class: "wr-button", ...properties });
  return make("span", { class: "wr-copy" }, copy, by);
}
