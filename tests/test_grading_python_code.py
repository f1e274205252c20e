from __future__ import annotations

import pytest

from workbench.grading.catalogue import standard
from workbench.trial.task import Task
from workbench.trial.trial import Reply, Score

TASK = Task(id="task", input="Question")


def grade(name: str, *blocks: str, **options: object) -> Score:
    text = "Here:\n" + "\n".join(f"```python\n{block}\n```" for block in blocks)
    return standard()[name](**options)(TASK, Reply(text=text))


def value(name: str, *blocks: str, **options: object) -> float | None:
    return grade(name, *blocks, **options).value


ALL_CONSTRUCTS = ["bare_except", "eval", "exec", "print", "mutable_default", "star_import", "assert", "global"]
OPTIONS: dict[str, dict[str, object]] = {
    "python_parses": {},
    "type_hints": {},
    "docstrings": {},
    "avoids": {"constructs": ALL_CONSTRUCTS},
    "modern_python": {},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_reply_without_python_is_declined(name: str) -> None:
    assert grade(name, **OPTIONS[name]) == Score(value=None, explanation="no Python block")


def test_a_reply_without_python_is_zero_where_code_is_required() -> None:
    assert value("python_parses", required=True) == 0


def test_python_parses_is_the_share_of_blocks_and_names_the_first_that_does_not() -> None:
    score = grade("python_parses", "x = 1", "def f(:", "y = 2", "    z = 3\n    w = 4")

    assert score.value == 0.75
    assert score.explanation == "3 of 4 Python blocks parse; block 2: line 1: invalid syntax"


def test_code_of_later_pythons_parses_on_every_python() -> None:
    code = "type Row[K] = dict[K, list[int]]\n\nclass Box[T: list[int]]:\n    async def get[U](self, x: U) -> T: ..."

    assert value("python_parses", code) == 1
    assert value("type_hints", code) == 1


MATCHES = "x: int = 3\nmatch x:\n    case 3:\n        pass"
NAMES_A_TYPE = "type Row = list[int]"


@pytest.mark.parametrize(
    ("name", "code", "before", "since"),
    [
        ("python_parses", MATCHES, "3.9", "3.10"),
        ("python_parses", NAMES_A_TYPE, "3.11", "3.12"),
        ("ruff", MATCHES, "3.9", "3.10"),
        ("ruff", NAMES_A_TYPE, "3.11", "3.12"),
        ("mypy", NAMES_A_TYPE, "3.11", "3.12"),  # it takes no version as old as 3.9
    ],
)
def test_what_a_later_python_added_is_none_for_an_earlier_one(name: str, code: str, before: str, since: str) -> None:
    assert (value(name, code, version=before), value(name, code, version=since)) == (0, 1)


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "python_parses"])
def test_blocks_that_do_not_parse_are_left_out_and_mentioned(name: str) -> None:
    code = "def f(a: int) -> int:\n    'doc'\n    return a"
    score = grade(name, code, "def f(:", **OPTIONS[name])

    assert score.value == 1
    assert score.explanation.endswith("(1 block does not parse)")
    assert grade(name, "def f(:", **OPTIONS[name]).explanation == "no Python block that parses"


def test_type_hints_are_the_share_of_parameters_and_returns() -> None:
    code = "def fetch(url: str, limit, *args: int, **kw: int) -> str: ..."
    score = grade("type_hints", code)

    assert score.value == 0.8
    assert score.explanation == ("3 of 4 parameters and 1 of 1 returns annotated; missing: `limit` in `fetch`")


def test_type_hints_from_at_least_on_are_whole_and_below_it_in_proportion() -> None:
    assert value("type_hints", "def f(a: int, b: int, c: int, d): ...", at_least=0.6) == 1
    assert value("type_hints", "def f(a: int, b): ...", at_least=0.5) == pytest.approx(2 / 3)


