"""A run as a folder of plain files that a reviewer can read and load again, without a key or a ledger.

    run.json        what the run was: endpoint, repeats, variants, versions that made it, the hash of every file
    agents/*.md     the agent of each variant, byte for byte
    systems/*.txt   the system prompts as they were sent, named by their hash
    tasks.jsonl     one task a line, in the order of the run
    trials.jsonl    one trial a line, in the order of the run: request, reply or failure, scores, key in the ledger
    follow_ups.jsonl  the same of what was said to replies; only where something was
    judged/*.jsonl  the calls that asked judges, by rubric; only where replies were judged

Each line and each file has its hash, and what was changed is named when the record is loaded. The same run gives the
same bytes, wherever and whenever it is exported. The hashes find what was damaged or edited by hand; they hold no key,
so whoever edits a line may write its hash anew. That is why scores are found again from the replies where a record is
read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.project import RECORD_FILE
from workbench.definition.there import bytes_in, is_file_there
from workbench.errors import RecordError
from workbench.markup import counted
from workbench.secrets import scrubber, without_secrets
from workbench.trial.certificate import certificate_as_values, certificate_from
from workbench.trial.paid import Paid
from workbench.trial.record_aside import HASH_OF_LINE, REPORT_FOLDER, folder_aside, save_aside, would_be_lost
from workbench.trial.record_files import (
    FOLLOW_UPS,
    JUDGED,
    RECORD_PARTS,
    TASKS,
    TRIALS,
    file_of_record,
    own_files,
    remove_files,
    save_waiting,
    write_alone,
    write_waiting,
)
from workbench.trial.rubric import Rubric, rubric_as_values, rubric_from
from workbench.trial.task import GraderSpec, Task
from workbench.trial.trial import (
    Endpoint,
    Failure,
    Frame,
    Judged,
    Reply,
    Request,
    Run,
    Score,
    Trial,
    Usage,
    wrong_pairs,
)

_log = logging.getLogger(__name__)

FORMAT = 2
"""From 2 on a record has all hashes; one of format 1 may be older than they are."""
_READ = (1, FORMAT)
_UNFINISHED = "unfinished"
"""The format that older workbenches gave a record while they wrote it: one that was interrupted is no whole one."""
_LONGEST_STEM = 60
"""Characters of a variant's name in the name of its file: at four bytes each, what every file system takes."""


def export_record(run: Run, folder: str | Path) -> Path:
    """Writes the run into this folder, which is made if it is not there, and returns it.

    A record of another run that lies there is moved beside the folder first, with its report, and a warning says where
    to (`workbench.trial.record_aside` has the rule). Whatever ends this, the folder has the record of before or the
    new one. A record is for others to read, so secrets are taken out of it. Where that changes a file, `run.json` has
    the SHA-256 of the original beside that of the file.

    Raises:
        RecordError: the folder cannot be written, or holds files of these names that are not a record's.
    """
    folder = Path(folder)
    clean = scrubber()
    names = _file_names(run.variants, clean)
    files = _files_of(run, {name: f"agents/{file}" for name, file in names.items()}, clean)
    written = {name: file.written for name, file in files.items()}
    about = {
        "format": FORMAT,
        "answered_by": "; ".join(endpoint.in_words for endpoint in run.endpoints),
        "endpoint": asdict(run.endpoint),
        "repeats": run.repeats,
        "variants": [
            {"name": name, "file": f"agents/{names[name]}", "sha256": _sha256(written[f"agents/{names[name]}"])}
            for name in run.variants
        ],
        "files": {name: _about_file(name, file, run.originals) for name, file in files.items()},
        "lines": {
            TASKS: len(run.tasks),
            TRIALS: len(run.trials),
            **({FOLLOW_UPS: len(run.follow_ups)} if run.follow_ups else {}),
            **{_judged_file(each.rubric): len(each.calls) for each in run.judged},
        },
        **({"pairs": [list(pair) for pair in run.pairs]} if run.pairs else {}),
        **({"judged": [_judged_as_json(each) for each in run.judged]} if run.judged else {}),
        "versions": dict(run.versions or installed_versions()),
    }
    about = json.loads(clean(_text(about)))  # such as the name of a variant
    written[RECORD_FILE] = _indented(about | {"sha256": _hash_of(about)})
    with write_alone(folder):
        write_waiting(folder, written)
        _save_another_aside(folder, written)
        save_waiting(folder, written=True)
    return folder


