"""The documentation builds without a warning, its links lead somewhere, and it asks for nothing from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest

import workbench
from workbench import cli
from workbench.grading.catalogue import standard
from workbench.ledger.schema import tables

PROJECT = Path(__file__).parents[1]
SOURCE = PROJECT / "docs"

pytestmark = pytest.mark.timeout(600)


class Page(HTMLParser):
    """The links and anchors of a page, and what a browser would load for it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.loads: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := given.get(name))}
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        loaded = given.get("src") or (given.get("href") if tag == "link" and given.get("rel") != "canonical" else None)
        if loaded:
            self.loads.append(loaded)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    options = ("--fail-on-warning", "--keep-going", "--nitpicky", "--quiet")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, "-d", str(folder.parent / "trees"), str(SOURCE), str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(workbench.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_page_is_in_it(site: Path) -> None:
    written = {path.relative_to(SOURCE).with_suffix("").as_posix() for path in SOURCE.rglob("*.md")}
    written -= {name for name in written if name.startswith(("_build/", "recipes/"))}

    assert {name for name in written if not (site / f"{name}.html").is_file()} == set()


def test_every_link_leads_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or not (parts.path or parts.fragment):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                broken.append(f"{path.relative_to(site)}: {link}")
            elif target in pages and parts.fragment and unquote(parts.fragment) not in pages[target].anchors:
                broken.append(f"{path.relative_to(site)}: {link} (no such place in it)")

    assert broken == []


def test_a_browser_loads_nothing_from_elsewhere(pages: dict[Path, Page]) -> None:
    assert {
        load for page in pages.values() for load in page.loads if urlsplit(load).scheme not in ("", "data")
    } == set()


_EXIT = re.compile(r'^(?P<name>EXIT_\w+) = \d+\n(?:"""(?P<said>.+?)""")?', re.DOTALL | re.MULTILINE)


def exits() -> list[str]:
    """What every command says of the codes that it exits with, or the name of one of which nothing is said."""
    texts = [path.read_text(encoding="utf-8") for path in Path(workbench.__file__).parent.rglob("*.py")]
    found = [each["said"] or each["name"] for text in texts for each in _EXIT.finditer(text)]
    return [" ".join(said.replace("`", "").split()) for said in found]


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("commands", [f"workbench {name}" for name in cli.main.list_commands(click.Context(cli.main))]),
        ("python", [f"wb.{name}" for name in workbench.__all__ if name != "graders"]),
        ("graders", list(standard())),
        ("ledger", [column.name for table in tables.sorted_tables for column in table.columns]),
        (
            "environment",
            [
                *("WORKBENCH_LEDGER", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
                *("ANTHROPIC_CONFIG_DIR", "CLAUDE_CONFIG_DIR"),
            ],
        ),
        ("exit-codes", ["3", "130", *exits()]),
        ("task-file", ["variables", "context"]),
        ("record", ["trials.jsonl", "stop_reason"]),
    ],
)
def test_the_reference_holds_what_the_code_has(site: Path, name: str, held: list[str]) -> None:
    text = Page(site / "reference" / f"{name}.html").text

    assert [each for each in held if each not in text] == []


def test_the_links_of_the_other_documents_lead_somewhere() -> None:
    broken = []
    for path in PROJECT.glob("*.md"):
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if not urlsplit(link).scheme and not (path.parent / urlsplit(link).path).exists():
                broken.append(f"{path.name}: {link}")

    assert broken == []


_FENCES = re.compile(r"^```(?P<language>python|yaml)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def fences(language: str) -> list[tuple[str, str]]:
    """The blocks of this language in the how-to pages, each with the page's name."""
    return [
        (path.name, found["text"])
        for path in sorted((SOURCE / "how-to").glob("*.md"))
        for found in _FENCES.finditer(path.read_text(encoding="utf-8"))
        if found["language"] == language
    ]


@pytest.mark.parametrize(("page", "code"), fences("python"), ids=lambda value: value if value.endswith(".md") else "")
def test_python_of_the_how_to_pages_runs(page: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(PROJECT / "agents", tmp_path / "agents")
    monkeypatch.chdir(tmp_path)

    exec(compile(code, page, "exec"), {})


def test_the_task_file_of_the_how_to_page_is_one(tmp_path: Path) -> None:
    text, several, replies = [text for page, text in fences("yaml") if page == "tasks.md"]
    (tmp_path / "x.tasks.yaml").write_text(text)
    (tmp_path / "z.tasks.yaml").write_text(replies)
    told = str(workbench.check_tasks(tmp_path / "z.tasks.yaml"))
    assert "fine (1 task, 2 promises, 5 known replies)\n  note: promises for which a bad reply scores as high" in told
    assert "note: words alone keep 1 of 2 promises (locking): " in told
    (tmp_path / "y.tasks.yaml").write_text(several)

    assert [task.id for task in workbench.load_tasks(tmp_path / "y.tasks.yaml")][:2] == [
        "port[lang=Go, users=10]",
        "port[lang=Go, users=10000]",
    ]
    [task] = workbench.load_tasks(tmp_path / "x.tasks.yaml")
    assert "40 workers" in task.input
    workbench.plan_trials(
        {"base": workbench.load_agent(PROJECT / "agents" / "senior-python-architect.md")},
        [task],
        repeats=1,
        graders=workbench.graders.standard(),
    )


def test_the_batch_of_the_how_to_page_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.headless.batch_plan import load_batch

    text, each_night = [text for page, text in fences("yaml") if page == "batch.md"]
    (tmp_path / ".claude" / "agents").mkdir(parents=True)
    for suffix in (".md", ".tasks.yaml"):
        source = PROJECT / "agents" / f"senior-python-architect{suffix}"
        shutil.copy(source, tmp_path / ".claude" / "agents" / f"reviewer{suffix}")
    (tmp_path / "nightly.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)

    assert len(load_batch(Path("nightly.yaml")).jobs) == 2
    (tmp_path / "nightly.yaml").write_text(each_night)
    assert len(load_batch(Path("nightly.yaml")).jobs) == 1
