"""What a task file may ask for: lists of variables make tasks, and nothing in it runs without an end."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from workbench.errors import TaskFileError
from workbench.grading.catalogue import standard
from workbench.trial import bounded
from workbench.trial.record import export_record, load_run
from workbench.trial.task import Task, load_tasks
from workbench.trial.trial import Endpoint, Reply, Run


def written(folder: Path, text: str, name: str = "t.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def asked(folder: Path, text: str, name: str = "t.yaml") -> dict[str, str]:
    return {task.id: task.input for task in load_tasks(written(folder, text, name))}


def refusal(folder: Path, text: str, name: str = "t.yaml") -> str:
    with pytest.raises(TaskFileError) as caught:
        load_tasks(written(folder, text, name))
    return str(caught.value).replace(f"{folder}/", "")


# Variables that are lists


def test_list_of_a_variable_makes_a_task_of_each_value(tmp_path: Path) -> None:
    assert asked(tmp_path, "- id: port\n  input: In {{ lang }}, please.\n  variables: {lang: [Go, Rust]}\n") == {
        "port[lang=Go]": "In Go, please.",
        "port[lang=Rust]": "In Rust, please.",
    }


def test_lists_make_their_cross_product_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "variables: {lang: [Go, C]}\ntasks:\n- id: a\n  input: '{{ lang }} {{ n }}'\n  target: '{{ n }}'\n"
        "  context: 'in {{ lang }}'\n  variables: {n: [1, 2], other: [x, y]}\n- id: b\n  input: plain\n",
    )

    tasks = load_tasks(path)

    assert [task.id for task in tasks] == [f"a[lang={lang}, n={n}]" for lang in ("Go", "C") for n in (1, 2)] + ["b"]
    assert [(task.input, task.target, task.context) for task in tasks[:2]] == [
        ("Go 1", "1", "in Go"),
        ("Go 2", "2", "in Go"),
    ]
    assert tasks[0].variables == {"lang": "Go", "n": 1, "other": ["x", "y"]}


@pytest.mark.parametrize(
    "text",
    [
        "{% for rule in rules %}{{ rule }};{% endfor %}",
        "{{ rules | join(';') }};",
        "{{ rules[0] }};{{ rules[1] }};",
        "{% if 'typed' in rules %}typed;tested;{% endif %}",
    ],
)
def test_list_that_is_used_as_a_list_stays_whole(tmp_path: Path, text: str) -> None:
    rows = json.dumps({"id": "a", "input": text, "variables": {"rules": ["typed", "tested"]}})

    assert asked(tmp_path, rows, "t.jsonl") == {"a": "typed;tested;"}


def test_list_in_a_csv_cell_makes_tasks_too(tmp_path: Path) -> None:
    assert asked(tmp_path, 'id,input,variables\na,In {{ x }},"{x: [b, c]}"\n', "t.csv") == {
        "a[x=b]": "In b",
        "a[x=c]": "In c",
    }


def test_long_value_stands_in_the_id_by_its_number(tmp_path: Path) -> None:
    rows = json.dumps({"id": "a", "input": "{{ x.y }}", "variables": {"x": [{"y": 1}, {"y": 2}]}})
    long = json.dumps({"id": "b", "input": "{{ x }}", "variables": {"x": ["y" * 41, "two\nlines", "z"]}})

    assert list(asked(tmp_path, f"{rows}\n{long}\n", "t.jsonl")) == [
        *("a[x=#1]", "a[x=#2]", "b[x=#1]", "b[x=#2]", "b[x=z]"),
    ]


@pytest.mark.parametrize(
    ("variables", "text", "says"),
    [
        ("{x: []}", "{{ x }}", "variables: x is an empty list; give it a value"),
        ("{x: [a, b, a]}", "{{ x }}", "variables: x has the value 'a' twice"),
        ("{x: [a, b]}", "{{ x }} of {{ x | join }}", "x is put into the text, so that each of its values makes a task"),
        (f"{{x: {list(range(40))}, y: {list(range(40))}}}", "{{ x }} {{ y }}", "the lists x, y make 1,600 tasks; at most 1,000"),
        ("{x: [[a, b], c]}", "{{ x }}", "puts a whole list into the text; say how, such as `{{ names | join(', ') }}`"),
        ("{x: {y: 1}}", "{{ x }}", "puts a whole mapping into the text; name what of it is meant"),
        ("{x: }", "{{ x }}", "puts a variable into the text that has no value"),
        ("{y: 1}", "{{ dict }}", "'dict' is undefined; variables here are: y"),
    ],
)  # fmt: skip
def test_list_that_cannot_be_put_into_a_text_is_refused(tmp_path: Path, variables: str, text: str, says: str) -> None:
    found = refusal(tmp_path, f"- id: a\n  input: '{text.replace(chr(39), chr(39) * 2)}'\n  variables: {variables}\n")

    assert says in found
    assert found.startswith("t.yaml:")


# Values as they are written


def test_texts_are_what_is_written_and_no_number_or_truth_value(tmp_path: Path) -> None:
    [task] = load_tasks(written(tmp_path, "- id: 007\n  input: no\n  target: 3.10\n  group: 12:30\n"))

    assert (task.id, task.input, task.target, task.group) == ("007", "no", "3.10", "12:30")


@pytest.mark.parametrize(
    ("value", "read"), [("3.10", "3.1"), ("no", "False"), ("1_000", "1000"), ("12:30", "750"), ("0o17", None)]
)
def test_variable_that_yaml_reads_otherwise_is_refused(tmp_path: Path, value: str, read: str | None) -> None:
    text = f"- id: a\n  input: '{{{{ x }}}}'\n  variables:\n    x: {value}\n"

    if read is None:
        assert asked(tmp_path, text) == {"a": value}
    else:
        assert refusal(tmp_path, text) == (
            f't.yaml:4: variables: YAML reads {value} as {read}; to have it as it stands, write it in quotes: "{value}"'
        )
    assert asked(tmp_path, text.replace(value, f'"{value}"')) == {"a": value}


def test_date_is_a_text_that_a_record_can_keep(tmp_path: Path) -> None:
    tasks = load_tasks(written(tmp_path, "- id: a\n  input: '{{ day }}'\n  variables: {day: 2026-11-29, n: {1: x}}\n"))
    run = Run(
        variants={}, tasks=tasks, repeats=1, endpoint=Endpoint(kind="offline", base_url="offline://here"), trials=()
    )

    assert tasks[0].input == "2026-11-29"
    assert load_run(export_record(run, tmp_path / "record")).tasks == tasks


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("- id: a\n  id: b\n  input: x\n", "t.yaml", "t.yaml:2: id: stands twice, in line 1 too; keep one of them"),
        ("- id: a\n  input: x\n  variables: {d: 2026-99-99}\n", "t.yaml", "t.yaml:3: variables: cannot be read: month"),
        ("- id: a\n  input: x\n  variables: {d: !!set {a, b}}\n", "t.yaml", "t.yaml:3: variables: cannot be read: set is"),
        (f"- id: a\n  input: x\n  variables: {{d: {'1' * 5000}}}\n", "t.yaml", "cannot be read: Exceeds the limit"),
        (f'{{"id": "a", "input": "x", "variables": {{"n": {"1" * 5000}}}}}\n', "t.jsonl", "t.jsonl:1: cannot be read"),
        ("[" * 200_000, "t.jsonl", "t.jsonl:1: cannot be read"),
        ('id,input,variables\na,x,"{d: 2026-99-99}"\n', "t.csv", "t.csv:2: variables: is not YAML: month"),
    ],
)  # fmt: skip
def test_value_that_cannot_be_read_is_refused_with_its_place(tmp_path: Path, text: str, name: str, says: str) -> None:
    assert says in refusal(tmp_path, text, name)


def test_what_is_no_file_is_refused_instead_of_read_for_ever(tmp_path: Path) -> None:
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo.yaml")

    for name in ("zero.yaml", "fifo.yaml"):
        with pytest.raises(TaskFileError, match="is no file that holds tasks"):
            load_tasks(tmp_path / name)


# Bounds

LAUGHS = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k: v}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.machine
@pytest.mark.parametrize("bomb", [LAUGHS, MERGES], ids=["lists", "merges"])
def test_aliases_that_multiply_are_refused_at_once(tmp_path: Path, bomb: str) -> None:
    indented = "".join(f"    {line}\n" for line in bomb.splitlines())
    began = time.process_time()

    found = refusal(tmp_path, f"- id: a\n  input: x\n  variables:\n{indented}")

    assert "holds more than 10,000,000 characters when its aliases (`*name`) are written out" in found
    assert time.process_time() - began < 2


def test_aliases_of_a_csv_cell_are_bounded_too(tmp_path: Path) -> None:
    parts = [
        f"{name}: &{name} [{', '.join([f'*{before}'] * 30)}]" for before, name in zip("abcdef", "bcdefg", strict=True)
    ]
    cell = f"{{a: &a [lol], {', '.join(parts)}}}"

    assert "t.csv:2: variables: holds more than" in refusal(tmp_path, f'id,input,variables\na,x,"{cell}"\n', "t.csv")


@pytest.mark.parametrize("text", ["- &a [*a]\n", "- id: a\n  input: x\n  variables: &v {v: *v}\n"])
def test_alias_within_itself_is_refused(tmp_path: Path, text: str) -> None:
    assert "an alias (`*name`) stands within what it stands for" in refusal(tmp_path, text)


def test_aliases_as_people_use_them_are_read(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "- id: a\n  input: x\n  graders: [{mentions: &m {any: [b], promise: says}}]\n"
        "- id: b\n  input: x\n  graders: [{mentions: *m}, {omits: {<<: *m, promise: hides}}]\n",
    )

    _, two = load_tasks(path)

    assert [(spec.promise, spec.options) for spec in two.graders] == [
        ("says", {"any": ["b"]}),
        ("hides", {"any": ["b"]}),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{ 'x' * 10**10 }}", "makes more text than a question may have"),
        ("{% for i in range(9999) %}{% for j in range(9999) %}xx{% endfor %}{% endfor %}", "makes more text"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "took longer than 1 s"),
        ("{{ (7 ** (10 ** 8)) % 3 }}", "took longer than 1 s"),
        ("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}", "calls itself without an end"),
    ],
)
def test_template_without_an_end_is_ended_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    found = refusal(tmp_path, json.dumps({"id": "a", "input": text}), "t.jsonl")

    assert found.startswith("t.jsonl:1: input: the template")
    assert says in found
    assert asked(tmp_path, "- {id: a, input: '{{ x }}', variables: {x: 1}}\n") == {"a": "1"}


def test_search_without_an_end_declines_with_its_reason() -> None:
    slow = standard()["matches"](pattern="(a+)+$")
    task = Task(id="t", input="x")

    score = slow(task, Reply(text="a" * 50 + "b"))

    assert score.value is None
    assert score.explanation == "the search for `(a+)+$` was ended: it took longer than 1 s"
    assert slow(task, Reply(text="b\naaa")).explanation == 'line 2 matches: "aaa"'


def test_search_finds_what_re_finds_and_counts_only_its_own_time() -> None:
    assert bounded.search('f"{e}"', 0, 'print(f"{e}")') == bounded.Found(start=6, text='f"{e}"')
    assert bounded.search("ß|\ud800", 0, "a\ud800") == bounded.Found(start=1, text="\ud800")
    assert bounded.search("x*", 0, "") == bounded.Found(start=0, text="")
    time.sleep(1.2)
    assert bounded.search("b", 0, "a" * 1_000_000) is None


def test_forked_process_searches_in_a_process_of_its_own() -> None:
    assert bounded.search("b", 0, "ab") is not None
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        found = bounded.search("c", 0, "abc")
        os.write(theirs, str(found.start if found else None).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(ours, 9) == b"2"
    assert bounded.search("b", 0, "xxb") == bounded.Found(start=2, text="b")
