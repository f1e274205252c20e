"""Editor and panel in a real kernel, which gets the messages that a page sends.

ipykernel runs callbacks of widgets in its main thread (6.31, 7.4) or in a thread of their own (7.1 to 7.3). The kernel
here is the installed one; another is tried in two lines:

    pip install --no-deps --target /tmp/ipykernel-6.31 'ipykernel==6.31.*'
    WORKBENCH_IPYKERNEL=/tmp/ipykernel-6.31 pytest tests/test_kernels.py
"""

from __future__ import annotations

import ast
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient, KernelManager

pytestmark = pytest.mark.machine

PROJECT = Path(__file__).parents[1]
SETUP = """
import shutil

import workbench as wb

editor = wb.AgentEditor(wb.load_agent(shutil.copy("agents/senior-python-architect.md", "agents/{name}.md")))
panel = wb.TrialPanel(editor, wb.load_tasks("agents/senior-python-architect.tasks.yaml"))
display(editor, panel)
"""
PATIENCE_SECONDS = 60


class Page:
    """What a page is to a kernel: it keeps the state of every widget, and sends what is typed and clicked."""

    def __init__(self, client: BlockingKernelClient, *, over_subshell: bool) -> None:
        self._client = client
        self._state: dict[str, dict[str, Any]] = {}
        self.heard: list[tuple[str, Any]] = []
        """Custom messages by the id of their widget, and "idle" by the id of the cell, in the order they came."""
        self._subshell = self._open_subshell() if over_subshell else None

    def run_cell(self, code: str) -> str:
        """Sends a cell and returns its id at once."""
        return str(self._client.execute(code))

    def wait_for_cell(self, cell: str) -> None:
        while True:
            reply = self._client.get_shell_msg(timeout=PATIENCE_SECONDS)
            if reply["parent_header"].get("msg_id") == cell:
                assert reply["content"]["status"] == "ok", "\n".join(reply["content"]["traceback"])
                break
        self.hear_until(lambda: ("idle", cell) in self.heard)

    def value(self, expression: str) -> Any:
        """What an expression is in the kernel, as another cell would see it; it has to be a literal."""
        cell = self._client.execute("", silent=True, user_expressions={"value": expression})
        while True:
            reply = self._client.get_shell_msg(timeout=PATIENCE_SECONDS)
            if reply["parent_header"].get("msg_id") == cell:
                value = reply["content"]["user_expressions"]["value"]
                assert value["status"] == "ok", value
                return ast.literal_eval(value["data"]["text/plain"])

    def find(self, **state: Any) -> str:
        """The id of the newest widget with this state."""
        return [id for id, has in self._state.items() if state.items() <= has.items()][-1]

    def find_with(self, key: str) -> list[str]:
        """The ids of the widgets that have a value of this name."""
        return [id for id, has in self._state.items() if key in has]

    def see(self, widget: str, key: str) -> Any:
        return self._state[widget][key]

    def said_by(self, widget: str) -> list[dict[str, Any]]:
        """The messages of this widget so far."""
        return [said for id, said in self.heard if id == widget]

    def send(self, widget: str, content: dict[str, Any]) -> None:
        self._send(widget, {"method": "custom", "content": content})

    def set(self, widget: str, **state: Any) -> None:
        self._send(widget, {"method": "update", "state": state, "buffer_paths": []})

    def hear_until(self, is_so: Callable[[], bool]) -> None:
        """Takes what the kernel sends until this is so."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            self._take(self._client.get_iopub_msg(timeout=max(0.1, ends - time.monotonic())))

    def _take(self, message: dict[str, Any]) -> None:
        content, kind = message["content"], message["msg_type"]
        if kind == "comm_open":
            self._state[content["comm_id"]] = content["data"]["state"]
        elif kind == "comm_msg" and content["data"]["method"] == "update":
            # Panels of the pages before live on in the kernel, and go on saying what a Run would do.
            self._state.get(content["comm_id"], {}).update(content["data"]["state"])
        elif kind == "comm_msg" and content["data"]["method"] == "custom":
            self.heard.append((content["comm_id"], content["data"]["content"]))
        elif kind == "status" and content["execution_state"] == "idle":
            self.heard.append(("idle", message["parent_header"].get("msg_id")))
        assert kind != "error", "\n".join(content["traceback"])
        assert kind != "stream" or "Traceback" not in content["text"], content["text"]

    def _send(self, widget: str, data: dict[str, Any]) -> None:
        message = self._client.session.msg("comm_msg", {"comm_id": widget, "data": data})
        if self._subshell is not None:
            message["header"]["subshell_id"] = self._subshell
        self._client.shell_channel.send(message)

    def _open_subshell(self) -> str:
        """As JupyterLab does for the messages of widgets, where the kernel can."""
        request = self._client.session.msg("create_subshell_request", {})
        self._client.control_channel.send(request)
        while True:
            reply = self._client.get_control_msg(timeout=PATIENCE_SECONDS)
            if reply["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                return str(reply["content"]["subshell_id"])


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlockingKernelClient]:
    """A kernel in a project of its own, without a key. Fails if a callback raised, which is only written."""
    home = tmp_path_factory.mktemp("kernel")
    shutil.copytree(PROJECT / "agents", home / "agents")
    (home / "pyproject.toml").touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC", "WORKBENCH"))}
    environment |= {"IPYTHONDIR": str(home / "ipython"), "ANTHROPIC_CONFIG_DIR": str(home / "no-profile")}
    if folder := os.environ.get("WORKBENCH_IPYKERNEL"):
        environment["PYTHONPATH"] = folder
    manager = KernelManager(kernel_name="python3")
    with (home / "kernel.log").open("w") as log:
        manager.start_kernel(cwd=str(home), env=environment, stdout=log, stderr=log)
        client = manager.blocking_client()
        try:
            client.start_channels()
            client.wait_for_ready(timeout=PATIENCE_SECONDS)
            if folder:
                assert Page(client, over_subshell=False).value("__import__('ipykernel').__file__").startswith(folder)
            yield client
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            manager.cleanup_resources()
    assert "Traceback" not in (home / "kernel.log").read_text()


@pytest.fixture(params=["main shell", "subshell"])
def page(kernel: BlockingKernelClient, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page with a new editor and a new panel, as older pages send messages and as JupyterLab does."""
    features = kernel.kernel_info(reply=True, timeout=PATIENCE_SECONDS)["content"].get("supported_features", [])
    if request.param == "subshell" and "kernel subshells" not in features:
        pytest.skip("this ipykernel has no subshells")
    page = Page(kernel, over_subshell=request.param == "subshell")
    page.wait_for_cell(page.run_cell(SETUP.format(name=uuid.uuid4().hex)))
    yield page
    page.wait_for_cell(page.run_cell("panel.stop(); panel.wait()"))


