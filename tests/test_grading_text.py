from __future__ import annotations

import pytest

from workbench.grading.catalogue import standard
from workbench.trial.fences import code_blocks, prose
from workbench.trial.task import Task
from workbench.trial.trial import Reply, Score

TASK = Task(id="task", input="Question")


def grade(name: str, text: str, **options: object) -> Score:
    return standard()[name](**options)(TASK, Reply(text=text))


def value(name: str, text: str, **options: object) -> float | None:
    return grade(name, text, **options).value


# Options


def test_the_catalogue_names_every_grader() -> None:
    of_text = {"mentions", "omits", "contains", "equals", "matches", "word_count", "has_sentences", "readability"}
    of_text |= {"language", "code_share", "asks_question"}
    of_form = {"has_diagram", "has_code", "has_section", "headings", "has_table", "has_list", "is_json", "has_files"}
    of_python = {"python_parses", "type_hints", "docstrings", "avoids", "modern_python", "defines", "uses", "has_tests"}
    of_python |= {"safe_sql", "no_secrets", "ruff", "mypy"}
    others = {"latency", "tokens", "cost", "all_of", "any_of", "at_least"}

    assert set(standard()) == of_text | of_form | of_python | others


def test_the_catalogue_is_the_callers_own() -> None:
    standard().clear()

    assert standard()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mentions", {"anyy": ["a"]}, "mentions has no option anyy; did you mean any? its options: any, all"),
        ("modern_python", {"of": "x"}, "modern_python has no option of; it takes no options"),
        ("omits", {}, "omits needs the option any; its options: any"),
        ("mentions", {"any": "OAuth"}, "`any` takes a list of texts, found 'OAuth'"),
        ("mentions", {"any": [1]}, "`any` takes a list of texts"),
        ("matches", {"pattern": 3}, "`pattern` takes a text, found 3"),
        ("matches", {"pattern": "a", "flags": 3}, "`flags` takes letters out of imsxa, found 3"),
        ("word_count", {"at_least": "10"}, "`at_least` takes a whole number, found '10'"),
        ("word_count", {"at_most": True}, "`at_most` takes a whole number, found True"),
        ("asks_question", {"of_user": "yes"}, "`of_user` takes true or false, found 'yes'"),
        ("has_code", {"language": ["python"]}, "`language` takes a text"),
    ],
)
def test_an_option_of_a_wrong_name_or_type_says_what_was_found(
    name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(TypeError) as raised:
        standard()[name](**options)

    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mentions", {}, "either `any` or `all`, found neither"),
        ("mentions", {"any": ["a"], "all": ["b"]}, "either `any` or `all`, found both"),
        ("omits", {"any": []}, "at least one text"),
        ("omits", {"any": [" "]}, "no blank ones"),
        ("matches", {"pattern": "(a"}, "`pattern` '(a' does not compile"),
        ("matches", {"pattern": "[[a]"}, "does not compile: Possible nested set"),
        ("matches", {"pattern": "a", "flags": "iz"}, "`flags` does not know z; it knows i, m, s, x, a"),
        ("word_count", {}, "found neither"),
        ("word_count", {"at_least": 0}, "`at_least` must be at least 1, found 0"),
        ("word_count", {"at_least": 9, "at_most": 3}, "`at_least` 9 is above `at_most` 3"),
        ("has_code", {"language": " "}, "`language` is blank"),
        ("has_section", {"any": ["--"]}, "titles with letters or digits, found '--'"),
    ],
)
def test_an_option_of_a_wrong_value_says_what_was_found(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        standard()[name](**options)

    assert message in str(raised.value)


# Words


def test_mentions_finds_whole_words_in_any_case() -> None:
    assert value("mentions", "We use oauth 2.1 for this.", any=["OAuth", "JWT"]) == 1
    assert value("mentions", "We use OAuthlib for this.", any=["OAuth", "JWT"]) == 0
    assert value("mentions", "It is written in C++ (really).", any=["c++"]) == 1


def test_mentions_reads_through_line_breaks_and_typographic_hyphens() -> None:
    assert value("mentions", "The rate\nlimit stops it at ten calls.", any=["rate limit"]) == 1
    assert value("mentions", "Of the trade‑offs memory is the worst.", any=["trade-offs"]) == 1


def test_mentions_all_is_a_share_and_names_what_is_missing() -> None:
    score = grade("mentions", "This needs Redis and Celery.", all=["redis", "celery", "kafka", "rq"])

    assert score == Score(value=0.5, explanation="mentions 2 of 4; missing: `kafka` and `rq`")


def test_mentions_all_says_why_a_word_that_is_there_does_not_count() -> None:
    score = grade(
        "mentions", "This needs Redis and Celery. There is no Kafka in the plan.", all=["redis", "kafka", "rq"]
    )

    assert score.explanation == (
        "mentions 1 of 3; missing: `kafka` and `rq`; `kafka` is there, but denied or only asked (`denied`, `questions`)"
    )


def test_what_a_reply_reports_as_missing_is_mentioned_where_that_is_wanted() -> None:
    missing = "There is no section Success Criteria, so nobody can tell when it is done."
    for options in ({"any": ["Success Criteria"]}, {"all": ["Success Criteria"]}):
        assert value("mentions", missing, **options) == 0
        assert value("mentions", missing, **options, denied=True) == 1
        assert value("mentions", "There is no success criteria here.", **options, denied=True) == 1
        assert value("mentions", "success criteria, goals, background", **options, denied=True) == 0
        assert value("mentions", "Are there success criteria in the document?", **options, denied=True) == 0


def test_omits_is_one_where_none_of_the_words_appears() -> None:
    assert value("omits", "Here it is.", any=["As an AI", "delve"]) == 1
    assert grade("omits", "As an  AI, I", any=["As an AI", "delve"]) == Score(
        value=0.0, explanation="mentions `As an AI`"
    )


def test_matches_searches_with_its_flags_and_names_the_line() -> None:
    score = grade("matches", "one\nStatus: 404", pattern=r"^status: \d+$", flags="im")

    assert score == Score(value=1.0, explanation='line 2 matches: "Status: 404"')
    assert value("matches", "one\nStatus: 404", pattern=r"^status: \d+$") == 0


@pytest.mark.parametrize(
    ("words", "expected"), [(100, 1), (200, 1), (75, 0.5), (50, 0), (10, 0), (300, 0.5), (400, 0), (900, 0)]
)
def test_word_count_falls_off_to_zero_at_half_and_double(words: int, expected: float) -> None:
    assert value("word_count", "word " * words, at_least=100, at_most=200) == expected


def test_word_count_takes_one_bound() -> None:
    assert value("word_count", "word " * 1000, at_least=100) == 1
    assert value("word_count", "", at_most=100) == 1


# Questions


@pytest.mark.parametrize(
    "text",
    [
        "How many users do you expect?",
        "Before I start:\n\n1. What is the read/write ratio?\n2. Which cloud?",
        "- **Scale**: How many tenants? This decides the isolation.",
        "It depends. What is the expected load?",
        "**Could you share the schema?**",
        "| Question | Why |\n|---|---|\n| How many tenants? | Isolation |",
        "この負荷はどのくらいですか？",
        "Is 10k the peak, e.g. 10k at noon?",
    ],
)
def test_a_question_put_to_the_reader_counts(text: str) -> None:
    assert value("asks_question", text) == 1


@pytest.mark.parametrize(
    "text",
    [
        "No questions here.",
        "## What would you like?\n\nA plan.",
        "What would you like?\n====\n\nA plan.",
        "```python\nx = 'are you sure?'\n```\nDone.",
        "~~~\nare you sure?\n~~~",
        "Why Postgres? Because it is boring.",
        "Should you use Redis? Yes, for sessions.",
        "What is a tenant? A tenant is a customer.",
        '> "How fast is it?" they asked.\n\nFast.',
        'The user may ask "can you do that?"',
        "See https://x.example/?q=you for more.",
        "Call `ask(you?)` then.",
        "Do you?",
        "Do you? Would you? Or not you?",
        "",
    ],
)
def test_what_is_no_question_to_the_reader_does_not_count(text: str) -> None:
    assert value("asks_question", text) == 0


def test_too_few_questions_count_by_their_share() -> None:
    score = grade("asks_question", "1. Which cloud is it?\n2. How many users?", at_least=4)

    assert score == Score(value=0.5, explanation='2 questions of 4 wanted; the first: "Which cloud is it?"')


def test_rhetorical_questions_count_where_any_question_does() -> None:
    assert value("asks_question", "Why take Postgres? Because it is boring.", of_user=False) == 1


# Blocks, diagrams, sections


def test_fenced_blocks_are_found_in_every_way_they_are_written() -> None:
    text = (
        "```python title=x.py\na\n```\n"
        "~~~ {.Py}\nb\n~~~\n"
        "1. step\n\n   ```py\n   if c:\n       d\n   ```\n"
        "- ```yaml\n  e: 1\n  ```\n"
        "> ```sql\n> select 1\n> ```\n"
        "````text\n```\ninner\n```\n````\n"
        "```js:app.js\nf\n"
    )
    blocks = code_blocks(text)

    assert [block.language for block in blocks] == ["python", "python", "python", "yaml", "sql", "text", "javascript"]
    assert [block.text for block in blocks[:5]] == ["a", "b", "if c:\n    d", "e: 1", "select 1"]
    assert blocks[5].text == "```\ninner\n```"
    assert [block.closed for block in blocks] == [True] * 6 + [False]


def test_a_markdown_block_holds_the_blocks_shown_in_it() -> None:
    blocks = code_blocks("```markdown\n# Readme\n```bash\nls\n```\nend\n```\nprose")

    assert [block.text for block in blocks] == ["# Readme\n```bash\nls\n```\nend"]


def test_code_in_a_sentence_is_no_block() -> None:
    assert code_blocks("```not a block``` and more\n``two``") == ()


def test_prose_is_the_reply_without_its_blocks() -> None:
    assert prose("a\n```\nb\n```\nc") == "a\n\nc"
    assert prose("a\n```\nb") == "a\n"


@pytest.mark.parametrize(
    "text",
    [
        "```mermaid\ngraph TD\nA-->B\n```",
        "```plantuml\n@startuml\nA -> B\n@enduml\n```",
        "```\nsequenceDiagram\n  A->>B: hi\n```",
        "```\nClient --> API --> Postgres\n```",
        "```text\n+--------+\n| client |\n+--------+\n    |\n    v\n+-----+\n| api |\n+-----+\n```",
        "```\n┌────┐   ┌────┐\n│ A  │───│ B  │\n└────┘   └────┘\n```",
        "┌────┐\n│ A  │\n└────┘",
    ],
)
def test_a_drawing_is_a_diagram(text: str) -> None:
    assert value("has_diagram", text) == 1


@pytest.mark.parametrize(
    "text",
    [
        "The client calls A -> B -> C.",
        "```mermaid\n```",
        "```mermaid\nx\n```",
        "```mermaid\ngraph TD\n```",
        "```plantuml\n@startuml\n@enduml\n```",
        "```\ndef f(a: int) -> int: ...\ndef g(b: int) -> int:\n    return b\n```",
        "```\nsrc/\n├── api/    ← routes\n└── domain/ ← rules\n```",
        "```\n+----+----+\n| id | n  |\n+----+----+\n```",
        "```python\nA = 1  # a --> b --> c\n```",
        "",
    ],
)
def test_prose_code_trees_and_tables_are_no_diagram(text: str) -> None:
    assert value("has_diagram", text) == 0


def test_has_code_asks_for_a_block_of_its_language() -> None:
    assert value("has_code", "```py\nx\n```", language="Python") == 1
    assert value("has_code", "```\nx\n```") == 1
    assert value("has_code", "```\n\n```") == 0
    assert grade("has_code", "```sql\nx\n```", language="python").explanation == "no block of python; blocks of `sql`"


@pytest.mark.parametrize(
    "text",
    [
        "## Trade-offs",
        "### Design tradeoffs and risks ###",
        "Trade offs\n----------",
        "**Trade‑offs:** latency for cost",
        "- __TRADE-OFFS__ none",
        "4. **Key Trade-Offs** ...",
    ],
)
def test_a_section_is_a_heading_or_a_bold_lead_in(text: str) -> None:
    assert value("has_section", f"Intro\n\n{text}\n", any=["Trade-offs", "Risks to take"]) == 1


@pytest.mark.parametrize(
    "text",
    ["The trade-offs are many.", "```\n# Trade-offs\n```", "# Trading offsets", "so **the** trade-offs", ""],
)
def test_words_in_prose_and_code_are_no_section(text: str) -> None:
    assert value("has_section", text, any=["Trade-offs"]) == 0


# What cannot be trusted


@pytest.mark.parametrize(
    "text",
    [
        "?" * 100_000,
        "." * 100_000 + "x",
        "`" * 100_000,
        "**" * 50_000,
        "```\n" * 20_000,
        "+--" * 30_000,
        "| " * 50_000,
        ">" * 100_000,
        "1. " * 30_000,
        "\u2028?" * 20_000,
        "\ud800?\x00\x1b[2J\u202e",
    ],
    ids=lambda text: ascii(text[:8]),
)
def test_no_reply_makes_a_grader_raise_or_leave_the_scale(text: str) -> None:
    options: dict[str, dict[str, object]] = {
        "mentions": {"all": ["a b", "?"]},
        "omits": {"any": ["a b"]},
        "word_count": {"at_least": 5, "at_most": 50},
        "asks_question": {"at_least": 3},
        "has_diagram": {},
        "has_code": {},
        "has_section": {"any": ["x y"]},
        "matches": {"pattern": "a b", "where": "sentences"},
        "has_sentences": {"at_least": 2},
        "code_share": {"at_most": 0.5},
        "headings": {"all": ["a"]},
        "has_table": {"columns": ["a"]},
        "has_list": {},
        "has_files": {"all": ["a.py"]},
        "is_json": {},
        "defines": {},
        "uses": {"any": ["a"]},
        "has_tests": {},
        "no_secrets": {},
    }

    for name, given in options.items():
        score = grade(name, text, **given)
        assert score.value is not None
        assert 0 <= score.value <= 1
        assert len(score.explanation) < 400
