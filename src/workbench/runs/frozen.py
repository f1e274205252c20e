"""What was clicked as the few public calls that do the same, and as a notebook that makes them."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.project import project_folder, write_folder
from workbench.definition.there import bytes_in
from workbench.errors import FileError
from workbench.grading.catalogue import standard
from workbench.markup import HALF_CHARACTERS, command, visible
from workbench.secrets import without_secrets
from workbench.statistics.power import FEWEST_COMPARED
from workbench.trial.task import Task
from workbench.trial.trial import Endpoint, GraderFactory, Trial

_ANSWERS_TEXT = """\
## What was said to the replies

Each answer goes to the very reply that it was given to, so its request stays the same, whatever else was answered \
since. Neither the estimate above nor a comparison counts these trials; the record has them in `follow_ups.jsonl`."""
_ANSWERS = """\
import json
from pathlib import Path

for line in Path(answers).read_text(encoding="utf-8").splitlines():
    run = wb.answer_reply(run, **json.loads(line), mode=mode, ledger=ledger)
for trial in run.follow_ups:
    said = trial.request.messages[-1]["content"]
    print(f"{trial.variant}, {trial.task_id}, repeat {trial.repeat}: {trial.outcome}. {trial.endpoint.in_words}")
    for who, text in (("said", said), ("answered", trial.reply.text if trial.reply else str(trial.failure))):
        print(f"  {who}:", *(f"    {line!r}" for line in text.splitlines()), sep="\\n")"""
"""Lines as Python has them: the text of a model steers no terminal and is no markup."""
_BEFORE_TEXT = """\
## What was tried before

Each run in turn, with the texts of its moment and what was said to its replies; each has a record of its own below \
`out`."""
_BEFORE = """\
import json
from pathlib import Path

for number, tried in enumerate(before, start=1):
    earlier = wb.run_trials(
        wb.plan_trials(
            {name: wb.load_agent(file) for name, file in tried["agents"].items()},
            wb.load_tasks(tried["tasks"]),
            repeats=tried["repeats"],
            graders=graders,
            model=tried["model"],
            effort=tried["effort"],
        ),
        live=tried["live"],
        mode=mode,
        ledger=ledger,
    )
    said = Path(tried["answers"]).read_text(encoding="utf-8").splitlines() if tried["answers"] else []
    for line in said:
        earlier = wb.answer_reply(earlier, **json.loads(line), mode=mode, ledger=ledger)
    for trial in (*earlier.trials, *earlier.follow_ups):
        print(number, trial.variant, trial.task_id, trial.repeat, trial.outcome, trial.score)
    print(f"The record is in {wb.export_record(earlier, Path(out) / f'before-{number}')}")"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a run of a panel asked for."""

    variants: Mapping[str, Agent]
    tasks: tuple[Task, ...]
    model: str | None
    effort: str | None
    repeats: int
    graders: Mapping[str, GraderFactory]
    endpoint: Endpoint
    ledger: str | None
    """The ledger's name where it is not the usual one."""

    @property
    def live(self) -> bool | None:
        """As `run_trials` takes it: what the stand-in answered is never asked of a model."""
        return False if self.endpoint.is_stand_in else None

    @property
    def own_graders(self) -> dict[str, GraderFactory]:
        """Those of its tasks' graders that are not the workbench's."""
        known = standard()
        named = {spec.name for task in self.tasks for spec in task.graders}
        return {
            name: factory
            for name, factory in self.graders.items()
            if name in named and (name not in known or _unwrapped(factory) is not _unwrapped(known[name]))
        }

    @property
    def left_out(self) -> tuple[str, ...]:
        """The graders that no frozen call can name: they are in no module."""
        return tuple(name for name, factory in self.own_graders.items() if _import_of(factory) is None)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was said to a reply."""

    trial: Trial
    """Whose reply was answered; that of an answer before it, where the conversation went on."""
    text: str

    def call(self) -> dict[str, Any]:
        """What `answer_reply` takes, beside the run, to send the very same request, whatever was answered since."""
        reply = "" if self.trial.reply is None else self.trial.reply.text
        return {**self._whose(), "reply": reply, "text": self.text}

    def line(self) -> str:
        """The call as Python. The reply is in it only where the run has none: it was stopped or broke off half way."""
        given = self.call()
        if self.trial.failure is None:
            del given["reply"]
        text = given.pop("text")
        return f"{text!r}, {', '.join(f'{name}={value!r}' for name, value in given.items())}"

    def _whose(self) -> dict[str, Any]:
        return {"variant": self.trial.variant, "task_id": self.trial.task_id, "repeat": self.trial.repeat}


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What a run of a panel asked for, and what was said to its replies."""

    asked: Asked
    answers: tuple[Answer, ...] = ()


