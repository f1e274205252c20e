from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.messages_server import MessagesServer, serve
from workbench.definition.agent import Agent, parse_agent

REPOSITORY = Path(__file__).parent.parent

# A busy machine makes no example wrong.
settings.register_profile("workbench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("workbench")


MOST_RERUNS = 2
RUN_AGAIN = ("browser", "machine")
"""The marks of the tests that may fail for what else this machine does."""
_FAILED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.hasplugin("rerunfailures"):
        config.option.rerun_show_tracebacks = True  # what failed at first is to be seen, and mended


LONG_FILES = (
    "wheel",
    "notebook_batch",
    "kills",
    "docs",
    "recipes",
    "recipes_ci",
    "ci",
    "labels",
    "kept_records",
    "html",
)
"""These take longest, so they begin before the others, each in one process: one that began last would be waited for."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long files first, the longest before the browser's. Of all, those alone that `RUN_AGAIN` names are run again:
    whatever else fails once, fails. All runs of a test are within its one timeout."""
    items.sort(key=_begins)
    if config.pluginmanager.hasplugin("rerunfailures"):
        for item in items:
            if any(item.get_closest_marker(name) for name in RUN_AGAIN):
                item.add_marker(pytest.mark.flaky(reruns=MOST_RERUNS, rerun_except="Timeout .* from pytest-timeout"))


def _begins(item: pytest.Item) -> int:
    """The longest file is 0; the browser's follow, which share one JupyterLab and are not parted."""
    if item.get_closest_marker("browser") and item.path.parent.name == "browser":
        return 1
    name = item.path.stem.removeprefix("test_")
    return 2 * LONG_FILES.index(name) if name in LONG_FILES else 2 * len(LONG_FILES)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    item.stash[_FAILED] = report.failed or (report.when != "setup" and item.stash.get(_FAILED, False))
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Whoever comes after such a failure, the same test too, gets all fixtures anew: what is broken may be one of them,
    such as a kernel, a page or a server."""
    if item.stash.get(_FAILED, False) and any(item.get_closest_marker(name) for name in RUN_AGAIN):
        item.session._setupstate.teardown_exact(None)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees a key, a profile or the author's own ledger."""
    for name in list(os.environ):
        if name.startswith(
            (
                "ANTHROPIC_",
                "CLAUDE_CODE_SUBAGENT_MODEL",
                "WORKBENCH_OFFLINE",
                "WORKBENCH_HEADLESS",
                "WORKBENCH_LEDGER",
                "WORKBENCH_PRICES",
                "WORKBENCH_BUDGET",
                "WORKBENCH_TRACING",
            )
        ):
            monkeypatch.delenv(name)
    private = tmp_path_factory.mktemp("private")
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(private / "no-profile"))
    monkeypatch.setenv("WORKBENCH_LEDGER", str(private / "ledger.sqlite"))


@pytest.fixture(autouse=True)
def nobody_looks_on() -> Iterator[None]:
    """A panel that a test has left looks every second at what changed, and would open the ledger of the next one."""
    yield
    if (watch := sys.modules.get("workbench.widgets.watch")) is not None:
        with watch._calling:
            watch._looking.clear()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real and odd agent files; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("WORKBENCH_CORPUS") or REPOSITORY.parent / "shared" / "corpus")
    if not (folder / "claude_code_reading.jsonl").is_file():
        pytest.skip(f"the corpus of agent files is not at {folder}; name its folder in WORKBENCH_CORPUS")
    return folder


@pytest.fixture
def agent() -> Agent:
    return parse_agent(
        "---\nname: architect\ndescription: Designs things\nmodel: sonnet\n---\n\n"
        "You are an architect.\n- Ask clarifying questions when requirements are unclear.\n- Use strict type hints.\n"
    )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MessagesServer]:
    """A Messages API on 127.0.0.1 that the environment names."""
    with serve() as running:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", running.url)
        yield running
