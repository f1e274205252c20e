"""The first agent and its tasks as files of one's own, to be tried and edited."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import FileError
from workbench.shipped.files import FIRST_AGENT, shipped


def write_first_agent(folder: Path) -> Path:
    """Puts the first agent and its tasks into a folder, and gives the folder back; what is there already stays.

    Raises:
        FileError: they cannot be written.
    """
    for name in (
        f"{FIRST_AGENT}.md",
        f"{FIRST_AGENT}.tasks.yaml",
        f"{FIRST_AGENT}.replies.yaml",
        f"{FIRST_AGENT}.rubric.yaml",
    ):
        target = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(shipped(f"agents/{name}").read_bytes())
        except FileExistsError:
            continue
        except OSError as error:
            raise FileError(f"cannot be written: {error.strerror}", path=target) from error
    return folder