def calls_of(asked: Asked, answers: Sequence[Answer] = ()) -> str:
    """Python that plans and runs the same by public calls, on its own: it holds the texts that are in no file.

    Graders that are in no module are left out; what is asked is the same without them.
    """
    asked, left_out = _without(asked, asked.left_out), asked.left_out
    agents = "".join(f"    {name!r}: {_agent_call(agent)},\n" for name, agent in asked.variants.items())
    tasks = "".join(f"    {_task_call(task)},\n" for task in asked.tasks)
    modules, graders = _graders_call(asked.own_graders)
    imports = "".join(f"# left out, for it is in no module: the grader {name!r}\n" for name in left_out)
    imports += f"{modules}import workbench as wb\n"
    if any(task.graders for task in asked.tasks):
        imports += "from workbench.trial.task import GraderSpec\n"
    settings = [f"repeats={asked.repeats}", f"graders={graders}"]
    settings += [f"{name}={value!r}" for name in ("model", "effort") if (value := getattr(asked, name)) is not None]
    where = [f"live={asked.live}"] if asked.live is not None else []
    ledger = [f"ledger={asked.ledger!r}"] if asked.ledger is not None else []
    said = "".join(f"run = wb.answer_reply({', '.join(['run', answer.line(), *ledger])})\n" for answer in answers)
    return (
        f"{imports}\nwb.enter_project()\nvariants = {{\n{agents}}}\ntasks = [\n{tasks}]\n"
        f"plan = wb.plan_trials(variants, tasks, {', '.join(settings)})\n"
        f"run = wb.run_trials({', '.join(['plan', *where, *ledger])})\n{said}"
    )


def write_notebook(tried: Sequence[Tried], path: str | Path) -> Path:
    """Writes a notebook that plans the same as each of these, at least one, and says the same to the replies.

    Beside it lie their texts as they were tried: the tasks, the agents, and what was said to which reply. The last is
    what the notebook is of, with its estimate, record and comparison; those before it are run below. Its first cell
    names what is not in it: graders that are in no module.

    Raises:
        FileError: a file cannot be written, is there already, or would hold a key.
    """
    path = Path(path)
    check_notebook_name(path)
    left_out = dict.fromkeys(name for each in tried for name in each.asked.left_out)
    files: dict[Path, bytes] = {}
    stems = [*(f"{path.stem}.before-{number}" for number in range(1, len(tried))), path.stem]
    frozen = [_texts_beside(each, path.with_name(stem), files) for each, stem in zip(tried, stems, strict=True)]
    own = {name: factory for each in tried for name, factory in each.asked.own_graders.items()}
    notebook = _notebook(
        tried[-1].asked,
        frozen[-1],
        before=frozen[:-1],
        graders=_graders_call(own),
        left_out=_not_in_it([*left_out]),
    )
    return write_frozen(path, notebook, files)


def write_frozen(path: Path, notebook: Mapping[str, Any], files: Mapping[Path, bytes]) -> Path:
    """Writes a notebook and the files that lie beside it, all of them or none.

    Raises:
        FileError: a file cannot be written, is there already, or would hold a key.
    """
    written = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    files = {**files, path: written.encode("utf-8", HALF_CHARACTERS)}
    for file, content in files.items():
        text = content.decode("utf-8", "replace")
        if without_secrets(text) != text:
            raise FileError(
                "not written: it would hold a key; take it out of the agent, the question or the answer to a reply",
                path=file,
            )
        if file.exists():
            raise FileError("is there already; freeze under another name", path=file)
    try:
        for file, content in files.items():
            write_folder(file.parent)
            with file.open("xb") as opened:
                opened.write(content)
    except OSError as error:
        raise FileError(f"cannot be written: {error.strerror}", path=error.filename or path) from error
    return path


