"""A run as a folder of plain files that a reviewer can read and load again, without a key or a ledger.

    run.json        what the run was: endpoint, repeats, variants, versions that made it
    agents/*.md     the agent of each variant, byte for byte
    systems/*.txt   the system prompts as they were sent, named by their hash
    tasks.jsonl     one task a line, in the order of the run
    trials.jsonl    one trial a line, in the order of the run: request, reply or failure, scores, key in the ledger
    follow_ups.jsonl  the same of what was said to replies; only where something was

The same run gives the same bytes, wherever and whenever it is exported.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from workbench.definition.agent import parse_agent
from workbench.errors import RecordError
from workbench.secrets import bytes_without_secrets
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import Endpoint, Failure, Reply, Request, Run, Score, Trial, Usage

FORMAT = 1
_UNFINISHED = "unfinished"
"""The format of a record while it is being written: one that was interrupted is not taken for a whole one."""
_LONGEST_STEM = 60
"""Characters of a variant's name in the name of its file: at four bytes each, what every file system takes."""
_FOLLOW_UPS = "follow_ups.jsonl"
_OWN = ("run.json", "agents", "systems", "tasks.jsonl", "trials.jsonl", _FOLLOW_UPS)


def export_record(run: Run, folder: str | Path) -> Path:
    """Writes the run into this folder, which is made if it is not there, and returns it.

    Raises:
        RecordError: the folder cannot be written, or holds files of these names that are not a record's.
    """
    folder = Path(folder)
    _refuse_files_of_others(folder)
    names = _file_names(run.variants)
    agents = {name: bytes_without_secrets(agent.to_bytes()) for name, agent in run.variants.items()}
    systems = {_system_file(trial.request.system): _bytes(trial.request.system) for trial in run.trials}
    systems = {name: bytes_without_secrets(systems[name]) for name in sorted(systems)}
    about = {
        "format": FORMAT,
        "answered_by": "; ".join(endpoint.label for endpoint in run.endpoints),
        "endpoint": asdict(run.endpoint),
        "repeats": run.repeats,
        "variants": [
            {"name": name, "file": f"agents/{names[name]}", "sha256": hashlib.sha256(agents[name]).hexdigest()}
            for name in run.variants
        ],
        "systems": {name: hashlib.sha256(content).hexdigest() for name, content in systems.items()},
        "lines": {
            "tasks.jsonl": len(run.tasks),
            "trials.jsonl": len(run.trials),
            **({_FOLLOW_UPS: len(run.follow_ups)} if run.follow_ups else {}),
        },
        "versions": dict(run.versions or installed_versions()),
    }
    files: dict[str, bytes] = {
        "tasks.jsonl": _lines(_task_as_json(task) for task in run.tasks),
        "trials.jsonl": _lines(_trial_as_json(trial, run.endpoint) for trial in run.trials),
    }
    files |= {f"agents/{names[name]}": content for name, content in agents.items()}
    files |= systems
    if run.follow_ups:
        files[_FOLLOW_UPS] = _lines(_trial_as_json(trial, run.endpoint) for trial in run.follow_ups)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_bytes(_indented({"format": _UNFINISHED}))
        for stale in [*folder.glob("agents/*.md"), *folder.glob("systems/*.txt"), *folder.glob(_FOLLOW_UPS)]:
            if stale.relative_to(folder).as_posix() not in files:
                stale.unlink()
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(bytes_without_secrets(content))
        (folder / "run.json").write_bytes(_indented(about))
    except OSError as error:
        raise RecordError(f"the record cannot be written: {error.strerror}", path=folder) from error
    return folder


def installed_versions() -> dict[str, str]:
    """The versions of the workbench and of the SDK that are installed here."""
    return {name: metadata.version(name) for name in ("agent-workbench", "anthropic")}


def record_folder(path: str | Path) -> Path:
    """The folder of the record that this path names: itself, or where a file of it or an executed notebook lies."""
    path = Path(path)
    return path.parent if path.is_file() else path


def load_run(folder: str | Path) -> Run:
    """The run that was exported to this folder; equal to it, but for what only its ledger knew.

    The folder may also be named by a file in it, such as the executed notebook that left the record.

    Raises:
        RecordError: a file is missing, broken, or of a format this version does not know.
    """
    folder = record_folder(folder)
    about = _json(folder / "run.json")
    if not isinstance(about, dict):
        raise RecordError("is not the run.json of a record", path=folder / "run.json")
    if about.get("format") == _UNFINISHED:
        raise RecordError("the record was not written to its end; export the run again", path=folder)
    if about.get("format") != FORMAT:
        raise RecordError(
            f"is a record of format {about.get('format')!r}; this workbench reads {FORMAT}",
            path=folder / "run.json",
        )
    try:
        endpoint = Endpoint(**about["endpoint" if "endpoint" in about else "place"])  # records of before say "place"
        variants = {}
        for variant in about["variants"]:
            path = folder / variant["file"]
            agent = parse_agent(path.read_bytes(), path=path)
            _refuse_another(path, agent.digest, variant["sha256"])
            variants[variant["name"]] = agent
        systems = {}
        sha256_of = about.get("systems", {})  # records of older workbenches lack it
        for path in folder.glob("systems/*.txt"):
            name, content = path.relative_to(folder).as_posix(), path.read_bytes()
            _refuse_another(path, hashlib.sha256(content).hexdigest(), sha256_of.get(name))
            systems[name] = content.decode("utf-8", "surrogateescape")
        lines = about.get("lines", {})
        has_follow_ups = _FOLLOW_UPS in lines or (folder / _FOLLOW_UPS).exists()
        follow_ups = _json_lines(folder / _FOLLOW_UPS, lines) if has_follow_ups else []
        return Run(
            variants=variants,
            tasks=tuple(_task_from_json(line) for line in _json_lines(folder / "tasks.jsonl", lines)),
            repeats=about["repeats"],
            endpoint=endpoint,
            trials=tuple(
                _trial_from_json(line, endpoint, systems) for line in _json_lines(folder / "trials.jsonl", lines)
            ),
            follow_ups=tuple(_trial_from_json(line, endpoint, systems) for line in follow_ups),
            versions=dict(about.get("versions", {})),
        )
    except OSError as error:
        raise RecordError(
            f"is part of the record and cannot be read: {error.strerror}; take the whole folder from where it came",
            path=error.filename,
        ) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RecordError(f"the record is incomplete: {type(error).__name__}: {error}", path=folder) from error