def set_pace(page: Page, tokens_per_second: int) -> None:
    page.value(f"__import__('os').environ.update(WORKBENCH_OFFLINE_TOKENS_PER_SECOND='{tokens_per_second}')")


def type_at_end(page: Page, text: str) -> None:
    """Types into the prompt, on its newest version, and waits until the kernel says that it has it."""
    editor = page.find_with("snapshot")[-1]
    units = "len(editor.agent.prompt.encode('utf-16-le')) // 2"
    length, version = page.value(f"({units}, editor.view()._texts['prompt'].version)")
    change = [length, [0, *text.split("\n")]]
    page.send(editor, {"type": "push", "text": "prompt", "version": version, "client": "page", "updates": [change]})
    mine = {"client": "page", "changes": change}
    page.hear_until(lambda: any(mine in said.get("updates", []) for said in page.said_by(editor)))


def ask(page: Page, question: str) -> None:
    page.set(page.find(description="Question"), value=question)
    page.send(page.find(description="Run"), {"event": "click"})


def pieces(page: Page) -> list[str]:
    return [said["append"] for id, said in page.heard if id != "idle" and "append" in said]


def test_what_is_typed_reaches_the_kernel(page: Page) -> None:
    type_at_end(page, "Wörter 😀.\n")
    editor = page.find_with("snapshot")[-1]
    page.send(editor, {"type": "field", "field": "color", "value": "red", "client": "page", "seq": 1})
    page.hear_until(lambda: any(said.get("state", {}).get("heard") == {"page": 1} for said in page.said_by(editor)))

    assert page.value("(editor.agent.prompt.endswith('Wörter 😀.\\n'), editor.agent.color)") == (True, "red")


def test_cells_run_and_keys_arrive_while_replies_stream(page: Page) -> None:
    set_pace(page, 30)
    type_at_end(page, "Be brief.\n")
    ask(page, "Which queue should I take?")
    page.hear_until(lambda: len(pieces(page)) >= 4)

    page.wait_for_cell(page.run_cell("six = 2 * 3"))
    type_at_end(page, "And kind.\n")
    assert page.value("(six, panel.is_running, editor.agent.prompt.endswith('And kind.\\n'))") == (6, True, True)

    seen = len(pieces(page))
    page.hear_until(lambda: len(pieces(page)) > seen)
    page.send(page.find(description="Stop"), {"event": "click"})
    replies = page.find_with("can_answer")[-2:]
    page.hear_until(lambda: all(page.see(reply, "status").startswith("Stopped") for reply in replies))
    assert page.value("[trial.outcome for trial in panel.trials]") == ["stopped", "stopped"]
    assert all(page.see(reply, "text") for reply in replies)


def test_replies_stream_while_a_cell_waits_for_them(page: Page) -> None:
    set_pace(page, 200)
    cell = page.run_cell(
        "panel.run('Which queue should I take?', ['disk'], mode='fresh'); texts = [t.reply.text for t in panel.wait()]"
    )
    page.wait_for_cell(cell)

    came = page.heard.index(("idle", cell))
    assert len([said for id, said in page.heard[:came] if id != "idle" and "append" in said]) >= 4
    assert [page.see(page.find_with("can_answer")[-1], "text")] == page.value("texts")


def test_a_reply_is_answered_and_what_was_said_is_sent_along(page: Page) -> None:
    set_pace(page, 0)
    ask(page, "Which queue should I take?")
    page.hear_until(lambda: any(page.see(reply, "can_answer") for reply in page.find_with("can_answer")))
    reply = page.find_with("can_answer")[-1]
    page.send(reply, {"event": "answer", "text": "And if there are three?"})
    page.hear_until(lambda: not page.see(reply, "can_answer"))
    page.hear_until(lambda: page.see(reply, "can_answer"))

    assert page.value("[len(trial.request.messages) for trial in panel.trials]") == [1, 3]