def test_type_hints_ask_for_none_on_self_cls_and_init() -> None:
    code = (
        "class A:\n"
        "    def __init__(self, a: int): ...\n"
        "    @classmethod\n    def make(cls) -> 'A': ...\n"
        "    @staticmethod\n    def join(a: int, /, *, b: int) -> int: ...\n"
    )

    assert grade("type_hints", code) == Score(value=1.0, explanation="3 of 3 parameters and 2 of 2 returns annotated")


def test_type_hints_decline_without_functions() -> None:
    assert value("type_hints", "x = 1") is None


def test_docstrings_are_asked_for_of_public_names_only() -> None:
    code = (
        'def a():\n    """Doc."""\n    def inner(): ...\n'
        "def _private(): ...\n"
        'class B:\n    """Doc."""\n    def __init__(self): ...\n    def method(self): ...\n'
        "class _C:\n    def method(self): ...\n"
    )
    score = grade("docstrings", code)

    assert score == Score(value=pytest.approx(2 / 3), explanation="2 of 3 public names documented; missing: `B.method`")
    assert value("docstrings", code, at_least=0.6) == 1
    assert value("docstrings", "x = 1") is None


@pytest.mark.parametrize(
    ("construct", "code"),
    [
        ("bare_except", "try:\n    f()\nexcept:\n    pass"),
        ("eval", "eval('1')"),
        ("exec", "exec('1')"),
        ("print", "print(1)"),
        ("mutable_default", "def f(a=[]): ..."),
        ("mutable_default", "def f(*, a=dict()): ..."),
        ("mutable_default", "f = lambda a={}: a"),
        ("star_import", "from os import *"),
        ("assert", "assert x"),
        ("global", "def f():\n    global x"),
    ],
)
def test_a_construct_to_avoid_is_found_and_named(construct: str, code: str) -> None:
    assert grade("avoids", code, constructs=[construct]) == Score(value=0.0, explanation=f"has {construct}")
    assert value("avoids", code, constructs=[name for name in ALL_CONSTRUCTS if name != construct]) == 1


def test_what_only_looks_like_a_construct_to_avoid_is_allowed() -> None:
    code = (
        "model.eval()\nlog.print(1)\ntry:\n    f()\nexcept ValueError:\n    pass\n"
        "def f(a=(), b=None, c=frozenset()): ...\n"
        "def test_f():\n    assert f()\n"
        "class TestF:\n    def check(self):\n        assert f()\n"
    )

    assert value("avoids", code, constructs=ALL_CONSTRUCTS) == 1


def test_an_unknown_construct_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match="does not know goto; it knows bare_except, eval, exec, print"):
        standard()["avoids"](constructs=["goto"])


@pytest.mark.parametrize("wrong", [0, 1.5, -1])
def test_a_share_outside_the_scale_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="above 0 and up to 1"):
        standard()["type_hints"](at_least=wrong)


@pytest.mark.parametrize(
    "code",
    [
        "from typing import Optional\ndef f(a: Optional[int]) -> None: ...",
        "import typing as t\nx: t.List[int] = []",
        "def f() -> Dict[str, int]: ...",
        "def f(a: 'Union[int, str]'): ...",
        "from typing import Optional\nMaybe = Optional[int]\nx: Maybe = None",
    ],
)
def test_old_generics_are_not_modern(code: str) -> None:
    assert value("modern_python", code) == 0


@pytest.mark.parametrize(
    "code",
    [
        "def f(a: int | None) -> list[dict[str, int]]: ...",
        "from typing import Annotated, Literal\nx: Annotated[int, 1]",
        "from mine import List\nx: List[int]",
        "class Set:\n    x: Set[int]",
        "from collections import Counter\nx: Counter[str]",
    ],
)
def test_builtin_generics_and_names_from_elsewhere_are_modern(code: str) -> None:
    assert value("modern_python", code) == 1


def test_code_without_annotations_is_neither_modern_nor_old() -> None:
    assert value("modern_python", "x = 1") is None


def test_warnings_about_the_code_are_neither_shown_nor_errors() -> None:
    assert value("python_parses", "x = '\\d' is 1") == 1


