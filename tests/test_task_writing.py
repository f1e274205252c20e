"""Tasks are added to a task file: shown as a diff, behind what is there, and what is there stays byte for byte."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.definition.agent import parse_agent
from workbench.errors import TaskFileError
from workbench.trial.known_replies import KnownReply
from workbench.trial.proposed import ProposedTask
from workbench.trial.task import GraderSpec, Task, load_tasks, parse_tasks
from workbench.trial.task_writing import (
    TaskFileChange,
    add_tasks,
    export_tasks,
    new_task_file,
    save_task,
    write_task_file,
)

AGENT = b"---\nname: reviewer\ndescription: Reviews.\n---\nBe.\n"
SECRET = "sk-ant-" + "api03-" + "x7Kq9Zt2Lm4Np8Rv1Bw6Yc3Df5Gh0Js" * 2
NEW = [Task(id="new", input="Is it {{ right }}?\nSay so."), Task(id="b", input="plain")]

LAYOUTS = {
    "list": "- id: a\n  input: first\n",
    "no last newline": "- id: a\n  input: first",
    "mapping": "graders: [asks_question]\ntasks:\n  - id: a\n    input: first\n",
    "tasks first": "# mine\ntasks:\n- id: a\n  input: first\n\n# about all\ngroup: all\n",
    "block": "tasks:\n  - id: a\n    input: |\n      first\n\n      second\n\n  # a last word\n",
    "crlf": "tasks:\r\n  - id: a\r\n    input: first\r\n",
    "wide": "-   id: a\n    input: first\n",
    "block at the end": "- id: a\n  input: |\n    first\n    second",
}


@pytest.mark.parametrize("before", LAYOUTS.values(), ids=LAYOUTS)
def test_new_tasks_come_behind_those_of_a_yaml_file(before: str, tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(before.encode())
    [there] = load_tasks(path)

    change = export_tasks(NEW, path)

    first, second, third = load_tasks(path)
    assert replace(first, input=first.input.rstrip("\n")) == replace(there, input=there.input.rstrip("\n"))
    assert (second.id, second.input, third.id, third.input) == ("new", NEW[0].input, "b", "plain")
    kept = path.read_bytes().decode().splitlines()
    assert all(line in kept for line in before.splitlines())
    assert [line for line in change.diff.splitlines() if line.startswith("-") and not line.startswith("---")] in (
        [],
        [f"-{before.splitlines()[-1]}"],
    )


@pytest.mark.parametrize(
    ("name", "before"),
    [("t.jsonl", '{"id": "a", "input": "first"}\n'), ("t.csv", "id,input\na,first\n"), ("t.csv", "input,id\nfirst,a")],
)
def test_new_tasks_come_behind_those_of_other_files(name: str, before: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(before, encoding="utf-8")

    export_tasks(NEW, path)

    assert [(task.id, task.input) for task in load_tasks(path)] == [
        ("a", "first"),
        ("new", NEW[0].input),
        ("b", "plain"),
    ]


def test_what_is_asked_already_is_left_out_and_an_id_that_is_taken_changed(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(
        "- {id: other, input: other}\n- id: ask-1\n  input: first\n".replace("- {id: other, input: other}\n", "")
    )

    change = add_tasks(path, [Task(id="x", input=" first "), Task(id="ask-1", input="second")])

    assert [task.id for task in change.added] == ["ask-2"]
    assert change.already_there == 1
    assert path.read_text() == "- id: ask-1\n  input: first\n", "nothing is written before somebody says so"
    assert export_tasks([Task(id="x", input="first")], path).diff == ""


def test_graders_and_replies_come_back_as_they_were(tmp_path: Path) -> None:
    task = Task(
        id="a",
        input="x",
        context="c",
        group="g",
        graders=(
            GraderSpec(name="mentions", promise="locks", options={"any": ["a: b", "#c"]}),
            GraderSpec(name="asks_question", promise="asks_question"),
        ),
        replies=(
            KnownReply(name="g", text="yes {{ x }}\n\u200b", is_good=True),
            KnownReply(name="b", text="no", is_good=False, fails=("locks",), at_least=0.5),
            KnownReply(name="j", text="locks", is_good=False, is_for_a_judge=True),
        ),
    )

    export_tasks([task], tmp_path / "t.yaml")

    [read] = load_tasks(tmp_path / "t.yaml")
    assert replace(read, graders=(), file_sha256=None) == replace(task, graders=())
    assert [(spec.name, spec.promise, spec.options) for spec in read.graders] == [
        (spec.name, spec.promise, spec.options) for spec in task.graders
    ]
    assert [replace(reply, where="") for reply in read.replies] == list(task.replies)


def test_a_file_that_changed_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    change = add_tasks(path, NEW)
    path.write_text("- {id: mine, input: x}\n")

    with pytest.raises(TaskFileError, match="changed meanwhile"):
        write_task_file(change)
    assert path.read_text() == "- {id: mine, input: x}\n"


@pytest.mark.parametrize("before", ["[{id: a, input: x}]\n", "tasks: [{id: a, input: x}]\n"])
def test_a_list_in_brackets_is_not_rewritten(before: str, tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(before)

    with pytest.raises(TaskFileError, match=r"written in brackets(.|\n)*- id: new"):
        add_tasks(path, NEW)


def test_secrets_are_taken_out_and_counted(tmp_path: Path) -> None:
    change = add_tasks(tmp_path / "t.yaml", [ProposedTask(task=Task(id="a", input=f"Use {SECRET}"), remark=SECRET)])

    assert SECRET not in change.after
    assert change.secrets_taken_out == 1


def test_one_task_is_saved_with_a_click(tmp_path: Path) -> None:
    folder = tmp_path / ".claude" / "agents"
    folder.mkdir(parents=True)
    agent = parse_agent(AGENT, path=folder / "reviewer.md")

    first, again = save_task("Why {% so %}?", agent), save_task("Why {% so %}?", agent)
    second = save_task(Task(id="mine", input="And this?"), agent)

    assert first.path == tmp_path / ".workbench" / "tasks" / "reviewer.tasks.yaml"
    assert again.added == ()
    assert [(task.id, task.input) for task in load_tasks(second.path)] == [
        ("asked-1", "Why {% so %}?"),
        ("mine", "And this?"),
    ]


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=4, unique_by=str.strip), st.text())
def test_any_text_comes_back(asked: list[str], remark: str) -> None:
    usual = [text.encode("utf-8", "replace").decode() for text in asked]
    proposed = [ProposedTask(task=Task(id=f"t-{n}", input=text), remark=remark) for n, text in enumerate(usual)]

    read = parse_tasks(new_task_file(proposed, title=remark), Path("t.yaml"))

    assert [task.input for task in read] == usual
    assert json.dumps([task.id for task in read]) == json.dumps([one.task.id for one in proposed])


def test_of_two_who_write_at_one_moment_one_does(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(LAYOUTS["list"])
    changes = [add_tasks(path, [Task(id=f"new-{number}", input=f"ask {number}")]) for number in range(8)]
    start, said = threading.Barrier(len(changes)), []

    def write(change: TaskFileChange) -> None:
        start.wait()
        try:
            write_task_file(change)
        except TaskFileError as error:
            said.append(str(error))

    threads = [threading.Thread(target=write, args=(change,)) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(load_tasks(path)) == 2
    assert len(said) == len(changes) - 1
    assert all("changed meanwhile, and was left as it is" in each for each in said)
