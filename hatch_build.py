"""The README as a package index shows it: there, a path of this repository leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_IMAGE = re.compile(r"!\[[^\]]*\]\((?!https?://|data:)[^)]*\)\n*")
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?://|mailto:|#)([^)]*)\)")


def for_an_index(readme: str) -> str:
    """The README without pictures of this repository, its links into it as what they say and where that is."""
    return _LINK.sub(lambda link: link[1] if link[1] == link[2] else f"{link[1]} ({link[2]})", _IMAGE.sub("", readme))


class ReadmeHook(MetadataHookInterface):
    """Puts it into the metadata of wheel and sdist."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_an_index(text)}
