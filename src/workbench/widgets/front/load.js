// The code of all editors is one model that every editor refers to: it comes to a page once, and is loaded once.
const loaded = (globalThis[Symbol.for("workbench.modules")] ??= new Map());

async function load(model) {
  const code = await model.widget_manager.get_model(model.get("code").replace("IPY_MODEL_", ""));
  const digest = code.get("digest");
  if (!loaded.has(digest)) {
    const address = URL.createObjectURL(new Blob([code.get("code")], { type: "text/javascript" }));
    loaded.set(digest, import(/* webpackIgnore: true */ address).finally(() => URL.revokeObjectURL(address)));
  }
  return loaded.get(digest);
}

// Called once for each editor, however many views it has.
export default () => {
  let editor = null;
  return {
    initialize: async ({ model }) => {
      editor = load(model).then(({ begin }) => begin(model));
      await editor;
    },
    render: async ({ el }) => (await editor).render(el),
  };
};