@pytest.mark.parametrize(
    ("code", "tests"),
    [
        ("def add(a, b):\n    return a + b\n\ndef test_adds_two():\n    assert add(1, 2) == 3", 1),
        ("class OrderBook:\n    pass\n\ndef test_order_book_is_empty():\n    assert not rows()", 1),
        (
            "from shop import total\n\nclass TotalTests(TestCase):\n    def test_it(self):\n        self.assertEqual(total([]), 0)",
            1,
        ),
        ("def e():\n    pass\n\ndef test_everything():\n    assert 1 + 1 == 2", 0),
        ("class A(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(1 + 1, 2)", 0),
        (
            "class Adds:\n    def set_up(self):\n        self.x = 1\n\n    def test_set_up(self):\n        assert self.x == 1",
            0,
        ),
        ("def test_one():\n    assert test_two() == 1\n\ndef test_two():\n    return 1", 0),
    ],
)
def test_a_test_names_what_the_reply_has_and_not_itself_or_a_letter(code: str, tests: int) -> None:
    assert value("has_tests", code) == tests


@pytest.mark.parametrize(
    "code",
    [
        'sql = "SELECT *"\nsql += " FROM t WHERE a = " + x\ncur.execute(sql)',
        'query = "SELECT a FROM t WHERE id = "\ncur.execute(query + uid)',
        'QUERY: str = "SELECT a FROM t WHERE id = %s"\ncur.execute(QUERY % uid)',
        'query = "SELECT a FROM t WHERE id = {}"\ncur.execute(query.format(uid))',
        'self.q = "DELETE FROM t"\ncur.execute(f"{self.q} WHERE id = {uid}")',
        'cur.execute(" ".join(["SELECT a FROM t WHERE id =", uid]))',
        'cur.execute("SELECT a FROM t WHERE id = :id".replace(":id", uid))',
        'cur.execute(Template("SELECT a FROM $t").substitute(t=table))',
        'print(cur.execute(f"SELECT a FROM {table}"))',
    ],
)
def test_sql_is_put_together_in_many_ways(code: str) -> None:
    assert value("safe_sql", code) == 0


@pytest.mark.parametrize(
    "code",
    [
        'query = "SELECT a FROM t WHERE id = %s"\ncur.execute(query, (uid,))',
        'query = "SELECT a FROM t"\nquery += " LIMIT 10"\ncur.execute(query + " OFFSET 5")',
        'logger.info(f"Select {x} from the list")\ncur.execute("DELETE FROM t")',
        'print(f"Delete from {cart}: {item}")\ncur.execute("DELETE FROM t")',
        'action = "update"\nlabel = f"{action} by {user}"\ncur.execute("DELETE FROM t")',
        'if not rows:\n    raise ValueError(f"Update the {name} set first")\ncur.execute("DELETE FROM t")',
        'cur.execute(sql.SQL("SELECT a FROM {}").format(sql.Identifier(table)), ("DELETE FROM t",))',
    ],
)
def test_sql_with_its_values_apart_and_words_for_people_are_safe(code: str) -> None:
    assert value("safe_sql", code) == 1


def test_code_is_never_executed() -> None:
    code = "raise SystemExit"

    assert [value(name, code, **given) for name, given in OPTIONS.items()] == [1, None, None, 1, None]


@pytest.mark.parametrize(
    "code",
    [
        "(" * 10_000,
        "-" * 10_000 + "1",
        "a" + ".b" * 10_000,
        "1+" * 10_000 + "1",
        "lambda:" * 5_000 + "1",
        "x = '\0'",
        "\ud800 = 1",
        "1" * 10_000,
        "[" * 150 + "]" * 150,
        "x\n" * 200_000,
        "def f[" + "[a]" * 10_000,
    ],
    ids=lambda code: ascii(code[:8]),
)
def test_no_code_makes_a_grader_raise(code: str) -> None:
    for name, given in OPTIONS.items():
        score = grade(name, code, **given)
        assert score.value in (None, 0.0, 1.0)


def test_code_that_is_too_long_to_read_says_so() -> None:
    assert "400,000 characters; blocks up to 200,000 are read" in grade("python_parses", "x\n" * 200_000).explanation