def _save_another_aside(folder: Path, written: Mapping[str, bytes]) -> None:
    if not would_be_lost(folder, written):
        return
    own = own_files(folder)
    names = [*(RECORD_PARTS if own is None else (*written, *own)), REPORT_FOLDER]
    aside = folder_aside(folder, left_as=folder / RECORD_FILE, holding=names)
    save_aside(folder, names, aside)
    # With its `run.json` the folder would lose the mark of being a record's: the new one takes its place.
    remove_files(folder, [name for name in names if name != RECORD_FILE])
    _log.warning("%s held the record of another run, which is now in %s", folder, aside)


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    """A file of a record: as the run has it, and as it is written, without secrets."""

    original: bytes
    written: bytes


def _files_of(run: Run, agent_files: Mapping[str, str], clean: Callable[[str], str]) -> dict[str, _File]:
    """The files of a record but `run.json`, by name, in the order in which they are written."""
    systems: dict[str, str] = {}
    """By system prompt, the name of its file: by the hash of what is written, so that a loaded run has the same."""
    texts: dict[str, _File] = {}
    for system in dict.fromkeys(trial.request.system for trial in _all_trials(run)):
        file = _cleaned(_bytes(system), clean)
        systems[system] = f"systems/{_sha256(file.written)[:16]}.txt"
        texts.setdefault(systems[system], file)
    lines = {
        TASKS: [_task_as_json(task) for task in run.tasks],
        TRIALS: [_trial_as_json(trial, run.endpoint, systems) for trial in run.trials],
    }
    if run.follow_ups:
        lines[FOLLOW_UPS] = [_trial_as_json(trial, run.endpoint, systems) for trial in run.follow_ups]
    for each in run.judged:
        lines[_judged_file(each.rubric)] = [_trial_as_json(call, run.endpoint, systems) for call in each.calls]
    files = {name: _lines(values, clean) for name, values in lines.items()}
    files |= {agent_files[name]: _cleaned(agent.to_bytes(), clean) for name, agent in run.variants.items()}
    return files | {name: texts[name] for name in sorted(texts)}


def _all_trials(run: Run) -> list[Trial]:
    return [*run.trials, *run.follow_ups, *(call for each in run.judged for call in each.calls)]


def _judged_file(rubric: Rubric) -> str:
    """By the hash of its name, which may be anything."""
    return f"{JUDGED}/{_sha256(_bytes(rubric.name))[:16]}.jsonl"


def _judged_as_json(judged: Judged) -> dict[str, Any]:
    return {
        "file": _judged_file(judged.rubric),
        "rubric": rubric_as_values(judged.rubric),
        "prompt_sha256": judged.prompt_sha256,
        "certificates": [certificate_as_values(each) for each in judged.certificates],
    }


def _cleaned(content: bytes, clean: Callable[[str], str]) -> _File:
    text = content.decode("utf-8", "surrogateescape")
    cleaned = clean(text)
    return _File(original=content, written=content if cleaned == text else _bytes(cleaned))


def _about_file(name: str, file: _File, originals: Mapping[str, str]) -> dict[str, str]:
    """Its hashes; that of the original where it is another, here or in the record that the run was loaded from."""
    about = {"sha256": _sha256(file.written)}
    if file.original != file.written:
        return about | {"original_sha256": _sha256(file.original)}
    return about | ({"original_sha256": originals[name]} if name in originals else {})


def installed_versions() -> dict[str, str]:
    """The versions of the workbench and of the SDK that are installed here."""
    return {name: metadata.version(name) for name in ("agent-workbench", "anthropic")}


