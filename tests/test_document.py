from __future__ import annotations

from pathlib import Path

import frontmatter
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workbench.definition.agent import parse_agent
from workbench.definition.document import AgentHandler, parse_document

BROKEN = (
    "---\nname: seer\ndescription: Use it. Examples: <example>user: 'hi'</example>\ntools: [Read, Grep]\n---\nSee.\n"
)

line_ends = st.sampled_from(["\n", "\r\n", "\r"])
odd_lines = st.sampled_from(
    [
        "---", "----", "...", " ---", "", "  ", "\t", "name: a", "description: b: c", "description: |", "  text",
        "tools: [a, b]", "tools:", "  - Read", "# note", "name: a", "user: hi", "Context: now", "key : v", "? k",
        ": v", '"q": 1', "'s': \"x\" y", "model: &m sonnet", "color: *m", "{a: 1}", "hooks: {a: [1, {b: }]}",
        "x: !!str 1", "y: !!python/object:os.system z", "\x00", "n: \x07", "\u2028", "\ufeff", "z: >+", "%TAG", "@",
        "-",
    ]
)  # fmt: skip
headers = st.lists(st.tuples(odd_lines | st.text(max_size=30), line_ends), max_size=25).map(
    lambda lines: "---\n" + "".join(text + end for text, end in lines)
)


def files_of(corpus: Path) -> list[Path]:
    return sorted([*(corpus / "real").rglob("*.md"), *(corpus / "odd").glob("*.md")])


@given(st.binary(max_size=300))
def test_any_bytes_are_read_and_come_back(data: bytes) -> None:
    assert parse_document(data).to_bytes() == data
    assert parse_document(b"---\n" + data).to_bytes() == b"---\n" + data


@given(headers)
def test_any_header_is_read_and_comes_back(text: str) -> None:
    document = parse_document(text)

    assert document.text == text
    assert document.text == parse_document(document.text).text


@given(st.sampled_from(["", "\ufeff"]), st.lists(st.sampled_from(["a", "b: c", "---", ""]), max_size=6), line_ends)
def test_byte_order_mark_and_line_ends_come_back(bom: str, lines: list[str], end: str) -> None:
    data = (bom + "---" + end + end.join(["name: x", *lines])).encode()

    assert parse_document(data).to_bytes() == data


def test_whole_corpus_comes_back_byte_for_byte(corpus: Path) -> None:
    files = files_of(corpus)

    assert len(files) == 525
    assert [path for path in files if parse_document(path.read_bytes()).to_bytes() != path.read_bytes()] == []


def test_given_agent_file_is_recovered_with_all_its_fields(corpus: Path) -> None:
    path = corpus.parent / "agents" / "senior-python-architect.md"
    if not path.is_file():
        pytest.skip(f"the given agent file is not at {path}")
    document = parse_document(path.read_bytes())

    assert document.to_bytes() == path.read_bytes()
    assert not document.is_strict
    assert list(document.values) == ["name", "description", "model", "color"]
    assert "Examples: <example>" in document.values["description"]


def test_strict_files_of_the_corpus_say_what_yaml_says(corpus: Path) -> None:
    """All but what YAML 1.1 takes for dates, switches and numbers, and 1.2 does not."""
    compared = 0
    for path in files_of(corpus):
        document = parse_document(path.read_bytes())
        try:
            expected = yaml.safe_load(document.header) if document.is_strict else None
        except yaml.YAMLError:
            continue
        if isinstance(expected, dict) and document.open:
            texts = {key: value for key, value in expected.items() if isinstance(value, (str, list))}
            assert {key: document.values[key] for key in texts} == texts, path.name
            compared += 1
    assert compared > 430


def test_broken_files_of_the_corpus_are_recovered(corpus: Path) -> None:
    broken = [path for path in files_of(corpus) if not parse_document(path.read_bytes()).is_strict]
    real = [path for path in broken if "real" in path.relative_to(corpus).parts]

    assert len(real) == 59
    for path in real:
        values = parse_document(path.read_bytes()).values
        assert values["name"]
        assert values["description"]


