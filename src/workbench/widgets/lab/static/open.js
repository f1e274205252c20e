// A JupyterLab extension that needs no build: a right click on an agent file opens it in a notebook of its own.
//
// It shares no package with JupyterLab and asks for none of its tokens, so it uses only what the application object
// offers: its commands, its context menu and its contents service.

const NAME = "agent-workbench";
const COMMAND = "workbench:open-agent";
const FILE = '.jp-DirListing-item[data-isdir="false"]';
const ASKED_IN_ADDRESS = "workbench-open";

const isAgentFile = (path) => typeof path === "string" && path.endsWith(".md");

/** The path of the one file selected in the file browser that was clicked; null where there is none, or several. */
function selectedPath(app) {
  for (const side of ["left", "right"]) {
    for (const widget of app.shell.widgets(side)) {
      const listing = widget.listing;
      if (!listing || typeof listing.selectedItems !== "function" || !widget.isVisible) continue;
      const selected = [...listing.selectedItems()];
      if (selected.length === 1 && selected[0].type !== "directory") return withoutDrive(selected[0].path);
    }
  }
  return null;
}

/** "RTC:agents/x.md" is how a drive other than the default names "agents/x.md". */
const withoutDrive = (path) => path.replace(/^[A-Za-z][\w-]*:/, "");

/** What the notebook of an agent file is called; the number tells files apart whose paths give the same name. */
function notebookName(path, number) {
  const stem = path.replace(/\.md$/, "").replace(/^(\.?\/)?(\.claude\/)?agents\//, "");
  return `author-${stem.replace(/[^\p{L}\p{N}._-]+/gu, "-")}${number > 1 ? `-${number}` : ""}.ipynb`;
}

/** What the contents service has at this path; null where there is nothing. */
async function found(contents, path, options) {
  try {
    return await contents.get(path, options);
  } catch (error) {
    if (error.response && error.response.status === 404) return null;
    throw error;
  }
}

const parametersOf = (notebook) => notebook.cells.find((cell) => (cell.metadata.tags || []).includes("parameters"));
const sourceOf = (cell) => [].concat((cell && cell.source) || "").join("");

/** The author's notebook with this agent as its parameter; one that is there already is left as it is. */
async function makeNotebook(app, path) {
  const contents = app.serviceManager.contents;
  const folder = (await found(contents, "notebooks", { content: false })) ? "notebooks/" : "";
  const assignment = `agent: str = ${JSON.stringify(path)}`;
  for (let number = 1; ; number++) {
    const target = folder + notebookName(path, number);
    const there = await found(contents, target, { content: true });
    if (there === null) {
      await contents.save(target, { type: "notebook", format: "json", content: await copyFor(app, assignment) });
      return { target, isNew: true };
    }
    if (sourceOf(parametersOf(there.content)).split("\n").includes(assignment)) return { target, isNew: false };
  }
}

async function copyFor(app, assignment) {
  const base = app.serviceManager.serverSettings.baseUrl;
  const answer = await fetch(`${base}lab/extensions/${NAME}/static/author.ipynb`);
  if (!answer.ok) throw new Error(`the notebook to copy is not there (${answer.status}): install agent-workbench again`);
  const notebook = await answer.json();
  const parameters = parametersOf(notebook);
  const lines = sourceOf(parameters).split("\n");
  parameters.source = lines.map((line) => (/^agent\s*:/.test(line) ? assignment : line)).join("\n");
  return notebook;
}

async function openAgent(app, path, { runWhatIsThere }) {
  const { target, isNew } = await makeNotebook(app, path);
  const panel = await app.commands.execute("docmanager:open", { path: target, factory: "Notebook" });
  await panel.context.ready;
  app.shell.activateById(panel.id);
  if (!isNew && !runWhatIsThere) return;
  await panel.sessionContext.ready;
  const { session } = panel.sessionContext;
  if (!session || !session.kernel) return; // the user chose to go without a kernel
  await session.kernel.info;
  await app.commands.execute("notebook:run-all-cells");
  panel.content.activeCellIndex = 0;
  await panel.content.scrollToItem(0);
}

async function openOrSay(app, path, options) {
  try {
    await openAgent(app, path, options);
  } catch (error) {
    await app.commands.execute("apputils:notify", {
      message: `${path} could not be opened in the workbench: ${error.message}`,
      type: "error",
    });
  }
}

function activate(app) {
  app.commands.addCommand(COMMAND, {
    label: "Open in Workbench",
    caption: "Open this agent file in a notebook that edits and tries it",
    isVisible: (args) => isAgentFile(args.path || selectedPath(app)),
    execute: (args) => openOrSay(app, args.path || selectedPath(app), { runWhatIsThere: true }),
    describedBy: { args: { type: "object", properties: { path: { type: "string" } } } },
  });
  app.contextMenu.addItem({ command: COMMAND, selector: FILE, rank: 1 });

  const asked = new URLSearchParams(window.location.search).get(ASKED_IN_ADDRESS);
  if (isAgentFile(asked)) {
    // An address may come from anywhere: it may open a notebook, and run only one made here and now.
    app.restored.then(() => openOrSay(app, asked, { runWhatIsThere: false }));
  }
}

window._JUPYTERLAB = window._JUPYTERLAB || {};
window._JUPYTERLAB[NAME] = {
  init() {},
  async get() {
    return () => ({ __esModule: true, default: [{ id: `${NAME}:open`, autoStart: true, activate }] });
  },
};