def _refuse_another(path: Path, found: str, recorded: str | None) -> None:
    if recorded is not None and found != recorded:
        raise RecordError("is not the file that was recorded: its sha256 differs", path=path)


def _refuse_files_of_others(folder: Path) -> None:
    found = [name for name in _OWN if (folder / name).exists()]
    if not found:
        return
    try:
        is_record = "format" in _json(folder / "run.json")
    except (RecordError, TypeError):
        is_record = False
    if not is_record:
        raise RecordError(
            f"holds {found[0]!r}, but no record of a run; name another folder, so that nothing there is overwritten",
            path=folder,
        )


def _task_as_json(task: Task) -> dict[str, Any]:
    return {name: value for name, value in asdict(task).items() if value not in (None, {}, ())}


def _task_from_json(line: Mapping[str, Any]) -> Task:
    return Task(**{**line, "graders": tuple(_spec_from_json(spec) for spec in line.get("graders", ()))})


def _spec_from_json(spec: Mapping[str, Any]) -> GraderSpec:
    # In records of before, a promise is called a label.
    return GraderSpec(**{"promise" if name == "label" else name: value for name, value in spec.items()})


def _trial_as_json(trial: Trial, usual: Endpoint) -> dict[str, Any]:
    """The line of a trial; it names its endpoint where that is not the usual one of the run."""
    elsewhere = {} if trial.endpoint == usual else {"endpoint": asdict(trial.endpoint)}
    request = asdict(trial.request) | {"system": _system_file(trial.request.system)}
    return {
        "task": trial.task_id,
        "variant": trial.variant,
        "repeat": trial.repeat,
        "twin": trial.twin,
        "outcome": trial.outcome,
        "score": trial.score,
        "scores": {label: asdict(score) for label, score in trial.scores.items()},
        "reply": None if trial.reply is None else asdict(trial.reply),
        "failure": None if trial.failure is None else asdict(trial.failure),
        "request": request,
        "key": trial.key,
        **elsewhere,
    }


def _trial_from_json(line: Mapping[str, Any], usual: Endpoint, systems: Mapping[str, str]) -> Trial:
    request = line["request"]
    reply = line["reply"]
    return Trial(
        variant=line["variant"],
        task_id=line["task"],
        repeat=line["repeat"],
        twin=line["twin"],
        request=Request(**{**request, "system": systems[request["system"]], "messages": tuple(request["messages"])}),
        endpoint=Endpoint(**line["endpoint"]) if "endpoint" in line else usual,
        reply=None if reply is None else Reply(**{**reply, "usage": Usage(**reply["usage"])}),
        failure=None if line["failure"] is None else Failure(**line["failure"]),
        scores={label: Score(**score) for label, score in line["scores"].items()},
        from_ledger=True,
    )


def _system_file(system: str) -> str:
    return f"systems/{hashlib.sha256(_bytes(system)).hexdigest()[:16]}.txt"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _file_names(variants: Iterable[str]) -> dict[str, str]:
    """A file name for each variant: its letters and digits, numbered where two would be the same."""
    names: dict[str, str] = {}
    for variant in variants:
        stem = re.sub(r"[^\w-]+", "-", variant)[:_LONGEST_STEM].strip("-") or "variant"
        taken = {name.lower() for name in names.values()}
        number = 1
        name = f"{stem}.md"
        while name.lower() in taken:
            number += 1
            name = f"{stem}-{number}.md"
        names[variant] = name
    return names


def _lines(values: Iterable[Mapping[str, Any]]) -> bytes:
    text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
    return text.encode("utf-8", "backslashreplace")


def _indented(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError("there is no record of a run here; export_record writes one", path=path) from None
    except (OSError, ValueError) as error:
        raise RecordError(f"cannot be read: {error}", path=path) from error


def _json_lines(path: Path, lines: Mapping[str, int]) -> list[Any]:
    content = path.read_bytes()
    try:
        found = [json.loads(line) for line in content.decode("utf-8").split("\n") if line]
    except ValueError as error:
        raise RecordError(f"is not JSON Lines: {error}", path=path) from error
    recorded = lines.get(path.name, len(found))
    if len(found) != recorded:
        raise RecordError(f"has {len(found)} lines, and {recorded} were recorded: part of it is lost", path=path)
    return found
