from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.widgets.shared_text import LONGEST_LOG, SharedText

texts = st.text(alphabet="ab\n😀é\udc80", max_size=12)


@given(old=texts, new=texts)
def test_the_one_change_that_is_sent_makes_the_new_text(old: str, new: str) -> None:
    here, there = SharedText(old), SharedText(old)
    changed = here.set(new)
    updates = here.since(0) or []

    assert changed == (old != new)
    assert all(there.take(0, "page", [update["changes"]]) for update in updates)
    assert here.text == new
    assert there.text.replace("\udc80", "�") == new.replace("\udc80", "�")


def test_places_are_counted_as_a_page_counts_them() -> None:
    text = SharedText("😀b")

    assert text.take(0, "page", [[2, [1, "c", "d"]]])
    assert text.text == "😀c\nd"


def test_changes_on_an_old_version_are_not_taken() -> None:
    text = SharedText("a")
    text.set("b")

    assert not text.take(0, "page", [[1, [0, "x"]]])
    assert text.text == "b"


def test_several_changes_follow_each_other() -> None:
    text = SharedText("")

    assert text.take(0, "page", [[[0, "a"]], [1, [0, "b"]], [2, [0, "c"]]])
    assert (text.text, text.version) == ("abc", 3)


def test_a_change_that_does_not_fit_is_an_error_and_changes_nothing() -> None:
    text = SharedText("abc")

    with pytest.raises(ValueError, match="but it has 3"):
        text.take(0, "page", [[7]])
    assert (text.text, text.version) == ("abc", 0)


def test_changes_long_ago_are_forgotten_and_that_is_said() -> None:
    text = SharedText("")
    for number in range(LONGEST_LOG + 10):
        text.set(str(number))

    assert text.since(5) is None
    assert len(text.since(text.version - LONGEST_LOG) or []) == LONGEST_LOG
    assert text.since(text.version + 1) is None


def test_bytes_that_are_not_utf8_are_shown_and_stay() -> None:
    text = SharedText("a\udcffb")
    text.take(0, "page", [[3, [0, "c"]]])

    assert text.snapshot()["text"] == "a�bc"
    assert text.text == "a\udcffbc"
