"""How paths are told: relative to where one stands where they are below it, else absolute."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from workbench.cli import main
from workbench.definition.seen import seen_from, seen_from_here


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("a/b.md", "a/b.md"),
        ("./a/../a/b.md", "a/b.md"),
        ("{here}/a/b.md", "a/b.md"),
        (".", "."),
        ("../other/b.md", "{above}/other/b.md"),
        ("{above}/here-too/b.md", "{above}/here-too/b.md"),
        ("link/b.md", "link/b.md"),
    ],
)
def test_what_is_below_is_told_from_here_and_all_else_in_full(
    named: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    (here / "a").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (here / "link").symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(here)
    names = {"here": here, "above": tmp_path}

    assert seen_from(here, named.format(**names)) == told.format(**names)
    assert seen_from_here(named.format(**names)) == Path(told.format(**names))


def test_a_link_to_the_folder_is_the_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    assert seen_from(tmp_path / "link", tmp_path / "real" / "x") == "x"


def test_the_demonstration_tells_its_files_from_where_it_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_LEDGER", raising=False)
    monkeypatch.setenv("WORKBENCH_OFFLINE_TOKENS_PER_SECOND", "0")
    done = CliRunner().invoke(main, ["demo"])

    assert done.exit_code == 0, done.output
    [page] = [line.split()[1] for line in done.output.splitlines() if line.startswith("page ")]
    assert page == "workbench-demo/outputs/demo/compare.html"
    assert (tmp_path / page).is_file()
