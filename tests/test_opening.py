"""`workbench open`: which address shows an agent file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import FileError
from workbench.widgets.opening import address_in_running, open_agent


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "project" / "agents" / "reviewer & co.md"
    path.parent.mkdir(parents=True)
    path.write_text("---\nname: reviewer\n---\n")
    return path


def _server(root: Path, *, port: int, token: str = "") -> dict[str, str]:
    return {"root_dir": str(root), "url": f"http://127.0.0.1:{port}/", "token": token}


def test_the_innermost_server_that_sees_the_file_is_used(file: Path, tmp_path: Path) -> None:
    servers = [
        _server(tmp_path, port=1),
        _server(tmp_path / "project", port=2, token="t"),
        _server(Path("/nowhere"), port=3),
    ]

    address = address_in_running(file, servers)

    assert address == "http://127.0.0.1:2/lab?workbench-open=agents/reviewer+%26+co.md&token=t"


def test_no_server_that_sees_the_file_means_no_address(file: Path, tmp_path: Path) -> None:
    assert address_in_running(file, [_server(tmp_path / "elsewhere", port=1)]) is None


@pytest.mark.parametrize(("name", "said"), [("missing.md", "no such file"), ("notes.txt", "not a Markdown file")])
def test_what_is_no_agent_file_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "notes.txt").write_text("")

    with pytest.raises(FileError, match=said):
        open_agent(tmp_path / name)
