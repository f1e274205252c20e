// A JupyterLab extension that needs no build: it lists the agents of the project in launcher and palette, and opens one
// of them, or the agent file that is clicked or asked for in the address, in a notebook of its own.
//
// JupyterLab hands every extension its share scope (`init`); out of it come, at run time, the singletons that a built
// extension would import. What touches files is done in the server, by `widgets/server.py`.
(() => { // a classic script: without this its names would meet those of every other one
"use strict";

const NAME = "agent-workbench";
const OPEN = "workbench:open-agent";
const CHOOSE = "workbench:choose-agent";
const CATEGORY = "Agents";
const EDITOR = "edit"; // the cell that shows the editor
const CARDS = 24; // more agents than these are found through the palette
const FILE = '.jp-DirListing-item[data-isdir="false"]';
const ASKED_IN_ADDRESS = "workbench-open";
const TICKET_IN_ADDRESS = "workbench-ticket";
const KINDS = { project: "this project", plugin: "plugin", folder: "this project", user: "your home" };
const MADE_HERE = "workbench"; // in the metadata of a notebook that was made for an agent file
const SAVE_AFTER_MS = 300; // cells that run one after the other are saved as one
const PACKAGES = ["services", "apputils", "launcher", "filebrowser", "ui-components", "notebook", "cells"].map((name) => `@jupyterlab/${name}`);

let scope = {};

/** A package that JupyterLab shares; an empty one where it does not, as Notebook 7 leaves some out. */
async function shared(name) {
  const offered = Object.values(scope[name] || {});
  const chosen = offered.find(({ loaded }) => loaded) || offered[offered.length - 1];
  return chosen ? (await chosen.get())() : {};
}

/** "RTC:agents/x.md" is how a drive other than the default names "agents/x.md". */
const withoutDrive = (path) => path.replace(/^[A-Za-z][\w-]*:/, "");
const folderOf = (path) => path.split("/").slice(0, -1).join("/");

function extension([services, apputils, launcherPackage, filebrowser, components, notebooks, cellsPackage]) {
  const { ServerConnection } = services;

  async function ask(app, path, body) {
    const settings = app.serviceManager.serverSettings;
    const request = body ? { method: "POST", body: JSON.stringify(body) } : {};
    const answer = await ServerConnection.makeRequest(`${settings.baseUrl}workbench/${path}`, request, settings);
    const text = await answer.text();
    if (answer.ok) return JSON.parse(text);
    if (answer.status === 404 && !text.includes("agent")) {
      throw new Error("the server does not know the workbench; install agent-workbench where JupyterLab is, and restart it");
    }
    let said = text;
    try { said = JSON.parse(text).message || text; } catch { /* not JSON: shown as it is */ }
    throw new Error(said);
  }

  const indexOf = (panel, id) => panel.content.widgets.findIndex((cell) => cell.model.id === id);

  /** Runs one cell; gives whether it came to its end. The command that JupyterLab has for it takes the focus: whoever
   *  types into the editor while the panel below it is made would type into the notebook. */
  async function runCell(app, panel, index) {
    const { CodeCell } = cellsPackage;
    if (CodeCell) {
      const reply = await CodeCell.execute(panel.content.widgets[index], panel.sessionContext);
      return Boolean(reply) && reply.content.status === "ok";
    }
    panel.content.activeCellIndex = index;
    panel.content.deselectAll();
    return app.commands.execute("notebook:run-cell");
  }

  /** Runs the cells that show editor and panel, unless they are shown already by a kernel that is alive. */
  async function showWidgets(app, panel, ids) {
    await panel.sessionContext.ready;
    const { session } = panel.sessionContext;
    if (!session || !session.kernel) return; // the user chose to go without a kernel
    await session.kernel.info;
    for (const id of ids) {
      const index = indexOf(panel, id);
      if (index < 0) continue;
      if (!(await runCell(app, panel, index))) break; // a cell raised, and shows what
      if (id === EDITOR) await panel.content.scrollToItem(index, "start");
    }
    await panel.context.save(); // a page that is loaded again finds the widgets of the kernel in it
  }

  /** Saves the notebooks that were made here after their cells ran: a page that is loaded again finds the widgets of the
   *  kernel in what was saved, and JupyterLab's own saving may be two minutes away. */
  function saveAfterRun(app) {
    const { NotebookActions } = notebooks;
    if (!NotebookActions) return;
    const waiting = new Map();
    const isMadeHere = ({ context }) => {
      const { model } = context;
      return Boolean(model.getMetadata ? model.getMetadata(MADE_HERE) : model.metadata.get(MADE_HERE));
    };
    NotebookActions.executed.connect((_, { notebook }) => {
      const panel = [...app.shell.widgets("main")].find((widget) => widget.context && widget.content === notebook);
      if (!panel || !isMadeHere(panel)) return;
      clearTimeout(waiting.get(panel));
      waiting.set(panel, setTimeout(() => {
        waiting.delete(panel);
        if (!panel.isDisposed && panel.context.model.dirty) void panel.context.save();
      }, SAVE_AFTER_MS));
    });
  }

  const showsWidgets = (panel) =>
    panel.content.widgets.some((cell) =>
      (cell.model.toJSON().outputs || []).some((output) => output.data && "application/vnd.jupyter.widget-view+json" in output.data));

  async function openAgent(app, asked) {
    const { notebook, cells } = await ask(app, "notebook", asked);
    await app.serviceManager.sessions.refreshRunning();
    const isAlive = [...app.serviceManager.sessions.running()].some((session) => withoutDrive(session.path) === notebook);
    const panel = await app.commands.execute("docmanager:open", { path: notebook, factory: "Notebook" });
    await panel.context.ready;
    app.shell.activateById(panel.id);
    if (cells.length && !(isAlive && showsWidgets(panel))) await showWidgets(app, panel, cells);
  }

  async function openOrSay(app, asked) {
    try {
      await openAgent(app, asked);
    } catch (error) {
      await app.commands.execute("apputils:notify", {
        message: `${asked.path} could not be opened in the workbench: ${error.message}`,
        type: "error",
      });
    }
  }

  async function choose(app) {
    try {
      const { agents } = await ask(app, "agents");
      if (!agents.length) {
        throw new Error("there is no agent in .claude/agents, in a plugin, in agents/ or in your home; write one first");
      }
      const labels = agents.map(({ name, kind, path }) => `${name} (${KINDS[kind]}: ${path})`);
      const chosen = await apputils.InputDialog.getItem({ title: "Open an agent", items: labels, label: "Agent" });
      const index = labels.indexOf(chosen.value);
      if (chosen.button.accept && index >= 0) await openOrSay(app, { path: agents[index].path, clicked: true });
    } catch (error) {
      await app.commands.execute("apputils:notify", { message: `No agent can be opened: ${error.message}`, type: "error" });
    }
  }

  /** Which files of the listings that were shown are agent files; where the server has not said yet, by their path. */
  class AgentFiles {
    constructor(app) { this.app = app; this.folders = new Map(); }
    async look(folder) {
      try {
        const { names } = await ask(this.app, `agent-files?folder=${encodeURIComponent(withoutDrive(folder))}`);
        this.folders.set(withoutDrive(folder), new Set(names));
      } catch (error) {
        console.warn(`agent-workbench: ${error.message}`);
      }
    }
    has(path) {
      if (typeof path !== "string") return false;
      const names = this.folders.get(folderOf(path));
      return names ? names.has(path.split("/").pop()) : /(^|\/)agents\/.+\.md$/.test(path);
    }
  }

  function activate(app, palette, launcher, browser) {
    const files = new AgentFiles(app);
    const icon = components.editIcon;

    /** The path of the one file that is selected in the file browser; null where there is none, or several. */
    const selected = () => {
      const items = browser ? [...browser.selectedItems()] : [];
      return items.length === 1 && items[0].type !== "directory" ? withoutDrive(items[0].path) : null;
    };

    app.commands.addCommand(OPEN, {
      label: (args) => args.name || "Open in Workbench",
      caption: (args) => args.path || "Open this agent file in a notebook that edits and tries it",
      icon: (args) => (args.name ? icon : undefined),
      isVisible: (args) => Boolean(args.path) || files.has(selected()),
      execute: (args) => openOrSay(app, { path: args.path || selected(), clicked: true }),
      describedBy: { args: { type: "object", properties: { path: { type: "string" }, name: { type: "string" } } } },
    });
    app.commands.addCommand(CHOOSE, {
      label: (args) => (args.isCard ? "Open an agent…" : "Open an Agent in the Workbench…"),
      caption: "Choose an agent of this project, of its plugins or of your home, to edit and try it",
      icon: (args) => (args.isPalette ? undefined : icon),
      execute: () => choose(app),
      describedBy: { args: { type: "object", properties: {} } },
    });
    app.contextMenu.addItem({ command: OPEN, selector: FILE, rank: 1 });
    if (palette) palette.addItem({ command: CHOOSE, category: CATEGORY, args: { isPalette: true } });
    if (launcher) launcher.add({ command: CHOOSE, category: CATEGORY, categoryRank: -1, rank: 0, args: { isCard: true } });

    saveAfterRun(app);
    app.restored.then(async () => {
      if (browser) {
        const look = () => files.look(browser.model.path);
        browser.model.refreshed.connect(look);
        void look();
      }
      try {
        const { agents, shows_hidden: showsHidden } = await ask(app, "agents");
        if (launcher) {
          agents.slice(0, CARDS).forEach(({ name, path }, number) =>
            launcher.add({ command: OPEN, category: CATEGORY, categoryRank: -1, rank: number + 1, args: { path, name } }));
        }
        // For this page only: the user's own setting stays as it is.
        if (showsHidden && browser && typeof browser.model.showHiddenFiles === "function") browser.model.showHiddenFiles(true);
      } catch (error) {
        console.warn(`agent-workbench: ${error.message}`);
      }
      const asked = askedFirst.get(ASKED_IN_ADDRESS);
      const ticket = askedFirst.get(TICKET_IN_ADDRESS) || "";
      if (asked && asked.endsWith(".md")) await openOrSay(app, { path: asked, ticket });
    });
  }

  const tokens = [apputils.ICommandPalette, launcherPackage.ILauncher, filebrowser.IDefaultFileBrowser];
  const present = tokens.filter(Boolean);
  return {
    id: `${NAME}:open`,
    autoStart: true,
    optional: present,
    // JupyterLab hands over one service for each token, in their order.
    activate: (app, ...given) => activate(app, ...tokens.map((token) => (token ? given[present.indexOf(token)] : null))),
  };
}

// JupyterLab's router changes the address while it starts.
const askedFirst = new URLSearchParams(window.location.search);

window._JUPYTERLAB = window._JUPYTERLAB || {};
window._JUPYTERLAB[NAME] = {
  init(given) { scope = given; },
  async get() {
    const packages = await Promise.all(PACKAGES.map(shared));
    return () => ({ __esModule: true, default: [extension(packages)] });
  },
};
})();
