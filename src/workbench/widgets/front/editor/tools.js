// The tools of Claude Code in groups, with what each grants; forms with parentheses, MCP servers, names it does not know.
import { button, keepFocus, make, newId, setText } from "./dom.js";

const base = (tool) => tool.split("(")[0].trim();

export function showTools(link, form, send) {
  const inside = make("div", { class: "wb-tools" });
  const count = make("span", { class: "wb-faint" });
  const element = make("details", { class: "wb-picker" }, make("summary", {}, "Pick tools ", count), inside);
  let items = [];
  // Shown at once: the next click may come before the kernel has answered this one.
  const set = (next) => {
    items = next;
    send(next.join(", "));
    draw();
  };
  const known = link.facts.tools.flatMap(({ tools }) => tools.map(({ name }) => name));
  const boxes = new Map();
  for (const { title, tools } of link.facts.tools) {
    const list = tools.map((tool) => {
      const box = make("input", { type: "checkbox", value: tool.name });
      box.addEventListener("change", () =>
        set(box.checked ? [...items, tool.name] : items.filter((item) => base(item) !== tool.name)),
      );
      boxes.set(tool.name, box);
      return make("label", { class: "wb-tool" }, box, make("b", {}, tool.name), make("span", { class: "wb-faint" }, tool.grants));
    });
    inside.append(make("fieldset", {}, make("legend", {}, title), ...list));
  }
  const others = make("ul", { class: "wb-chips" });
  const added = make("input", { type: "text", id: newId(), placeholder: "mcp__server__tool, mcp__server__*", spellcheck: false });
  const add = () => {
    if (!added.value.trim()) return;
    set([...items, added.value.trim()]);
    added.value = "";
  };
  added.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), add()));
  inside.append(
    make("fieldset", {}, make("legend", {}, "From MCP servers, or other"),
      others,
      make("div", { class: "wb-add" }, make("label", { htmlFor: added.id, class: "wb-hidden" }, `Another tool for ${form.key}`), added, button("Add", add)),
    ),
  );
  function draw() {
    setText(count, items.length ? `${items.length} named` : "");
    for (const [name, box] of boxes) {
      box.checked = items.some((item) => base(item) === name);
      box.indeterminate = box.checked && !items.includes(name);
    }
    const rest = items.filter((item) => !known.includes(item));
    keepFocus(others, () => others.replaceChildren(
      ...rest.map((item) =>
        make("li", {}, make("code", {}, item), make("span", { class: "wb-faint" }, kindOf(item, known, link.facts.missing_tools)),
          button("×", () => set(items.filter((one) => one !== item)), { class: "wb-button wb-icon", "aria-label": `Remove ${item}` })),
      ),
    ), () => added);
    others.hidden = rest.length === 0;
  }
  return {
    element,
    show: (field) => {
      items = field.items ?? [];
      draw();
    },
  };
}

function kindOf(item, known, missing) {
  if (/^mcp__[^_].*__\*$/.test(item)) return "every tool of this MCP server";
  if (/^mcp__[^_].*__./.test(item)) return "a tool of an MCP server";
  if (item.startsWith("mcp__")) return "every tool of this MCP server";
  if (item === "*") return "all tools";
  if (known.includes(base(item))) return "the whole tool, in a subagent";
  return missing.includes(base(item)) ? "reaches no agent" : "not a tool that Claude Code was seen with";
}
