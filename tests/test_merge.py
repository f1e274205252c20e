from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.definition.merge import merge_texts

BASE = "---\nname: a\nmodel: sonnet\ncolor: green\n---\none\ntwo\nthree\n"

texts = st.lists(st.sampled_from(["a\n", "b\n", "---\n", "k: 1\n", "k: 2\n", "j: x\n", "é\r\n"]), max_size=8).map(
    "".join
)


def test_changes_of_two_sides_become_one_text() -> None:
    mine = BASE.replace("two", "zwei").replace("color: green", "color: red")
    disk = BASE.replace("three\n", "three\nfour\n").replace("name: a", "name: b")

    merge = merge_texts(BASE, mine, disk)

    assert merge.clashes == ()
    assert merge.text() == "---\nname: b\nmodel: sonnet\ncolor: red\n---\none\nzwei\nthree\nfour\n"


def test_neighbouring_keys_do_not_clash() -> None:
    mine = BASE.replace("model: sonnet", "tools: Read\nmodel: opus").replace("green", "red")
    disk = BASE.replace("model: sonnet", "model: haiku\nmemory: user")

    merge = merge_texts(BASE, mine, disk)
    (clash,) = merge.clashes

    assert [merge.pieces[clash].mine, merge.pieces[clash].disk] == ["model: opus\n", "model: haiku\n"]
    assert merge.text({clash: "disk"}).split("\n")[2:6] == ["tools: Read", "model: haiku", "memory: user", "color: red"]


def test_of_a_clash_one_side_stands_or_both() -> None:
    merge = merge_texts("x\n", "mine", "disk\n")

    assert merge.text() == "mine"
    assert merge.text({0: "disk"}) == "disk\n"
    assert merge.text({0: "both"}) == "mine\ndisk\n"


def test_the_same_change_of_both_sides_is_no_clash() -> None:
    assert merge_texts("x\n", "y\n", "y\n").clashes == ()


@given(base=texts, mine=texts, disk=texts)
def test_the_pieces_hold_every_line_of_the_three_texts(base: str, mine: str, disk: str) -> None:
    pieces = merge_texts(base, mine, disk).pieces

    assert "".join(piece.base for piece in pieces) == base
    assert "".join(piece.mine for piece in pieces) == mine
    assert "".join(piece.disk for piece in pieces) == disk


@given(base=texts, changed=texts)
def test_a_change_of_one_side_is_taken_whole(base: str, changed: str) -> None:
    assert merge_texts(base, changed, base).text() == changed
    assert merge_texts(base, base, changed).text() == changed
