"""Agents of a plugin: where they stand decides what they are called, and Claude Code is not so strict with them.

Every Markdown file below `agents` of a plugin is an agent: a header without a name, without a description, or that is
not YAML drops nothing. Measured with the version of `facts()`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.definition.document import Document
from workbench.definition.header import Problem, problem_at
from workbench.definition.project import PLUGIN_FOLDER
from workbench.definition.there import bytes_in

IGNORED_KEYS = ("hooks", "mcpServers", "permissionMode")
"""What an agent of a plugin may not bring."""


@dataclass(frozen=True, kw_only=True)
class PluginPlace:
    """Where an agent file stands in a plugin."""

    plugin: str
    folders: tuple[str, ...]
    """Between the plugin's `agents` and the file."""
    stem: str
    """The file's name without `.md`."""

    def name_of(self, values: Mapping[str, Any]) -> str:
        """What Claude Code calls the agent with these fields: `my-plugin:security:reviewer`."""
        name = values.get("name")
        text = ",".join(map(_as_text, name)) if isinstance(name, list) else _as_text(name)
        return ":".join((self.plugin, *self.folders, text or self.stem))

    def description_of(self, values: Mapping[str, Any]) -> str:
        """What the model is shown; a backslash and an n stay what they are, other than for an agent of a project."""
        return _as_text(values.get("description")) or f"Agent from {self.plugin} plugin"


def plugin_root(path: Path) -> Path | None:
    """The folder of the plugin that this file is in; `None`: in none."""
    return next((root for root in path.resolve().parents if (root / PLUGIN_FOLDER).is_dir()), None)


def plugin_place(path: Path) -> PluginPlace | None:
    """Where this file stands in a plugin; `None`: in none, or not below its `agents`."""
    real = path.resolve()
    folders = (real, *real.parents)
    agents = [number for number, folder in enumerate(folders) if folder.name == "agents"]
    if not agents:
        return None  # as for most files, and the disk is not asked
    below = folders[1 : agents[-1] + 2]
    root = next((folder for folder in below if (folder / PLUGIN_FOLDER).is_dir()), None)
    return None if root is None else place_in_plugin(real, root)


def place_in_plugin(path: Path, root: Path) -> PluginPlace | None:
    """Where this file stands in the plugin of this folder, which need not say that it is one; `None`: not below its
    `agents`."""
    inside = path.relative_to(root).parts
    if inside[0] != "agents" or path.suffix != ".md":
        return None
    return PluginPlace(plugin=plugin_name(root), folders=inside[1:-1], stem=path.stem)


def plugin_name(root: Path) -> str:
    """What the manifest calls the plugin in this folder; the folder's name where it does not say."""
    try:
        name = json.loads(bytes_in(root / PLUGIN_FOLDER / "plugin.json"))["name"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return root.name
    return name if isinstance(name, str) and name.strip() else root.name


def plugin_problems(document: Document, values: Mapping[str, Any], place: PluginPlace) -> Iterator[Problem]:
    """What is doubtful in an agent of a plugin, and in no other."""
    for key in ("name", "description"):
        if not _as_text(values.get(key)) and not (key == "name" and isinstance(values.get(key), list)):
            given = place.name_of({}) if key == "name" else place.description_of({})
            entry = document.entry(key)
            message = f"There is no `{key}` that Claude Code takes, and it shows {given!r} instead."
            fix = f"Write `{key}: ...` in the header."
            yield (
                problem_at(entry, "plugin-placeholder", "warning", message, fix)
                if entry is not None
                else Problem(rule="plugin-placeholder", severity="warning", field=key, message=message, fix=fix)
            )
    if (entry := document.entry("name")) is not None and not isinstance(values.get("name"), str | None):
        yield problem_at(
            entry,
            "plugin-name",
            "warning",
            f"`name` is no text to YAML; Claude Code calls the agent {place.name_of(values)!r}, and `claude plugin "
            "validate` an error.",
            "Put it in quotes.",
        )
    for key in IGNORED_KEYS:
        if (entry := document.entry(key)) is not None and entry.value is not None:
            yield problem_at(
                entry,
                "plugin-ignores",
                "warning",
                f"Claude Code ignores `{key}` in an agent of a plugin.",
                "Remove it, or say it in the plugin's own files." if key != "permissionMode" else "Remove it.",
            )


def _as_text(value: Any) -> str:
    """Text, a number and a truth as Claude Code writes them; empty for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else ""
