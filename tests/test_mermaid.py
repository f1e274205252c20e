from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.grading import mermaid
from workbench.grading.mermaid import merman_is_here, read_mermaid

SHARED = Path(os.environ.get("WORKBENCH_CORPUS", Path(__file__).parent.parent.parent / "shared" / "corpus")).parent
JUDGED = SHARED / "instruments" / "mermaid" / "diagrams.json"
"""48 texts, 40 of them judged by mermaid itself."""

GOOD = {
    "flowchart": [
        "flowchart TD\n  A[Start] --> B{ok?}\n  B -->|yes| C((End))\n  B -- no --> A",
        "graph LR; client-->api; api-.->queue; api==>db[(Store)]",
        "flowchart LR\n  subgraph edge [At the edge]\n    cdn --> lb\n  end\n  lb --> a & b --> db",
        '---\ntitle: Orders\n---\nflowchart LR\n  a["x (y)"]:::hot --> b\n  classDef hot fill:#f00',
        "flowchart LR\n  %% why\n  a -. maybe .-> b <--> c",
    ],
    "sequence": [
        "sequenceDiagram\n  participant C as Client\n  C->>API: order\n  API-->>C: 201",
        "sequenceDiagram\n  alt new\n    A->>B: one\n  else known\n    A-xB: two\n  end\n  Note over A,B: done",
        "sequenceDiagram\n  loop each minute\n    Worker pool->>+DB: next\n    DB-->>-Worker pool: row\n  end",
    ],
    "class": [
        "classDiagram\n  Order *-- Line\n  Order : +total() int",
        "classDiagram\n  class Repo~T~ {\n    +get(id) T\n  }\n  Service ..> Repo : uses",
    ],
    "state": [
        "stateDiagram-v2\n  [*] --> New\n  New --> Paid : pay\n  Paid --> [*]",
        "stateDiagram-v2\n  state Open {\n    [*] --> A\n    --\n    [*] --> B\n  }\n  Open --> Done",
    ],
    "er": [
        'erDiagram\n  ORDER ||--|{ LINE : has\n  LINE {\n    int id PK\n    string name "shown"\n  }',
        "erDiagram\n  A one to many B : has",
    ],
}
BAD = [
    "flowchart TD\n  A[Start --> B",
    "flowchart TD\n  A -->",
    "flowchart TD\n  A[x (y)] --> B",
    "flowchart TD\n  subgraph one\n  A --> B",
    "flowchart TD\n  A --> end",
    "sequenceDiagram\n  A->>B",
    "sequenceDiagram\n  alt x\n  A->>B: y",
    "sequenceDiagram\n  else x\n  A->>B: y",
    "classDiagram\n  class A {\n  +int x",
    "classDiagram\n  A <|--",
    "stateDiagram-v2\n  A -> B",
    "stateDiagram-v2\n  state X {\n  A --> B",
    "erDiagram\n  A ||--o{ B",
    "erDiagram\n  A |--o B : x",
    "x",
    "this is a flowchart of the system",
    "",
]
EMPTY = ["graph TD", "flowchart LR", "sequenceDiagram", "classDiagram", "erDiagram", "flowchart TD\n  A", "pie"]


@pytest.fixture
def without_merman(monkeypatch: pytest.MonkeyPatch) -> None:
    read_mermaid.cache_clear()
    monkeypatch.setattr(mermaid, "merman_is_here", lambda: False)
    yield  # type: ignore[misc]
    read_mermaid.cache_clear()


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in GOOD.items() for text in texts])
def test_diagram_is_read(without_merman: None, kind: str, text: str) -> None:
    found = read_mermaid(text)

    assert (found.kind, found.problem, found.shows_something) == (kind, "", True)


@pytest.mark.parametrize("text", BAD)
def test_text_that_would_not_be_drawn_is_no_diagram(without_merman: None, text: str) -> None:
    assert read_mermaid(text).problem
    assert not read_mermaid(text).shows_something