def test_entries_and_fences_are_told_apart() -> None:
    text = "\ufeff---\r\n# who\r\nname: a # id\r\n\r\ntools:\r\n  - Read\r\n  # - Write\r\n---\r\n\r\nBe.\r\n---\r\n"
    document = parse_document(text)

    assert (document.bom, document.open, document.head, document.close) == (
        "\ufeff", "---\r\n", "# who\r\n", "---\r\n",
    )  # fmt: skip
    assert [(entry.key, entry.value, entry.key_line) for entry in document.entries] == [
        ("name", "a", 3),
        ("tools", ["Read"], 5),
    ]
    assert [entry.gap for entry in document.entries] == ["\r\n", "  # - Write\r\n"]
    assert document.body == "\r\nBe.\r\n---\r\n"


def test_one_bad_line_does_not_spoil_its_neighbours() -> None:
    document = parse_document(BROKEN)

    assert document.values == {
        "name": "seer",
        "description": "Use it. Examples: <example>user: 'hi'</example>",
        "tools": ["Read", "Grep"],
    }
    assert [(problem.rule, problem.line) for problem in document.problems] == [("not-yaml", 3)]


def test_dialogue_in_a_description_is_not_taken_for_keys() -> None:
    text = (
        "---\nname: a\ndescription: Use it. Examples:\n\n<example>\nContext: a change\nuser: \"go\"\n"
        "assistant: \"on it\"\n</example>\ncolor: blue\n---\nBe.\n"
    )  # fmt: skip
    values = parse_document(text).values

    assert list(values) == ["name", "description", "color"]
    assert values["description"].splitlines() == [
        "Use it. Examples:", "", "<example>", "Context: a change", 'user: "go"', 'assistant: "on it"', "</example>",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("name: yes", "yes"),
        ("name: 2026-01-01", "2026-01-01"),
        ("name: 123", 123),
        ("name: null", None),
        ("name: 0o17", 15),
        ("name:\ttabbed", "tabbed"),
        ("name: a\u2028b", "a\u2028b"),
        ("name: bell \x07", "bell \x07"),
        ("name: *", "*"),
        ('name: "a" b: c', '"a" b: c'),
        ('name: "bad \\d"', "bad \\d"),
        ("name: 'it''s: so'", "it's: so"),
        ("name: [a", "[a"),
        ("name : spaced", "spaced"),
        ('"name": quoted', "quoted"),
        ("? name\n: complex", "complex"),
        ("name: >-\n  one\n  two\n\n  three", "one two\nthree"),
        ("name:\n  next: line: twice", "next: line: twice"),
        ("name: one\n  two: three\n\n  four", "one two: three\nfour"),
        ("name: |\n\ttab", "tab"),
    ],
)
def test_values_are_read_as_their_author_meant_them(line: str, value: object) -> None:
    assert parse_document(f"---\n{line}\n---\n").values == {"name": value}


def test_key_indented_by_mistake_is_found() -> None:
    values = parse_document("---\nname: a\ndescription: Reviews\n model: sonnet\n---\n").values

    assert values == {"name": "a", "description": "Reviews", "model": "sonnet"}


def test_header_that_is_never_closed_ends_before_the_prose() -> None:
    document = parse_document("---\nname: a\nmodel: opus\n\nYou review.\n")

    assert document.values == {"name": "a", "model": "opus"}
    assert document.body == "\nYou review.\n"
    assert "unclosed-header" in [problem.rule for problem in document.problems]


@pytest.mark.parametrize(
    "text", ["", "---", "---\n", "Just text.\n", "---\nA rule, then text.\n", "```\n---\nname: a\n"]
)
def test_file_without_a_header_is_all_body(text: str) -> None:
    document = parse_document(text)

    assert (document.open, document.body, document.values) == ("", text, {})
    assert [problem.rule for problem in document.problems] == ["no-header"]


