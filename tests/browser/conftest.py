"""One JupyterLab and one Chromium page for all browser tests, apart from the world and the user's files."""

from __future__ import annotations

import ast
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import workbench.widgets

PROJECT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
START_SECONDS = 90
WAIT_MS = 120_000
"""The longest wait for anything in a page: on a machine that does much else, most of it is that."""
AXE = Path(workbench.widgets.__file__).parent / "front" / "node_modules" / "axe-core" / "axe.min.js"

_OPEN = """async path => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = await app.commands.execute('docmanager:open', {path, factory: 'Notebook'});
  await panel.context.ready; await panel.revealed; await panel.sessionContext.ready;
  const kernel = panel.sessionContext.session.kernel;
  await kernel.info;
  app.shell.activateById(panel.id);
  return kernel.id;
}"""
_SHOW = """path => {
  const { shell } = window.jupyterapp;
  const panel = [...shell.widgets('main')].find(widget => widget.context && widget.context.path === path);
  if (panel) shell.activateById(panel.id);
}"""
_CLOSE = """async path => {
  const panel = [...window.jupyterapp.shell.widgets('main')].find(widget => widget.context && widget.context.path === path);
  if (!panel) return;
  await panel.sessionContext.shutdown();
  panel.context.model.dirty = false; // else JupyterLab asks whether to save it
  panel.close();
}"""
_RUN_ALL = "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"
_RUN_CELL = """async id => {
  const panel = window.jupyterapp.shell.currentWidget;
  panel.content.activeCellIndex = panel.content.widgets.findIndex(cell => cell.model.id === id);
  return await window.jupyterapp.commands.execute('notebook:run-cell');
}"""