def folder_name(text: str) -> str:
    """A name for a folder: readable, without secrets, and another one for each text."""
    # Of a key that is cut nobody knows any more that it is one.
    readable = re.sub(r"[^\w.-]+", "-", without_secrets(text)).strip("-.")[-60:].lstrip("-.")
    return f"{readable}-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def record_folder(path: str | Path) -> Path:
    """The folder of the record that this path names: itself, or where a file of it or an executed notebook lies."""
    path = Path(path)
    return path.parent if is_file_there(path) else path


def load_run(folder: str | Path) -> Run:
    """The run that was exported to this folder; equal to it, but for what only its ledger knew.

    The folder may also be named by a file in it, such as the executed notebook that left the record. Every file is
    compared with the hashes in `run.json`; a record of before that has none is loaded with a remark. A trial of a
    record from which secrets were taken out keeps the key of what was asked. The scores are those that stand in the
    record, and each trial says so (`Trial.as_recorded`): the `load_run` of `import workbench` finds them again.

    Raises:
        RecordError: a file is missing, broken, changed since, no file of the record's own folder, or of a format this
            version does not know.
    """
    folder = record_folder(folder)
    about = _about(folder)
    try:
        files = _recorded_files(about)
        endpoint = Endpoint(**about["endpoint" if "endpoint" in about else "place"])  # records of before say "place"
        variants = {}
        for variant in about["variants"]:
            name = variant["file"]
            content = _read(folder, name)
            _refuse_another(folder / name, _sha256(content), variant["sha256"])
            variants[variant["name"]] = parse_agent(content, path=folder / name)
        systems = {
            name: _content(folder, name, files).decode("utf-8", "surrogateescape")
            for name in _system_files(folder, about)
        }
        lines = about.get("lines", {})
        # A record of before does not list them.
        has_follow_ups = FOLLOW_UPS in lines or ("files" not in about and (folder / FOLLOW_UPS).exists())
        tasks = _json_lines(folder, TASKS, lines, files)
        trials = _json_lines(folder, TRIALS, lines, files)
        follow_ups = _json_lines(folder, FOLLOW_UPS, lines, files) if has_follow_ups else []
        judged = [(each, _json_lines(folder, each["file"], lines, files)) for each in about.get("judged", ())]
        originals = {name: each["original_sha256"] for name, each in files.items() if "original_sha256" in each}

        tasks_read = tuple(_task_from_json(line) for line in tasks)
        named = {task.id: tuple(spec.promise for spec in task.graders) for task in tasks_read}

        def trial_of(line: Mapping[str, Any]) -> Trial:
            trial = _trial_from_json(line, endpoint, systems)
            if "files" in about:
                _refuse_contradiction(trial, line, folder, key_may_differ=bool(originals))
            if originals:
                trial.with_key(line["key"])
            if trial.outcome != "answered":
                return trial
            return trial.replace(as_recorded=_promises((*named.get(trial.task_id, ()), *trial.scores)))

        return Run(
            variants=variants,
            tasks=tasks_read,
            repeats=about["repeats"],
            endpoint=endpoint,
            trials=tuple(map(trial_of, trials)),
            follow_ups=tuple(map(trial_of, follow_ups)),
            judged=tuple(
                Judged(
                    rubric=rubric_from(each["rubric"]),
                    calls=tuple(map(trial_of, calls)),
                    prompt_sha256=each["prompt_sha256"],
                    certificates=tuple(map(certificate_from, each["certificates"])),
                )
                for each, calls in judged
            ),
            pairs=_pairs(about, variants),
            versions=dict(about.get("versions", {})),
            originals=originals,
            remarks=(
                *_remarks(about, originals, {variant["file"]: variant["name"] for variant in about["variants"]}),
                *(() if originals else _other_personas(variants, trials, systems)),
            ),
        )
    except OSError as error:
        raise RecordError(
            f"is part of the record and cannot be read: {error.strerror}; take the whole folder from where it came",
            path=error.filename,
        ) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RecordError(f"the record is incomplete: {type(error).__name__}: {error}", path=folder) from error