@pytest.mark.parametrize(
    "header",
    [
        "a: " + "[" * 500_000,
        "a: " + "{a: " * 300_000,
        "- " * 500_000,
        "? " * 500_000,
        "a: " * 500_000,
        "name: a: b\n" * 100_000,
        "a: b\n" * 100_000,
        '"' + "x" * 2_000_000,
        "'" * 1_000_001,
        "a: &a [x]\n" + "".join(f"k{i}: &k{i} [*a, *a]\n" for i in range(20_000)),
        "a: |\n" + "  text\n" * 200_000 + "b: c: d\n",
        "a: b: c\n" + "x\n" * 500_000,
        "a: b: c\n" + "\n" * 1_000_000,
        " " * 2_000_000,
        "---" * 500_000,
        "-" * 1_000_000 + " " * 1_000_000 + "x",
        "&a " * 300_000,
        "".join(map(chr, range(0x20, 0xD800))) + "\x07",
    ],
    ids=lambda header: f"{header[:8]!r}*{len(header)}",
)
@pytest.mark.timeout(60)
def test_two_megabytes_of_anything_are_read(header: str) -> None:
    text = f"---\nname: a\n{header}\n---\nBe.\n"

    assert parse_document(text).text == text


def test_aliases_that_stand_for_too_much_are_not_expanded() -> None:
    lines = [
        "a: &a [x, x, x, x, x, x, x, x, x]",
        *(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    ]
    document = parse_document("---\nname: bomb\n" + "\n".join(lines) + "\n---\n")

    assert not document.is_strict
    assert document.values["name"] == "bomb"
    assert len(repr(document.values)) < 10_000


def test_python_frontmatter_reads_what_strict_yaml_refuses() -> None:
    with pytest.raises(yaml.YAMLError):
        frontmatter.loads(BROKEN)
    post = frontmatter.loads(BROKEN, handler=AgentHandler())

    assert post.metadata == parse_document(BROKEN).values
    assert post.content == "See."


def test_python_frontmatter_reads_the_whole_corpus(corpus: Path) -> None:
    for path in files_of(corpus):
        text = path.read_bytes().decode("utf-8", "replace")
        post = frontmatter.loads(text, handler=AgentHandler())
        document = parse_document(text.replace("\r\n", "\n").strip())
        assert post.metadata == document.values, path.name
        assert post.content == document.body.strip(), path.name


def test_python_frontmatter_survives_keys_that_it_cannot_hold() -> None:
    text = "---\nname: a\ncontent: text\nhandler: me\n---\nBe.\n"
    post = frontmatter.loads(text, handler=AgentHandler())

    assert post.metadata == {"name": "a", "content_": "text", "handler_": "me"}
    assert frontmatter.dumps(post) == "---\nname: a\ncontent: text\nhandler: me\n---\n\nBe."
    assert parse_document(text).values == {"name": "a", "content": "text", "handler": "me"}


def test_what_is_done_to_one_reading_is_not_in_the_next() -> None:
    text = "---\nname: abc\ntools: [Read]\nhooks: {Stop: []}\n---\nBe.\n"
    post = frontmatter.loads(text, handler=AgentHandler())
    post["tools"].append("Bash")
    post["hooks"]["Stop"] = 1
    agent = parse_agent(text)
    assert agent.hooks is not None
    agent.hooks["Stop"] = 2

    assert frontmatter.loads(text, handler=AgentHandler()).metadata == {
        "name": "abc",
        "tools": ["Read"],
        "hooks": {"Stop": []},
    }
    assert (parse_agent(text).tools, parse_agent(text).hooks) == (("Read",), {"Stop": []})


def test_text_without_a_header_passes_through_python_frontmatter() -> None:
    post = frontmatter.loads("Just text.", handler=AgentHandler())

    assert (post.metadata, post.content) == ({}, "Just text.")
    assert AgentHandler().detect("---\nname: a\n---\n")