@dataclass
class Lab:
    """A running JupyterLab."""

    url: str
    token: str
    root: Path
    runtime: Path

    def call(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(
            f"{self.url}/api/{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def is_alive(self) -> bool:
        """Whether its server answers."""
        try:
            self.call("status")
        except OSError:
            return False
        return True


@dataclass
class Notebook:
    """A notebook that is open in the page, with its kernel."""

    page: Any
    lab: Lab
    kernel: str
    kernel_client: Any = field(repr=False)
    path: str = ""

    def run_all(self) -> None:
        assert self.page.evaluate(_RUN_ALL) is True, "a cell raised"

    def run_cell(self, cell_id: str) -> None:
        self.page.evaluate(_RUN_CELL, cell_id)

    def output(self, cell_id: str) -> Any:
        """The output area of a cell."""
        index = self.page.evaluate(
            "id => window.jupyterapp.shell.currentWidget.content.widgets.findIndex(c => c.model.id === id)",
            cell_id,
        )
        return self.page.locator(f".jp-Notebook [data-windowed-list-index='{index}'] .jp-Cell-outputArea")

    def value(self, expression: str) -> Any:
        """What a Python expression is in the kernel, asked beside the page; it has to be a literal."""
        reply = self.kernel_client.execute(
            "", silent=True, user_expressions={"value": expression}, reply=True, timeout=WAIT_MS / 1000
        )
        value = reply["content"]["user_expressions"]["value"]
        assert value["status"] == "ok", value
        return ast.literal_eval(value["data"]["text/plain"])

    def show(self) -> None:
        """Brings it to the front."""
        self.page.evaluate(_SHOW, self.path)

    def begin_again(self) -> None:
        """As with a new kernel: the project's agents as they are, nobody edits one, and no draft of any is kept."""
        self.show()
        self.value("editor.revert() is None")  # what still waits to be kept of the draft is dropped with it
        self.value("__import__('workbench.definition.draft_state', fromlist=['open_drafts']).open_drafts.clear()")
        _restore_agents(self.lab)

    def set_pace(self, tokens_per_second: int) -> None:
        """How fast the stand-in answers from here on; 0: at once."""
        self.value(f"__import__('os').environ.update(WORKBENCH_OFFLINE_TOKENS_PER_SECOND='{tokens_per_second}')")

    def wait_for(self, expression: str, seconds: float = WAIT_MS / 1000) -> None:
        """Waits until a Python expression is true in the kernel."""
        ends = time.monotonic() + seconds
        while not self.value(f"bool({expression})"):
            assert time.monotonic() < ends, f"not true within {seconds} seconds: {expression}"
            self.page.wait_for_timeout(50)


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on a copy of the project's notebooks and agents, with settings of its own."""
    with running_lab(tmp_path_factory.mktemp("lab")) as started:
        yield started


@contextmanager
def running_lab(home: Path) -> Iterator[Lab]:
    """A JupyterLab that keeps all that is its own in this folder."""
    root = home / "project"
    for folder in ("agents", "notebooks"):
        shutil.copytree(PROJECT / folder, root / folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    (root / "outputs").mkdir()
    environment, runtime = _environment(home)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = Lab(url=f"http://127.0.0.1:{port}", token=secrets.token_hex(16), root=root, runtime=runtime)
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
                *(
                    f"--port={port}",
                    "--ServerApp.port_retries=0",
                    f"--IdentityProvider.token={started.token}",
                ),
                *(
                    f"--ServerApp.root_dir={root}",
                    "--ContentsManager.allow_hidden=True",  # as `workbench lab` starts it
                    "--ServerApp.terminals_enabled=False",
                    "--LabApp.news_url=",
                ),
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                "--LabApp.expose_app_in_browser=True",
            ],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_for_server(server, started, home / "server.log")
            yield started
            for kernel in started.call("kernels") if server.poll() is None else ():  # a test may have killed it
                started.call(f"kernels/{kernel['id']}", "DELETE")
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(60)


@pytest.fixture(scope="package")
def page(lab: Lab) -> Iterator[Any]:
    """The one page, in JupyterLab."""
    with lab_page(lab) as opened:
        yield opened


def browser_here(playwright: Any) -> Any:
    """The browser of this machine, which asks nobody for updates."""
    return playwright.chromium.launch(
        executable_path=_browser(),
        args=[
            *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update"),
        ],
    )


def new_page(opener: Any, **options: Any) -> Any:
    """A page of a browser, or of a context of it, in which everything is waited for as long as it takes."""
    opened = opener.new_page(**options)
    opened.set_default_timeout(WAIT_MS)
    return opened


@contextmanager
def lab_page(lab: Lab) -> Iterator[Any]:
    """A page in JupyterLab. Fails if anything was asked of another address than 127.0.0.1."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = browser_here(playwright)
        with page_in(browser, lab) as opened:
            yield opened
        browser.close()


@contextmanager
def page_in(browser: Any, lab: Lab) -> Iterator[Any]:
    """A page of its own in a browser that runs, in JupyterLab. Fails as `lab_page` does."""
    elsewhere: list[str] = []
    opened = new_page(browser, viewport={"width": 1500, "height": 1100})
    opened.on("request", lambda request: _note_if_elsewhere(request.url, elsewhere))
    opened.on("websocket", lambda socket: _note_if_elsewhere(socket.url, elsewhere))
    opened.goto(f"{lab.url}/lab?token={lab.token}&reset")
    opened.wait_for_function("() => window.jupyterapp")
    yield opened
    opened.close()
    assert elsewhere == []


@pytest.fixture
def author(lab: Lab, page: Any) -> Iterator[Notebook]:
    """`author.ipynb` on the project's files, run from top to bottom. Fails on an error in the page."""
    with open_notebook(lab, page, "notebooks/author.ipynb") as opened:
        opened.run_all()
        ask_anew(opened)
        yield opened


def ask_anew(author: Notebook) -> None:
    """Has the panel ask for what an earlier test put into the ledger too, so that there is something to watch."""
    author.page.get_by_role("group", name="Trial panel").get_by_label("Ask anew", exact=True).check()


TORN = "Kernel message validation error: Unexpected token 's', \"stream."
"""JupyterLab's word for a message of which the server passed on the topic as its beginning: text that a kernel printed
while it was ended by a test that kills it, on a busy machine."""


@contextmanager
def open_notebook(lab: Lab, page: Any, path: str) -> Iterator[Notebook]:
    """A notebook in the page, its kernel new, on the project's agents as they are. Fails on an error in the page."""
    from jupyter_client import BlockingKernelClient

    _restore_agents(lab)
    errors: list[str] = []

    def note(error: Any) -> None:
        if not str(error).startswith(TORN):
            errors.append(f"{error}\n{getattr(error, 'stack', '')}")

    page.on("pageerror", note)
    kernel = page.evaluate(_OPEN, path)
    client = BlockingKernelClient()
    client.load_connection_file(str(lab.runtime / f"kernel-{kernel}.json"))
    client.start_channels()
    try:
        yield Notebook(page=page, lab=lab, path=path, kernel=kernel, kernel_client=client)
    except BaseException:
        page.screenshot(path=screenshot_folder() / "failed.png")
        raise
    finally:
        client.stop_channels()
        is_alive = lab.is_alive()
        if is_alive:
            page.evaluate(_CLOSE, path)
        page.remove_listener("pageerror", note)
    assert errors == [] or not is_alive, "JupyterLab itself raises errors once a test has killed its server"


def _restore_agents(lab: Lab) -> None:
    shutil.copytree(PROJECT / "agents", lab.root / "agents", dirs_exist_ok=True)
    shutil.rmtree(lab.root / "outputs" / "drafts", ignore_errors=True)


def serious_violations(page: Any, place: Any) -> list[Any]:
    """As `violations`, those alone that are serious or critical."""
    return violations(page, place, impacts=("serious", "critical"))


def violations(page: Any, place: Any, *, impacts: tuple[str, ...] | None = None) -> list[Any]:
    """What axe-core finds in a part of the page: the rule and what it is about; of these impacts, `None`: of any.

    Skips the test where axe-core is not installed.
    """
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: `npm ci --ignore-scripts` in the front/ folder of the widgets")
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    report = place.evaluate("place => axe.run(place, {resultTypes: ['violations']})")
    return [
        (violation["id"], [node["html"][:200] for node in violation["nodes"][:3]])
        for violation in report["violations"]
        if impacts is None or violation["impact"] in impacts
    ]


@pytest.fixture(scope="package")
def screenshots() -> Path:
    """Where pictures go."""
    return screenshot_folder()


def screenshot_folder() -> Path:
    """Where pictures go; `WORKBENCH_SCREENSHOTS` names another folder."""
    folder = Path(os.environ.get("WORKBENCH_SCREENSHOTS", PROJECT / "outputs" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if os.environ.get("WORKBENCH_NO_BROWSER") == "1":
                item.add_marker(pytest.mark.skip(reason="WORKBENCH_NO_BROWSER=1 asks for no browser tests"))


def _browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail(
            f"no browser: none of {', '.join(BROWSERS)} is on the PATH. Run scripts/install-chromium, or set "
            "WORKBENCH_NO_BROWSER=1 to go without the browser tests"
        )
    return found


def _environment(home: Path) -> tuple[dict[str, str], Path]:
    """An environment in which Jupyter reads and writes nothing of the user's, and no key leads to a model."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JUPYTER", "IPYTHON", "ANTHROPIC", "WORKBENCH"))
    }
    for name in (
        *(
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_RUNTIME_DIR",
            "JUPYTER_DATA_DIR",
            "IPYTHONDIR",
            "ANTHROPIC_CONFIG_DIR",
        ),
        *("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"),
    ):
        folder = home / name.lower()
        folder.mkdir()
        environment[name] = str(folder)
    settings = {
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        # The default renders cells when idle, and trips over a notebook that is closed meanwhile.
        "notebook-extension/tracker": {"windowingMode": "defer"},
    }
    for name, values in settings.items():
        file = Path(environment["JUPYTERLAB_SETTINGS_DIR"], "@jupyterlab", f"{name}.jupyterlab-settings")
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values))
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["JUPYTER_PLATFORM_DIRS"] = "1"
    return environment, Path(environment["JUPYTER_RUNTIME_DIR"])


def _wait_for_server(server: subprocess.Popen[bytes], started: Lab, log: Path) -> None:
    ends = time.monotonic() + START_SECONDS
    while True:
        try:
            started.call("status")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if server.poll() is not None or time.monotonic() > ends:
                pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        else:
            return


def _note_if_elsewhere(url: str, elsewhere: list[str]) -> None:
    if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
        elsewhere.append(url)