@pytest.mark.parametrize("text", EMPTY)
def test_header_alone_shows_nothing(without_merman: None, text: str) -> None:
    assert not read_mermaid(text).shows_something


def test_fault_names_its_line(without_merman: None) -> None:
    assert read_mermaid("flowchart TD\n  A --> B\n  C --> [D").problem == "line 3 cannot be read: C --> [D"


def judged() -> list[dict[str, Any]]:
    if not JUDGED.is_file():
        pytest.skip(f"the diagrams that mermaid itself has judged are not at {JUDGED}")
    found: list[dict[str, Any]] = json.loads(JUDGED.read_text(encoding="utf-8"))
    return found


def test_own_grammar_says_what_mermaid_says(without_merman: None) -> None:
    differ = [each["text"] for each in judged() if read_mermaid(each["text"]).shows_something is not bool(each["good"])]

    assert differ == []


@pytest.mark.skipif(not merman_is_here(), reason="merman is not installed: pip install 'agent-workbench[mermaid]'")
def test_merman_says_what_mermaid_says() -> None:
    read_mermaid.cache_clear()

    assert [
        each["text"] for each in judged() if read_mermaid(each["text"]).shows_something is not bool(each["good"])
    ] == []


_PARSES = """
import DOMPurify from 'dompurify';
import { readFileSync } from 'node:fs';
for (const name of ['addHook', 'removeHook', 'removeAllHooks', 'setConfig', 'clearConfig']) DOMPurify[name] ??= () => {};
DOMPurify.sanitize = text => String(text);
globalThis.window = { CSS: { supports: () => true } };
const { default: mermaid } = await import('mermaid');
const said = [];
for (const text of JSON.parse(readFileSync(0, 'utf8')))
  said.push(await mermaid.parse(text).then(() => true, () => false));
console.log(JSON.stringify(said));
"""
"""mermaid's own parser without a page: what it makes clean with DOMPurify is not shown to anybody."""


def mermaid_says(texts: list[str]) -> list[bool]:
    """Whether mermaid itself would draw each of the texts."""
    folder, node = os.environ.get("WORKBENCH_MERMAID"), shutil.which("node")
    if not folder:
        pytest.skip("WORKBENCH_MERMAID names no folder in which `npm install mermaid` was run")
    if node is None:
        pytest.skip("there is no node on the path, which mermaid needs")
    ran = subprocess.run(
        [node, "--input-type=module", "-e", _PARSES],
        cwd=folder,
        input=json.dumps(texts),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    said: list[bool] = json.loads(ran.stdout)
    return said


def test_mermaid_itself_would_draw_what_the_own_grammar_reads_and_nothing_else(without_merman: None) -> None:
    texts = [*BAD, *(text for texts in GOOD.values() for text in texts)]

    assert mermaid_says(texts) == [read_mermaid(text).shows_something for text in texts]
    assert any(mermaid_says(EMPTY)), "a header alone is drawn by mermaid, and shows nothing"


def test_mermaid_itself_says_of_the_judged_diagrams_what_is_kept_of_it(without_merman: None) -> None:
    known = judged()
    said = mermaid_says([each["text"] for each in known])

    assert [
        each["text"]
        for each, drawn in zip(known, said, strict=True)
        if each["good"] is not None and drawn != each["good"]
    ] == []
    # Of the salads a header alone is drawn by mermaid, and is no diagram here.
    assert [
        each["text"]
        for each, drawn in zip(known, said, strict=True)
        if read_mermaid(each["text"]).shows_something > drawn
    ] == []


@given(st.sampled_from([*BAD, *EMPTY, *(text for texts in GOOD.values() for text in texts)]), st.text(max_size=20))
def test_no_text_makes_it_raise(begin: str, more: str) -> None:
    read_mermaid(begin + more)
    read_mermaid(more + begin)


def test_a_very_long_text_is_not_read() -> None:
    assert "characters" in read_mermaid("graph TD\n" + "A-->B\n" * 20_000).problem