def _about(folder: Path) -> dict[str, Any]:
    """What `run.json` says, where it is that of a whole record, of this format, and as it was written."""
    path = folder / RECORD_FILE
    about = _json(path)
    if not isinstance(about, dict):
        raise RecordError(f"is not the {RECORD_FILE} of a record", path=path)
    if about.get("format") == _UNFINISHED:
        raise RecordError("the record was not written to its end; export the run again", path=folder)
    if about.get("format") not in _READ:
        known = " and ".join(map(str, _READ))
        raise RecordError(f"is a record of format {about.get('format')!r}; this workbench reads {known}", path=path)
    recorded = about.pop("sha256", None)
    if recorded is not None and recorded != _hash_of(about):
        raise RecordError("was changed since it was recorded: it is not what its own sha256 says", path=path)
    if about["format"] == FORMAT or recorded is not None or "files" in about:
        _refuse_gaps(about, recorded, path)
    return about


def _refuse_gaps(about: Mapping[str, Any], recorded: str | None, path: Path) -> None:
    """Passes what has all that a record with hashes always has: whoever deletes them does not make it an older one."""
    has = {"sha256": recorded is not None, "files": "files" in about, "lines": "lines" in about}
    has |= {f"files: {name}": name in about.get("files", {}) for name in (TASKS, TRIALS)}
    for name, is_there in has.items():
        if not is_there:
            raise RecordError(
                f"was changed since it was recorded: it has no {name!r}, which every record of format {FORMAT} has",
                path=path,
            )


def _recorded_files(about: Mapping[str, Any]) -> dict[str, Mapping[str, str]]:
    """By name, the hashes of the files; of a record of before, those that it has."""
    if "files" in about:
        return dict(about["files"])
    return {name: {"sha256": sha256} for name, sha256 in about.get("systems", {}).items()}


def _system_files(folder: Path, about: Mapping[str, Any]) -> list[str]:
    """The names of the files of system prompts: those that are listed, or where none is, those that are there."""
    listed = about["files"] if "files" in about else about.get("systems", {})
    if "files" in about or listed:
        return [name for name in listed if name.startswith("systems/")]
    return [path.relative_to(folder).as_posix() for path in folder.glob("systems/*.txt")]


def _pairs(about: Mapping[str, Any], variants: Mapping[str, Agent]) -> tuple[tuple[str, str], ...]:
    pairs = tuple((str(baseline), str(variant)) for baseline, variant in about.get("pairs", ()))
    if pairs and (wrong := wrong_pairs(pairs, variants)):
        raise ValueError(wrong)
    return pairs


def _remarks(about: Mapping[str, Any], originals: Mapping[str, str], variant_of: Mapping[str, str]) -> tuple[str, ...]:
    remarks = []
    if "files" not in about:
        remarks.append(
            "the record is unverified: it says that it is of an older workbench, and has no hashes of its trials, so "
            "whether a reply was changed since cannot be checked"
        )
    for name, sha256 in originals.items():
        what = f"the agent of {variant_of[name]!r}" if name in variant_of else name
        remarks.append(f"secrets were taken out of {what}: what was tried has the sha256 {sha256}")
    return tuple(remarks)


def _other_personas(
    variants: Mapping[str, Agent], lines: Iterable[Mapping[str, Any]], systems: Mapping[str, str]
) -> Iterator[str]:
    """A remark for each variant that was asked with another persona than its agent file has."""
    asked: dict[str, set[str]] = {}
    for line in lines:
        asked.setdefault(line["variant"], set()).add(line["request"]["system"])
    for name, agent in variants.items():
        if {systems[system] for system in asked.get(name, ())} - {read_as_claude_code(agent).prompt}:
            yield (
                f"{name!r} was asked with another persona than its agent file has, read as Claude Code reads it: the "
                "record was altered, or made by a workbench that read such files otherwise"
            )


