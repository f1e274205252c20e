from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from workbench.errors import TaskFileError
from workbench.trial.task import GraderSpec, Task, load_tasks


def written(tmp_path: Path, text: str, name: str = "tasks.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_list_is_read_in_order(tmp_path: Path) -> None:
    path = written(tmp_path, "- {id: a, input: first}\n- {id: 2, input: second, group: g}\n")

    assert load_tasks(path) == (Task(id="a", input="first"), Task(id="2", input="second", group="g"))


def test_values_beside_the_tasks_hold_for_all_and_yield_to_the_task(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "context: house rules\nvariables: {n: 1, m: 2}\ntasks:\n"
        "- {id: a, input: '{{ n }} {{ m }}'}\n- {id: b, input: '{{ n }}', variables: {n: 9}, context: other}\n",
    )

    one, two = load_tasks(path)

    assert (one.input, one.context) == ("1 2", "house rules")
    assert (two.input, two.context) == ("9", "other")
    assert one.message == "house rules\n\n1 2"


def test_json_lines_and_csv_say_the_same(tmp_path: Path) -> None:
    jsonl = written(
        tmp_path,
        '{"id": "a", "input": "for {{ who }}", "variables": {"who": "Ada"}, "graders": ["asks_question"]}\n',
        "tasks.jsonl",
    )
    table = written(tmp_path, "id,input,who,graders\na,for {{ who }},Ada,[asks_question]\n", "tasks.csv")

    [from_jsonl], [from_csv] = load_tasks(jsonl), load_tasks(table)

    assert from_jsonl.input == from_csv.input == "for Ada"
    assert from_jsonl.graders[0].name == from_csv.graders[0].name == "asks_question"


def test_graders_carry_options_a_unique_promise_and_their_place(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "- id: a\n  input: x\n  graders:\n  - mentions: {any: [JWT], promise: auth}\n  - asks_question\n  - asks_question\n",
    )

    [task] = load_tasks(path)

    assert task.graders == (
        GraderSpec(name="mentions", promise="auth", options={"any": ["JWT"]}, where=f"{path}:4"),
        GraderSpec(name="asks_question", promise="asks_question", where=f"{path}:5"),
        GraderSpec(name="asks_question", promise="asks_question 2", where=f"{path}:6"),
    )


@pytest.mark.parametrize(
    ("text", "name", "line", "says"),
    [
        ("- id: a\n  inptu: x\n", "t.yaml", 2, "inptu: is not a field of a task; did you mean 'input'?"),
        ("- id: a\n", "t.yaml", 1, "input: is missing"),
        ("- id: a\n  input: [1]\n", "t.yaml", 2, "input: must be text, found a list"),
        ("- id: a\n  input: x\n- id: a\n  input: y\n", "t.yaml", 3, "'a' stands at line 1 already"),
        (
            "- id: a\n  input: '{{ who }}'\n  variables: {n: 1}\n",
            "t.yaml",
            2,
            "'who' is undefined; variables here are: n",
        ),
        ("- id: a\n  input: '{{ 1 / 0 }}'\n", "t.yaml", 2, "the template fails: division by zero"),
        ("- id: a\n  input: \"{{ ''.__class__.__mro__ }}\"\n", "t.yaml", 2, "unsafe"),
        ("- id: a\n  input: x\n  graders: [{a: 1, b: 2}]\n", "t.yaml", 3, "graders: each is a name"),
        (
            "- id: a\n  input: x\n  graders:\n  - mentions: {any: [JWT], label: auth}\n",
            "t.yaml",
            4,
            "graders: mentions has no option label; what it holds a reply to is its promise: write `promise: auth`",
        ),
        ("- id: [\n", "t.yaml", 2, "is not valid YAML"),
        ("task: []\n", "t.yaml", 1, "did you mean 'tasks'?"),
        ("tasks: {a: 1}\n", "t.yaml", 1, "tasks must be a list"),
        ("- just text\n", "t.yaml", 1, "a task is a mapping"),
        ('{"id": "a", "input": "x"}\n{"id"\n', "t.jsonl", 2, "is not JSON"),
        ("id,input\na,b,c\n", "t.csv", 2, "more cells than the header"),
    ],
)
def test_bad_file_says_file_line_and_field(tmp_path: Path, text: str, name: str, line: int, says: str) -> None:
    path = written(tmp_path, text, name)

    with pytest.raises(TaskFileError) as caught:
        load_tasks(path)

    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]\n", "tasks: []\n", "# nothing\n"])
def test_file_without_a_task_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(TaskFileError, match="holds no task"):
        load_tasks(written(tmp_path, text))


def test_missing_unreadable_and_unknown_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"- id: caf\xe9\n")

    with pytest.raises(TaskFileError, match="no such task file"):
        load_tasks(tmp_path / "none.yaml")
    with pytest.raises(TaskFileError, match="not UTF-8"):
        load_tasks(tmp_path / "latin.yaml")
    with pytest.raises(TaskFileError, match=r"a task file ends in \.yaml"):
        load_tasks(tmp_path / "tasks.txt")


def test_deep_nesting_is_refused_instead_of_crashing(tmp_path: Path) -> None:
    with pytest.raises(TaskFileError):
        load_tasks(written(tmp_path, "- id: a\n  input: " + "[" * 5000 + "\n"))


def test_each_task_knows_the_hash_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"- id: one\r\n  input: Ask\r\n- {id: two, input: Ask}\r\n")

    assert {task.file_sha256 for task in load_tasks(path)} == {hashlib.sha256(path.read_bytes()).hexdigest()}
