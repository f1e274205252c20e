"""A copy of a plugin in which there is nothing but its agents: to start the program on the plugin itself would run its
hooks, its servers and its monitors, which are commands of whoever wrote it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from workbench.definition.project import PLUGIN_FOLDER
from workbench.definition.there import bytes_in

_KEPT_KEYS = ("name", "version", "description")
"""Of the manifest: what says who it is, and names nothing that could be run."""
_NO_MANIFEST = "{"
"""A manifest that is none stays none."""


def write_agents_of_plugin(plugin: Path, into: Path) -> Path:
    """Writes the plugin's agents, regular files alone, and what its manifest calls it, into a folder of the plugin's
    name, which is returned: a plugin without a name in its manifest is called after its folder."""
    copy = into / plugin.name
    (copy / PLUGIN_FOLDER).mkdir(parents=True)
    manifest = plugin / PLUGIN_FOLDER / "plugin.json"
    if manifest.is_file():
        (copy / PLUGIN_FOLDER / "plugin.json").write_text(_manifest_without_rest(manifest), encoding="utf-8")
    for path in _regular_files(plugin / "agents"):
        written = copy / path.relative_to(plugin)
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_bytes(bytes_in(path))
    return copy


def _manifest_without_rest(manifest: Path) -> str:
    try:
        said = json.loads(bytes_in(manifest))
    except (ValueError, RecursionError):
        return _NO_MANIFEST
    if not isinstance(said, dict):
        return _NO_MANIFEST
    return json.dumps({key: said[key] for key in _KEPT_KEYS if key in said})


def _regular_files(agents: Path) -> Iterator[Path]:
    if agents.is_symlink():
        return
    for here, _, names in os.walk(agents):  # into no folder that is a link
        paths = (Path(here, name) for name in sorted(names) if name.endswith(".md"))
        yield from (path for path in paths if path.is_file() and not path.is_symlink())