def _content(folder: Path, name: str, files: Mapping[str, Mapping[str, str]]) -> bytes:
    """The bytes of a file of the record, as they were recorded, where a hash says how they were.

    Raises:
        RecordError: it is another file, or none of this folder.
    """
    content = _read(folder, name)
    if (hashes := files.get(name)) is not None:
        _refuse_another(folder / name, _sha256(content), hashes["sha256"])
    return content


def _read(folder: Path, name: str) -> bytes:
    """The bytes of a regular file in the folder: a record is from somebody else, and may name any."""
    path = file_of_record(folder, name)
    # `resolve` of links in a circle would be another error.
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise RecordError(f"names {name!r}, which is outside of the record", path=folder / RECORD_FILE)
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise RecordError("is part of the record, but no regular file", path=path)
    return bytes_in(path)


def _refuse_another(path: Path, found: str, recorded: str) -> None:
    if found != recorded:
        raise RecordError("is not the file that was recorded: its sha256 differs", path=path)


def _task_as_json(task: Task) -> dict[str, Any]:
    kept = asdict(replace(task, replies=()))  # replies that check graders are no part of what was tried
    if task.graders:
        kept["graders"] = [spec.as_json() for spec in task.graders]
    return {name: value for name, value in kept.items() if value not in (None, {}, ())}


def _task_from_json(line: Mapping[str, Any]) -> Task:
    return Task(**{**line, "graders": tuple(_spec_from_json(spec) for spec in line.get("graders", ()))})


def _spec_from_json(spec: Mapping[str, Any]) -> GraderSpec:
    # In records of before, a promise is called a label.
    return GraderSpec(**{"promise" if name == "label" else name: value for name, value in spec.items()})


def _trial_as_json(trial: Trial, usual: Endpoint, systems: Mapping[str, str]) -> dict[str, Any]:
    """The line of a trial; it names its endpoint where that is not the usual one of the run."""
    elsewhere = {} if trial.endpoint == usual else {"endpoint": asdict(trial.endpoint)}
    request = asdict(trial.request) | {"system": systems[trial.request.system]}
    for added in ("schema", "tools", "frame"):  # later than the format of records: only where there is one
        if not request[added]:
            del request[added]
    return {
        "task": trial.task_id,
        "variant": trial.variant,
        "repeat": trial.repeat,
        "twin": trial.twin,
        "outcome": trial.outcome,
        "score": trial.score,
        "scores": {promise: score.as_json() for promise, score in trial.scores.items()},
        "reply": None if trial.reply is None else asdict(trial.reply),
        "failure": None if trial.failure is None else asdict(trial.failure),
        "paid": None if trial.paid is None else _paid_as_json(trial.paid),
        "request": request,
        "key": trial.key,
        **elsewhere,
    }


def _trial_from_json(line: Mapping[str, Any], usual: Endpoint, systems: Mapping[str, str]) -> Trial:
    request = line["request"] | {"tools": tuple(line["request"].get("tools", ()))}
    if "frame" in request:
        request["frame"] = Frame(**request["frame"])
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
        scores={promise: Score(**score) for promise, score in line["scores"].items()},
        paid=_paid_from_json(line.get("paid")),
        from_ledger=True,
    )


def _paid_as_json(paid: Paid) -> dict[str, Any]:
    counts = {column.name: getattr(paid, column.name) for column in fields(Paid) if column.name != "priced"}
    return {**counts, "usd": None if paid.usd is None else str(paid.usd)}


def _paid_from_json(paid: Mapping[str, Any] | None) -> Paid | None:
    """What was paid; `None` in records of before, too."""
    if paid is None:
        return None
    counts = {name: value for name, value in paid.items() if name != "usd"}
    return Paid(**counts, priced=None if paid["usd"] is None else Decimal(paid["usd"]))


def _refuse_contradiction(trial: Trial, line: Mapping[str, Any], folder: Path, *, key_may_differ: bool) -> None:
    """Passes a trial whose line says of it what is so: its hash may have been written anew after an edit."""
    said = {"outcome": trial.outcome, "score": trial.score, **({} if key_may_differ else {"key": trial.key})}
    for name, found in said.items():
        if line[name] != found:
            raise RecordError(
                f"{_which(line)}was changed since it was recorded: its {name} is {line[name]!r}, and the rest of it "
                f"makes {found!r}",
                path=folder,
            )


