from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.trial.progress import NotebookBar, TerminalBar, progress_bar


def test_terminal_gets_a_line_with_what_became_of_the_trials(capsys: pytest.CaptureFixture[str]) -> None:
    bar = progress_bar(4)
    bar.show(3, "2 answered, 1 failed")
    bar.close()

    assert isinstance(bar, TerminalBar)
    line = capsys.readouterr().err.split("\r")[-1]
    assert "3/4" in line
    assert "2 answered, 1 failed" in line


def test_bar_that_is_not_wanted_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    bar = progress_bar(4, shown=False)
    bar.show(4, "4 answered")
    bar.close()

    assert capsys.readouterr() == ("", "")


def test_kernel_shows_one_plain_output_that_is_updated_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, dict[str, Any]]] = []
    handle = SimpleNamespace(
        display=lambda data, raw: shown.append(("display", data)),
        update=lambda data, raw: shown.append(("update", data)),
    )
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object())))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(DisplayHandle=lambda: handle))

    bar = progress_bar(2)
    for done in (0, 1, 1, 2):
        bar.show(done, f"{done} answered")
    bar.close()

    assert isinstance(bar, NotebookBar)
    assert [kind for kind, _ in shown] == ["display", "update", "update"]
    assert shown[-1][1] == {"text/plain": "████████████████████ 2/2 trials: 2 answered"}
