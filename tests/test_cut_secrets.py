"""A key is taken out of a text before the text is cut: of one that is cut nobody knows any more that it is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runs import gradable, make_run, passes
from workbench.comparison.report.page import LONGEST_TEXT, text_block
from workbench.definition.header import brief
from workbench.headless.batch_plan import load_batch
from workbench.secrets import without_secrets
from workbench.trial.record import export_record, folder_name

KEY = "ghp_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYzA1b"
PARTS = {KEY[start : start + 12] for start in range(len(KEY) - 12)}


def of_batch(text: str, folder: Path) -> str:
    (folder / "plan.yaml").write_text(f"out: out\nnotebooks:\n- {{notebook: compare, name: '{text}'}}\n")
    return str(load_batch(folder / "plan.yaml").jobs[0].name)


def of_record(text: str, folder: Path) -> str:
    run = gradable(make_run({"base": passes((1, 4))}))
    trials = tuple(trial.replace(variant=text) for trial in run.trials)
    export_record(replace(run, variants={text: run.variants["base"]}, trials=trials), folder / "record")
    return " ".join(path.name for path in (folder / "record" / "agents").iterdir())


CUT: dict[str, tuple[int, Callable[[str, Path], str]]] = {
    "a file of a record": (60, of_record),
    "a folder": (60, lambda text, _: folder_name(text)),
    "a job of a batch": (60, of_batch),
    "a value in a message": (60, lambda text, _: brief(text)),
    "a text on a page": (LONGEST_TEXT, lambda text, _: str(text_block(text))),
}


@pytest.mark.parametrize("what", CUT)
@pytest.mark.parametrize("inside", [16, 30])
def test_no_part_of_a_key_is_left_where_a_text_is_cut(what: str, inside: int, tmp_path: Path) -> None:
    """Be it cut at its beginning or at its end, this much of the key is on the side that is kept."""
    longest, shorten = CUT[what]
    for text in (f"{'b' * (longest - inside - 1)} {KEY}", f"{KEY} {'b' * (longest - inside - 1)}"):
        shown = without_secrets(shorten(text, tmp_path))

        assert not [part for part in PARTS if part in shown]