@lru_cache(maxsize=1_000)
def _promises(names: tuple[str, ...]) -> frozenset[str]:
    """One for all the trials that have the same."""
    return frozenset(names)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def agent_digests(run: Run) -> dict[str, str]:
    """By variant, the SHA-256 of the agent as it was tried, also where a record had secrets taken out of it."""
    names = _file_names(run.variants, without_secrets)
    return {
        variant: run.originals.get(f"agents/{names[variant]}", agent.digest) for variant, agent in run.variants.items()
    }


def _file_names(variants: Iterable[str], clean: Callable[[str], str]) -> dict[str, str]:
    """A file name for each variant: its letters and digits without secrets, numbered where two would be the same."""
    names: dict[str, str] = {}
    for variant in variants:
        stem = re.sub(r"[^\w-]+", "-", clean(variant))[:_LONGEST_STEM].strip("-") or "variant"
        taken = {name.lower() for name in names.values()}
        number = 1
        name = f"{stem}.md"
        while name.lower() in taken:
            number += 1
            name = f"{stem}-{number}.md"
        names[variant] = name
    return names


def _lines(values: Iterable[Mapping[str, Any]], clean: Callable[[str], str]) -> _File:
    """JSON Lines, each with the hash of all that is in it beside."""
    original, written = [], []
    for value in values:
        text = _text(value)
        original.append(_with_hash(text))
        cleaned = clean(text)
        written.append(original[-1] if cleaned == text else _with_hash(cleaned))
    return _File(original=b"".join(original), written=b"".join(written))


def _with_hash(line: str) -> bytes:
    content = line.encode("utf-8", "backslashreplace")
    return content[:-1] + b', "sha256": "' + _sha256(content).encode() + b'"}\n'


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _indented(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hash_of(about: Mapping[str, Any]) -> str:
    """Of what `run.json` says, however it is indented."""
    return _sha256(json.dumps(about, sort_keys=True).encode())


def _json(path: Path) -> Any:
    try:
        return json.loads(_read(path.parent, path.name).decode("utf-8"))
    except FileNotFoundError:
        raise RecordError(
            "there is no record of a run here; `workbench run`, `workbench compare` and wb.export_record leave one",
            path=path,
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"cannot be read: {error}", path=path) from error


def _json_lines(
    folder: Path, name: str, lines: Mapping[str, int], files: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    path, content = folder / name, _read(folder, name)
    raw = [line for line in content.split(b"\n") if line]
    try:
        found = [json.loads(line.decode("utf-8")) for line in raw]
    except (ValueError, RecursionError) as error:
        raise RecordError(f"is not JSON Lines: {error}", path=path) from error
    recorded = lines.get(name, len(found))
    if len(found) != recorded:
        raise RecordError(
            f"has {counted(len(found), 'line')}, and {recorded} were recorded: part of it is lost", path=path
        )
    if TASKS not in files:  # it is a record of before
        if any("sha256" in value for value in found if isinstance(value, dict)):
            raise RecordError(
                f"was changed since it was recorded: its lines have hashes, and {RECORD_FILE} has none of them",
                path=path,
            )
    else:
        for number, (line, value) in enumerate(zip(raw, found, strict=True), start=1):
            if value.pop("sha256", None) != _sha256(HASH_OF_LINE.sub(b"}", line)):
                raise RecordError(f"{_which(value)}was changed since it was recorded", path=path, line=number)
        if _sha256(content) != files[name]["sha256"]:
            raise RecordError(
                "is not what was recorded: its lines are, but one of them is of another run, or in another order",
                path=path,
            )
    return found


def _which(line: Mapping[str, Any]) -> str:
    """Whose line it is, as far as it says so."""
    found = [f"{name} {line[name]!r}" for name in ("task", "variant", "repeat", "id") if name in line]
    return f"the line of {', '.join(found)} " if found else ""