def as_notebook(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A notebook of these cells, for the usual Python kernel."""
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": [*cells], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def check_notebook_name(path: Path) -> None:
    """Passes a name that a notebook may have.

    Raises:
        FileError: it is none.
    """
    if path.suffix != ".ipynb":
        raise FileError("is no name of a notebook; it ends in .ipynb", path=path)


def _texts_beside(tried: Tried, stem: Path, files: dict[Path, bytes]) -> dict[str, Any]:
    """Puts the texts of one run into `files`; gives what a notebook needs to run it again."""
    asked = _without(tried.asked, tried.asked.left_out)

    def beside(end: str, content: bytes) -> str:
        file = stem.with_name(f"{stem.name}.{end}")
        files[file] = content
        return from_project(file)

    def lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
        return "".join(json.dumps(row, default=str) + "\n" for row in rows).encode()

    return {
        "agents": {
            name: beside(f"{number}-{re.sub('[^A-Za-z0-9_-]+', '-', name)[:40]}.md", agent.to_bytes())
            for number, (name, agent) in enumerate(asked.variants.items(), start=1)
        },
        "tasks": beside("tasks.jsonl", lines(map(_task_row, asked.tasks))),
        "answers": beside("answers.jsonl", lines(answer.call() for answer in tried.answers)) if tried.answers else None,
        "repeats": asked.repeats,
        "model": asked.model,
        "effort": asked.effort,
        "live": asked.live,
    }


def _notebook(
    asked: Asked,
    frozen: Mapping[str, Any],
    *,
    before: Sequence[Mapping[str, Any]],
    graders: tuple[str, str],
    left_out: str,
) -> dict[str, Any]:
    modules, graders_call = graders
    files = "".join(
        f"    {name!r}: {file!r},{_as_it_was(asked.variants[name])}\n" for name, file in frozen["agents"].items()
    )
    answers = frozen["answers"]
    said = "" if answers is None else f"answers: str = {answers!r}  # what was said to which reply\n"
    earlier = "".join(f"    {each!r},\n" for each in before)
    parameters = (
        "from typing import Optional\n\n"
        f"agents: dict = {{\n{files}}}  # agent files by the name of the variant\n"
        f"tasks: str = {frozen['tasks']!r}\n"
        f"{said}repeats: int = {asked.repeats}  # attempts at every task by each variant\n"
        f"model: Optional[str] = {asked.model!r}  # None: as each agent says\n"
        f"effort: Optional[str] = {asked.effort!r}  # None: as each agent says\n"
        f"live: Optional[bool] = {asked.live!r}  # None: a model if a key is set; True: a model or fail; False: none\n"
        'mode: str = "top-up"  # or replay: ask nobody; or fresh: ask for all anew, and pay for it once more\n'
        f"ledger: Optional[str] = {asked.ledger!r}  # None: the usual one\n"
        + (f"before: list = [\n{earlier}]  # what was tried before, the first first\n" if before else "")
        + 'out: str = "outputs/frozen"  # folder of the record'
    )
    plan = (
        f"{modules}import workbench as wb\n\nwb.enter_project()\n"
        "variants = {name: wb.load_agent(file) for name, file in agents.items()}\n"
        f"graders = {graders_call}\n"
        "plan = wb.plan_trials(\n    variants,\n    wb.load_tasks(tasks),\n    repeats=repeats,\n"
        "    graders=graders,\n    model=model,\n    effort=effort,\n)\n"
        "wb.estimate_plan(plan, live=live, ledger=ledger, mode=mode)"
    )
    run = "run = wb.run_trials(plan, live=live, mode=mode, ledger=ledger)"
    shown = (
        "for trial in run.trials:\n    print(trial.variant, trial.task_id, trial.repeat, trial.outcome, trial.score)"
    )
    cells = [
        cell("title", f"# Trials as they were clicked\n\nWhat the ledger holds is not asked for again.{left_out}"),
        cell("parameters", parameters, tags=["parameters"]),
        cell("plan", plan, tags=[]),
        cell("run", run, tags=[]),
        cell("trials", shown, tags=[]),
    ]
    if answers is not None:
        cells += [cell("answers-text", _ANSWERS_TEXT), cell("answers", _ANSWERS, tags=[])]
    if len(asked.variants) > 1 and len(asked.tasks) >= FEWEST_COMPARED:
        cells.append(cell("compare", "wb.compare(run, baseline=next(iter(variants)))", tags=[]))
    cells.append(cell("record", 'print(f"The record is in {wb.export_record(run, out)}")', tags=[]))
    if before:
        cells += [cell("before-text", _BEFORE_TEXT), cell("before", _BEFORE, tags=[])]
    return as_notebook(cells)


def _as_it_was(agent: Agent) -> str:
    """A comment that tells which file this text was in when it was tried."""
    return "" if _file_of(agent) is None or agent.path is None else f"  # as {from_project(agent.path)!r} was"


def next_notebook(folder: Path) -> Path:
    """The first `frozen-1.ipynb`, `frozen-2.ipynb` ... of this folder of which no file is there."""
    number = 1
    while any(folder.glob(f"frozen-{number}.*")):  # its agents and tasks may have outlived a notebook
        number += 1
    return folder / f"frozen-{number}.ipynb"


def command_for(notebook: Path) -> str:
    """The command that runs this notebook of the project, in whatever folder it is typed."""
    file, out = from_project(notebook), from_project(notebook.with_suffix(""))
    return f"cd {shlex.quote(str(project_folder()))} && {command('workbench', 'run', Path(file), '--out', Path(out))}"


def _not_in_it(graders: Sequence[str]) -> str:
    """What the notebook leaves out, as Markdown in which text stays text."""
    if not graders:
        return ""
    why = "Put them into a module, and they will be."
    # Indented by four, text stays text, whatever the names hold.
    return f"\n\nThese graders are not in it, for they are in no module. {why}\n\n    {visible(', '.join(graders))}"


def _without(asked: Asked, left_out: Sequence[str]) -> Asked:
    kept = tuple(
        replace(task, graders=tuple(spec for spec in task.graders if spec.name not in left_out)) for task in asked.tasks
    )
    return replace(asked, tasks=kept)


def _graders_call(own: Mapping[str, GraderFactory]) -> tuple[str, str]:
    """The imports and the expression that give the workbench's graders and these."""
    imported = {name: _import_of(factory) for name, factory in own.items()}
    found = {name: where for name, where in imported.items() if where is not None}
    if not found:
        return "", "wb.graders.standard()"
    modules = "".join(f"import {module}\n" for module in sorted({module for module, _ in found.values()}))
    named = ", ".join(f"{name!r}: {module}.{function}" for name, (module, function) in found.items())
    return modules, f"{{**wb.graders.standard(), {named}}}"


def _import_of(factory: GraderFactory) -> tuple[str, str] | None:
    """The module and the name under which this very function can be imported."""
    module, name = getattr(factory, "__module__", None), getattr(factory, "__qualname__", "")
    if module in (None, "__main__") or getattr(sys.modules.get(module), name, None) is not factory:
        return None
    return module, name


def _unwrapped(factory: GraderFactory) -> object:
    return getattr(factory, "__wrapped__", factory)


def cell(name: str, source: str, *, tags: list[str] | None = None) -> dict[str, Any]:
    """A cell of a notebook: of Python with these tags, or, without any list of them, of Markdown."""
    lines = source.splitlines(keepends=True)
    if tags is None:
        return {"cell_type": "markdown", "id": name, "metadata": {}, "source": lines}
    about = {"tags": tags} if tags else {}
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": name,
        "metadata": about,
        "outputs": [],
        "source": lines,
    }


