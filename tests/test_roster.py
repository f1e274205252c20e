from __future__ import annotations

from pathlib import Path

import pytest

from workbench.definition.roster import load_roster
from workbench.errors import AgentFileError, DuplicateAgent


def write(path: Path, name: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\nname: {name}\ndescription: Does it.\n---\nBe.\n")
    return path


def test_agents_of_all_subfolders_are_found_by_name(tmp_path: Path) -> None:
    write(tmp_path / "b.md", "second")
    write(tmp_path / "deep" / "er" / "a.md", "first")
    (tmp_path / "note.txt").write_text("no agent")

    assert [(name, agent.path) for name, agent in load_roster(tmp_path).agents.items()] == [
        ("second", tmp_path / "b.md"),
        ("first", tmp_path / "deep" / "er" / "a.md"),
    ]


def test_two_files_with_one_name_are_both_named(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.md", "same"), write(tmp_path / "sub" / "b.md", "same")

    with pytest.raises(DuplicateAgent) as caught:
        load_roster(tmp_path)
    assert str(first) in str(caught.value)
    assert str(second) in str(caught.value)
    assert "'same'" in str(caught.value)


def test_file_that_claude_code_does_not_list_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# About these agents\n")
    write(tmp_path / "c.md", "'a:b'")
    roster = load_roster(tmp_path)

    assert roster.agents == {}
    assert {path.name: [problem.rule for problem in problems] for path, problems in roster.unlisted.items()} == {
        "README.md": ["no-header"],
        "c.md": ["name-colon"],
    }


def test_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(AgentFileError, match="no such folder"):
        load_roster(tmp_path / "none")
