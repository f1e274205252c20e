"""What the extension in JupyterLab's page asks its server: which agents there are, and the notebook of one.

`etc/jupyter/jupyter_server_config.d/agent-workbench.json`, which is installed with the package, switches this on. No
model is asked here, and no code of a project is run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import nbformat
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import ensure_async, url_path_join
from tornado.web import HTTPError, authenticated

from workbench.definition.finding import find_agents
from workbench.definition.project import looks_like_agent_file, project_folder
from workbench.definition.there import text_in
from workbench.errors import FileError
from workbench.widgets.notebooks import CELLS_TO_OPEN_WITH, KERNEL, KERNELS, write_agent_notebook
from workbench.widgets.opening import ASKED_IN_ADDRESS, OPENING, TICKET_IN_ADDRESS, project_of, take_ticket


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "workbench.widgets.server"}]


def _load_jupyter_server_extension(app: Any) -> None:
    base = app.web_app.settings["base_url"]
    app.kernel_spec_manager.kernel_dirs.append(str(KERNELS))
    app.web_app.add_handlers(
        ".*$",
        [
            (url_path_join(base, OPENING, r"([\w-]+)/(.+)"), _Open),
            (url_path_join(base, "workbench/agents"), _Agents),
            (url_path_join(base, "workbench/agent-files"), _AgentFiles),
            (url_path_join(base, "workbench/notebook"), _Notebook),
        ],
    )


class _Open(JupyterHandler):
    """Goes on to JupyterLab with an agent file opened: an address without a query, to which a token can be added."""

    @authenticated
    def get(self, ticket: str, path: str) -> None:
        asked = urlencode({ASKED_IN_ADDRESS: path, TICKET_IN_ADDRESS: ticket}, safe="/")
        self.redirect(f"{url_path_join(self.base_url, 'lab')}?{asked}")


class _Agents(APIHandler):
    """The agents of the project that JupyterLab was started on, those of its plugins and of the user's home."""

    @authenticated
    def get(self) -> None:
        root = _root(self)
        found = [
            {"name": agent.name, "kind": agent.kind, "path": _seen_from(root, agent.path)}
            for agent in find_agents(project_folder(root))
        ]
        self.finish(json.dumps({"agents": found, "shows_hidden": bool(self.contents_manager.allow_hidden)}))


class _AgentFiles(APIHandler):
    """The names of the agent files in one folder, as its listing shows it."""

    @authenticated
    def get(self) -> None:
        root = _root(self)
        folder = (root / self.get_query_argument("folder", "").strip("/")).resolve()
        if not folder.is_relative_to(root) or not folder.is_dir():
            raise HTTPError(404, "there is no such folder")
        self.finish(
            json.dumps({"names": sorted(path.name for path in folder.iterdir() if looks_like_agent_file(path))})
        )


class _Notebook(APIHandler):
    """Makes the notebook of an agent file, or finds it; says which cells to run, if any may be run."""

    @authenticated
    async def post(self) -> None:
        asked = self.get_json_body() or {}
        root = _root(self)
        path = (root / str(asked.get("path", ""))).resolve()
        if path.suffix != ".md" or not path.is_file():
            raise HTTPError(404, f"there is no agent file {asked.get('path')}")
        project = project_of(path)
        if not project.is_relative_to(root):
            project = root
        try:
            notebook = write_agent_notebook(path, project, kernel=await self._own_kernel())
        except FileError as error:
            raise HTTPError(409, str(error)) from error
        # An address may come from anywhere: it may open a notebook, and run only one made here and now. Who was sent
        # by `workbench open` has a ticket, and a click in the page needs none. Neither asked for the code of a
        # notebook that came along with the project: it runs if Jupyter trusts it, as all that was made or saved here.
        document = nbformat.reads(text_in(notebook.path), as_version=4)
        notary = self.contents_manager.notary
        if notebook.is_new:
            notary.sign(document)
        is_asked_for = asked.get("clicked") is True or take_ticket(str(asked.get("ticket", "")))
        may_run = notebook.is_new or (is_asked_for and notary.check_signature(document))
        self.finish(
            json.dumps(
                {
                    "notebook": notebook.path.relative_to(root).as_posix(),
                    "cells": list(CELLS_TO_OPEN_WITH) if may_run else [],
                }
            )
        )

    async def _own_kernel(self) -> str | None:
        """The name of the kernel of these notebooks; `None` where kernels are another server's, which lacks it."""
        offered = await ensure_async(self.kernel_spec_manager.get_all_specs())
        return KERNEL if KERNEL in offered else None


def _root(handler: JupyterHandler) -> Path:
    return Path(handler.contents_manager.root_dir).resolve()


def _seen_from(root: Path, path: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