def _file_of(agent: Agent) -> Path | None:
    """The file that holds this very text."""
    if agent.path is None:
        return None
    try:
        return agent.path if bytes_in(agent.path) == agent.to_bytes() else None
    except OSError:
        return None


def from_project(path: Path) -> str:
    """The path as a notebook of this project names it, wherever the project lies."""
    whole, project = path.resolve(), project_folder()
    return (whole.relative_to(project) if whole.is_relative_to(project) else whole).as_posix()


def _agent_call(agent: Agent) -> str:
    file = _file_of(agent)
    if file is not None:
        return f"wb.load_agent({from_project(file)!r})"
    data = agent.to_bytes()
    text = data.decode("utf-8", "replace")
    return f"wb.parse_agent({_readable(text) if parse_agent(text).to_bytes() == data else repr(data)})"


def _readable(text: str) -> str:
    """The text as Python, line by line where that says the same."""
    # A quote at the end would end the text; so would three of them.
    inside = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    lines = f'"""\\\n{inside}' + ('\\\n"""' if inside.endswith('"') else '"""')
    is_plain = all(line.isprintable() for line in text.split("\n"))
    return lines if is_plain and "\n" in text else repr(text)


def _task_call(task: Task) -> str:
    given = ", ".join(
        f"{name}={getattr(task, name)!r}"
        for name in ("id", "input", "target", "group", "variables", "context", "graders")
        if getattr(task, name) not in (None, {}, ())
    )
    return f"wb.Task({given})"


def _task_row(task: Task) -> dict[str, Any]:
    """A line of a task file. What Jinja would take for a template is a variable's value there."""
    row = {name: value for name, value in asdict(replace(task, replies=())).items() if value not in (None, {}, ())}
    row.pop("file_sha256", None)
    variables = dict(task.variables)
    for name in ("input", "context", "target"):
        if isinstance(row.get(name), str) and "{" in row[name]:
            variables[f"frozen_{name}"] = row[name]
            row[name] = "{{ frozen_" + name + " }}"
    if variables:
        row["variables"] = variables
    if task.graders:
        row["graders"] = [spec.as_written() for spec in task.graders]
    return row
