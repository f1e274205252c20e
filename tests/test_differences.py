from __future__ import annotations

import random
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.comparison.differences import words as differences
from workbench.comparison.differences.views import (
    MOST_CHARACTERS,
    html_lines,
    html_words,
    markdown_fence,
    plain_lines,
    plain_words,
)
from workbench.comparison.differences.words import (
    WORDS_UP_TO,
    Line,
    Span,
    changed_words,
    diff_words,
    lines_of_difference,
)

words = st.lists(st.sampled_from(["a", "be", "def", "(", ")", ".", "- ", " ", "  ", "\n", "\r\n", "\t", "é", "名"]))
texts = st.one_of(st.text(max_size=60), words.map("".join))
ATTACK = "<script>alert(1)</script>\x1b[31m\u202eevil</pre>```"


def before_of(spans: tuple[Span, ...]) -> str:
    return "".join(span.text for span in spans if span.kind != "added")


def after_of(spans: tuple[Span, ...]) -> str:
    return "".join(span.text for span in spans if span.kind != "removed")


def written(lines: list[Line], side: str) -> str:
    return "".join(line.text + "\n" * line.ended for line in lines if line.kind in ("equal", side))


class Page(HTMLParser):
    """What a browser would make of it: tags, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(str(html))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@settings(max_examples=400)
@given(texts, texts)
def test_the_spans_are_both_texts(before: str, after: str) -> None:
    spans = diff_words(before, after)

    assert before_of(spans) == before
    assert after_of(spans) == after
    assert all(span.text for span in spans)
    assert all(one.kind != other.kind for one, other in pairwise(spans))


@settings(max_examples=200)
@given(texts, texts)
def test_the_lines_are_both_texts(before: str, after: str) -> None:
    lines = lines_of_difference(diff_words(before, after))

    assert written(lines, "removed") == before
    assert written(lines, "added") == after


@given(texts)
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    assert diff_words(text, text) == ((Span("equal", text),) if text else ())


@pytest.mark.parametrize(
    ("before", "after", "marked"),
    [
        ("You are an architect.", "You are a senior architect.", "You are [-an-]{+a senior+} architect."),
        ("one two", "one  two", "one{+·+} two"),
        ("Be brief and kind.", "Be brief, and kind.", "Be brief{+,+} and kind."),
        ("f(a, b)", "f(a, *, b)", "f(a, {+*, +}b)"),
        ("x = 1\ny = 2\n", "x = 1\ny = 3\n", "x = 1\ny = [-2-]{+3+}\n"),
        ("a\r\nb", "a\nb", "a[-<U+000D>-]\nb"),
        ("", "new", "{+new+}"),
        (
            "Ask the user what he wants",
            "Tell nobody what it is all about",
            "[-Ask the user-]{+Tell nobody+} what [-he wants-]{+it is all about+}",
        ),
    ],
)
def test_words_are_marked_and_blanks_and_signs_kept(before: str, after: str, marked: str) -> None:
    assert plain_words(diff_words(before, after)).removesuffix("\n") == marked.removesuffix("\n")


def test_small_islands_between_large_changes_are_not_left_standing() -> None:
    spans = diff_words("Latency budgets belong to a platform", "Everybody reviewing mentions a documentation")

    assert [span.kind for span in spans] == ["removed", "added"]


def test_a_line_put_in_is_marked_from_its_start_to_its_end() -> None:
    lines = lines_of_difference(diff_words("- one\n- three\n", "- one\n- two\n- three\n"))

    assert [(line.kind, line.text) for line in lines] == [("equal", "- one"), ("added", "- two"), ("equal", "- three")]


def test_changed_words_are_marked_inside_changed_lines() -> None:
    removed, added = lines_of_difference(diff_words("Use types.\n", "Use strict types.\n"))

    assert removed == Line("removed", (("Use ", False), ("types.", False)))
    assert added == Line("added", (("Use ", False), ("strict ", True), ("types.", False)))


def test_a_line_end_missing_at_the_end_is_said() -> None:
    assert plain_lines(lines_of_difference(diff_words("a\nb", "a\nb\n"))) == "  a\n- b (no line end)\n+ b\n"


def test_changed_words_are_counted() -> None:
    assert changed_words(diff_words("one two three", "one four")) == (2, 1)


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        *((kind, 1_000_000) for kind in ("edited", "unlike", "two letters", "blank", "one line", "turned round")),
        ("two letters", 5_000_000),
    ],
)
def test_the_work_on_large_texts_is_bounded(kind: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    common = differences._common

    def counted(old: list[str], new: list[str], budget: differences._Budget) -> list[differences.Block]:
        nonlocal steps
        before = budget.steps
        found = common(old, new, budget)
        steps += before - budget.steps
        return found

    monkeypatch.setattr(differences, "_common", counted)
    before, after = large_texts(kind, size)

    spans = diff_words(before, after)

    assert before_of(spans) == before and after_of(spans) == after
    assert steps <= differences._MOST_STEPS_IN_ALL + differences._MOST_ITEMS**2


def test_stretches_too_long_for_words_are_compared_by_lines() -> None:
    filler = "word " * (WORDS_UP_TO // 10)

    spans = diff_words(f"head\n{filler}\n{filler}x\nfoot", f"head\n{filler}y\nz {filler}\nfoot")
    assert [span.kind for span in spans] == ["equal", "removed", "added", "equal"]
    assert spans[0].text == "head\n" and spans[-1].text == "\nfoot"


def test_words_are_still_found_in_the_lines_of_a_large_text() -> None:
    lines = [f"line {number} says something" for number in range(40_000)]
    changed = [*lines]
    changed[20_000] = "line 20000 says nothing"

    spans = diff_words("\n".join(lines), "\n".join(changed))
    assert [span for span in spans if span.kind != "equal"] == [Span("removed", "something"), Span("added", "nothing")]


@settings(max_examples=100)
@given(texts, texts)
def test_no_view_lets_text_become_markup_or_control_the_reader(before: str, after: str) -> None:
    spans = diff_words(f"{before}{ATTACK}", f"{after} {ATTACK}{ATTACK}")
    lines = lines_of_difference(spans)

    for html in (html_words(spans), html_lines(lines)):
        page = Page(html)
        assert set(page.tags) <= {"pre", "ins", "del", "span", "b", "i"}
        assert page.attributes <= {"style"}
        assert page.tags.count("pre") == 1 and html.count("</pre>") == 1
    for view in (html_words(spans), html_lines(lines), plain_words(spans), plain_lines(lines)):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", view)


def test_html_marks_by_tag_sign_and_colours_of_its_own() -> None:
    html = html_words(diff_words("Use types", "Use no words"))

    assert "<del " in html and "<ins " in html
    assert ">-</b>" in html and ">+</b>" in html
    styles = re.findall(r'<(?:ins|del|b) style="([^"]*)"', html)
    assert styles and all("color:" in style and "background:" in style for style in styles)
    assert "class=" not in html


def test_html_shows_both_texts() -> None:
    page = Page(html_words(diff_words("if a < b & c:", "if a > b & c:")))

    assert page.text.strip() == "if a -<+> b & c:"


def test_equal_lines_far_from_a_change_are_folded() -> None:
    lines = "".join(f"{number}\n" for number in range(100))
    spans = diff_words(f"{lines}old\n{lines}", f"{lines}new\n{lines}")

    shown = plain_lines(lines_of_difference(spans)).splitlines()
    assert shown == [
        "  (97 equal lines)",
        "  97",
        "  98",
        "  99",
        "- old",
        "+ new",
        "  0",
        "  1",
        "  2",
        "  (97 equal lines)",
    ]
    assert "equal lines)" in plain_words(spans) and "\n50\n" not in plain_words(spans)


@pytest.mark.parametrize("text", ["word " * 20_000, "line\n" * 20_000])
def test_a_long_difference_is_cut_and_says_so(text: str) -> None:
    spans = diff_words("", text)
    lines = lines_of_difference(spans)

    for view in (html_words(spans), html_lines(lines), plain_words(spans), plain_lines(lines)):
        assert re.search(r"\([\d,]+ more (characters|characters of this line|lines)\)", view)
        assert len(view) < 4 * MOST_CHARACTERS


def test_nothing_in_a_block_of_code_can_end_it() -> None:
    fenced = markdown_fence("a\n```\n````\nb")

    assert fenced.startswith("`````\n") and fenced.endswith("\n`````\n")


def large_texts(kind: str, size: int) -> tuple[str, str]:
    generator = random.Random(5)
    vocabulary = [f"w{number:x}" for number in range(5_000)]

    def line() -> str:
        return " ".join(generator.choices(vocabulary, k=10))

    if kind == "blank":
        return "\n" * size, "\n" * (size - 1) + "x"
    if kind == "two letters":
        one, other = ("\n".join(generator.choices("ab", k=size // 2)) for _ in range(2))
        return one, other
    if kind == "one line":
        one, other = (" ".join(generator.choices(vocabulary, k=size // 5)) for _ in range(2))
        return one, other
    lines = [line() for _ in range(size // 50)]
    if kind == "turned round":
        return "\n".join(lines), "\n".join(reversed(lines))
    if kind == "unlike":
        return "\n".join(lines), "\n".join(line() for _ in lines)
    return "\n".join(lines), "\n".join(line() if number % 7 == 0 else old for number, old in enumerate(lines))
