from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

import workbench.definition.agent as agent_module
from tests.test_document import headers
from workbench.definition.agent import Agent, parse_agent, without_lines
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.fields import FIELDS
from workbench.definition.files import diff_agents, load_agent, save_agent
from workbench.definition.lines import plain_line_ends
from workbench.definition.resolved import resolve_model_alias
from workbench.definition.two_passes import shown_description
from workbench.errors import AgentChangedOnDisk, AgentFileError, WorkbenchError

NASTY = (
    "Use it: \"now\" # no comment\nwhen 'asked', \\d+ of it\n\n"
    '<example>\nContext: a user\nuser: "hi: there"\n</example>\n'
    "日本語 👩‍💻 {x} [y] *z &a !b %c @d `e`"
)
TEXTS = [
    NASTY,
    "--- dashes --- in it ---- and ---",
    "two\n---\nlines",
    "- leading",
    "tab\there",
    "trailing ",
    " leading",
    "trailing line end\n",
    "three line ends\n\n\n",
    "carriage\r\nreturn",
    "bell \x07, nul \x00",
    "#x",
    "yes",
    "123",
    "2026-01-01",
    "null",
    "x: y",
    "ends in:",
    "a\u2028b\x85c\ufeffd",
    "indented\n  line\n one",
    "back\\slash \\t",
    '"quoted" at the start',
    "'quoted'",
    "> x",
    "| y",
    "{a: b}",
    "*",
    "?",
    "x" * 6000,
]
PLAIN = "---\nname: reviewer\ndescription: Reviews code.\nmodel: sonnet\n---\n\nYou review.\n"


def corpus_files(corpus: Path, every: int = 1) -> list[Path]:
    return sorted([*(corpus / "real").rglob("*.md"), *(corpus / "odd").glob("*.md")])[::every]


def shown_as_wanted(agent: Agent) -> bool:
    reading = read_as_claude_code(agent)
    wanted = agent.name, shown_description(agent.description or ""), resolve_model_alias(agent.model)
    return (reading.name, reading.description, reading.model) == wanted


def assert_only_these_entries_changed(before: Agent, after: Agent, keys: set[str]) -> None:
    old, new = before.document, after.document
    assert [(e.key, e.text, e.gap) for e in old.entries if e.key not in keys] == [
        (e.key, e.text, e.gap) for e in new.entries if e.key not in keys
    ]
    assert (old.bom, old.lead, old.open or new.open, old.head, old.body) == (
        new.bom,
        new.lead,
        new.open,
        new.head,
        new.body,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "reviewer.md"
    path.write_bytes(PLAIN.encode())
    return path


def test_field_names_are_the_keys_in_snake_case() -> None:
    assert {name: field.key for name, field in FIELDS.items() if "_" in name} == {
        "disallowed_tools": "disallowedTools",
        "permission_mode": "permissionMode",
        "max_turns": "maxTurns",
        "mcp_servers": "mcpServers",
        "initial_prompt": "initialPrompt",
    }
    assert all(field.key == name for name, field in FIELDS.items() if "_" not in name)
    assert list(FIELDS)[:5] == ["name", "description", "tools", "disallowed_tools", "model"]


def test_every_field_is_read() -> None:
    agent = parse_agent(
        "---\nname: a\ndescription: b\ntools: Read, Agent(x, y)\ndisallowedTools: [Write]\nmodel: opus\n"
        "permissionMode: plan\nmaxTurns: 5\nskills:\n  - s\nmcpServers: [github]\nhooks: {Stop: []}\nmemory: user\n"
        "background: true\neffort: high\nisolation: worktree\ncolor: red\ninitialPrompt: go\nextra: 1\n---\nBe.\n"
    )

    assert {name: value for name in FIELDS if (value := getattr(agent, name)) is not None} == {
        "name": "a", "description": "b", "tools": ("Read", "Agent(x, y)"), "disallowed_tools": ("Write",),
        "model": "opus", "permission_mode": "plan", "max_turns": 5, "skills": ("s",), "mcp_servers": ["github"],
        "hooks": {"Stop": []}, "memory": "user", "background": True, "effort": "high", "isolation": "worktree",
        "color": "red", "initial_prompt": "go",
    }  # fmt: skip
    assert agent.prompt == "Be.\n"


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("name: 123", "name", "123"),
        ("description: [a, b]", "description", "[a, b]"),
        ("tools:", "tools", ()),
        ("tools: []", "tools", ()),
        ("tools: Read,, Grep ,", "tools", ("Read", "Grep")),
        ("tools: *", "tools", ("*",)),
        ("background: yes", "background", True),
        ("background: maybe", "background", None),
        ('maxTurns: "3"', "max_turns", 3),
        ("maxTurns: many", "max_turns", None),
        ("maxTurns: true", "max_turns", None),
        ("effort: 3", "effort", 3),
        ("color: #ff0000", "color", None),
    ],
)
def test_odd_values_are_read_as_they_were_meant(line: str, name: str, value: object) -> None:
    agent = parse_agent(f"---\n{line}\n---\n")

    assert getattr(agent, name) == value
    assert agent.text == f"---\n{line}\n---\n"


def test_unedited_agent_is_the_file_byte_for_byte(corpus: Path) -> None:
    for path in corpus_files(corpus):
        agent = load_agent(path)
        assert agent.to_bytes() == path.read_bytes(), path.name
        assert agent.replace() == agent


def test_saving_without_an_edit_writes_nothing_new(corpus: Path, tmp_path: Path) -> None:
    for number, path in enumerate(corpus_files(corpus)):
        copy = tmp_path / f"{number}.md"
        copy.write_bytes(path.read_bytes())
        save_agent(load_agent(copy))
        assert copy.read_bytes() == path.read_bytes(), path.name


def test_nasty_description_and_model_change_nothing_else_in_the_corpus(corpus: Path) -> None:
    for path in corpus_files(corpus):
        before = load_agent(path)
        draft = before.replace(description=NASTY, model="haiku")
        after = parse_agent(draft.to_bytes())
        assert after == draft, path.name
        assert_only_these_entries_changed(
            before if not before.document.is_flow else after, after, {"description", "model"}
        )
        if read_as_claude_code(before).listed:
            assert shown_as_wanted(after), path.name


def test_file_that_was_dropped_for_its_description_is_listed_after_a_new_one(corpus: Path) -> None:
    names = ["crlf-colon", "bom-crlf-colon", "unindented-examples", "bad-escape", "unbalanced-quote", "tab-indent"]
    for name in names:
        before = load_agent(corpus / "odd" / f"{name}.md")
        after = parse_agent(before.replace(description=NASTY).to_bytes())
        assert not read_as_claude_code(before).listed
        assert shown_as_wanted(after), name


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:16]))
@pytest.mark.parametrize(
    "header",
    [
        "name: a\ndescription: old\ncolor: red\n",
        "name: a\r\ndescription: old # said\r\ncolor: red\r\n",
        "name: a\ndescription: 'old'\ncolor: red\n",
        'name: a\ndescription: "old"\ncolor: red\n',
        "name: a\ndescription: |\n    old\n    text\n\n# end\ncolor: red\n",
        "name: a\ndescription: >-\n  old\n  text\ncolor: red\n",
        "name: a\ndescription: old: broken\ntools: *\ncolor: red\n",
        "name: a\ncolor: red\n",
        "name: a\ndescription: old\ndescription: older\ncolor: red\n",
        "name: a\ndescription:\n  old\n  text\ncolor: red",
        "  name: a\n  description: old\n  color: red\n",
    ],
    ids=repr,
)
def test_any_text_reads_back_equal_in_both_readings(header: str, text: str) -> None:
    end = "\r\n" if "\r\n" in header else "\n"
    before = parse_agent(f"---{end}{header}---{end}{end}Be.{end}" if header.endswith("\n") else f"---\n{header}")
    draft = before.replace(description=text, model="opus", initial_prompt=text)
    after = parse_agent(draft.to_bytes())

    assert after == draft
    assert shown_as_wanted(after)
    if header.endswith(end):
        assert_only_these_entries_changed(before, after, {"description", "model", "initialPrompt"})


@given(st.text(), st.text(min_size=1), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\ufeff"]))
def test_any_description_and_name_read_back(description: str, name: str, end: str, bom: str) -> None:
    before = parse_agent(
        f"{bom}---{end}name: x # who{end}{end}# about{end}description: y{end}tools: Read{end}---{end}Be."
    )
    draft = before.replace(description=description, name=name)
    after = parse_agent(draft.to_bytes())

    assert after == draft
    assert after.text.startswith(f"{bom}---{end}")
    assert after.text.endswith(f"{end}tools: Read{end}---{end}Be.")
    reading = read_as_claude_code(after)
    if reading.listed:
        assert (reading.name, reading.description) == (name, shown_description(description))


@given(headers, st.text())
def test_any_header_can_be_edited(text: str, value: str) -> None:
    before = parse_agent(text)
    draft = before.replace(description=value, tools=(), color=None, prompt="Be.\n")

    assert parse_agent(draft.to_bytes()).text == draft.text
    assert plain_line_ends(draft.text).endswith("\nBe.\n")
    assert draft.text.startswith("---")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "tools": st.none() | st.lists(st.sampled_from(["Read", "Bash(git log:*)", "Agent(a, b)", "*"])).map(tuple),
            "skills": st.none() | st.lists(st.text("ab:#-[]{}\"'", min_size=1)).map(tuple),
            "model": st.none() | st.text(),
            "max_turns": st.none() | st.integers(0, 10**6),
            "background": st.none() | st.booleans(),
            "effort": st.none() | st.sampled_from(["low", 3]),
            "hooks": st.none() | st.dictionaries(st.text(), st.lists(st.text())),
            "mcp_servers": st.none() | st.lists(st.text() | st.dictionaries(st.text(), st.text())),
            "prompt": st.text(),
        },
    ),
    st.sampled_from(
        [
            PLAIN,
            "---\nname: a\ntools:\n  - Read # all\nskills: [a, 'b']\nhooks: {}\nmaxTurns: 1\n---\n",
            "---\r\nname: a\r\ntools: [Read, Grep]\r\nmodel: 'x'\r\nbackground: yes\r\n---\r\nBe.\r\n",
            "---\n{name: a, tools: [Read], model: opus}\n---\nBe.",
            "Only a prompt.\n",
            "---\nname: a: b\ntools: Read\n\nNever closed.\n",
            "",
        ]
    ),
)  # fmt: skip
def test_any_fields_read_back(changes: dict[str, Any], text: str) -> None:
    draft = parse_agent(text).replace(**changes)
    assume(not (draft.prompt.lstrip("\ufeff \t\n").startswith("---") and "\n---" not in text[3:]))
    after = parse_agent(draft.to_bytes())

    assert after == draft


def test_lists_keep_their_style() -> None:
    agent = parse_agent(
        "---\nname: a\ntools:\n    - Read # must\n    # - Write\nskills: [x]\ndisallowedTools: 'Write'\n---\n"
    )
    text = agent.replace(tools=("Read", "Bash(git log:*)"), skills=("x", "y"), disallowed_tools=("Edit", "Write")).text

    assert text == (
        "---\nname: a\ntools:\n    - Read\n    - Bash(git log:*)\n    # - Write\nskills: [x, y]\n"
        "disallowedTools: 'Edit, Write'\n---\n"
    )


def test_comments_spacing_and_quotes_around_a_value_stay() -> None:
    text = '---\n# head\nname:   a   # who\n\n"model" : "sonnet" # cheap\ncolor: red\n---\n'
    draft = parse_agent(text).replace(name="b", model="opus")

    assert draft.text == text.replace("a   #", "b   #").replace("sonnet", "opus")


def test_folded_block_changes_only_the_line_that_changed() -> None:
    text = "---\nname: a\ndescription: >-\n  One two three\n  four five six\n  seven eight nine\n---\n"
    draft = parse_agent(text).replace(description="One two three four 5 six seven eight nine")

    assert draft.text == text.replace("five", "5")


def test_new_keys_stand_where_the_documentation_has_them() -> None:
    draft = parse_agent("---\nname: a\ncolor: red\nversion: 1\n---\n").replace(
        initial_prompt="go", description="Reviews.", model="opus"
    )

    assert draft.text == (
        "---\nname: a\ndescription: Reviews.\nmodel: opus\ncolor: red\ninitialPrompt: go\nversion: 1\n---\n"
    )


def test_none_removes_the_entry_and_keeps_the_comments_after_it() -> None:
    draft = parse_agent("---\nname: a\nmodel: opus # best\n# note\n\ncolor: red\n---\n").replace(model=None)

    assert draft.text == "---\nname: a\n# note\n\ncolor: red\n---\n"


def test_prompt_keeps_line_ends_and_final_newline() -> None:
    agent = parse_agent(b"---\r\nname: a\r\n---\r\n\r\nOne.\r\nTwo.\r\nThree.")
    draft = agent.replace(prompt=agent.prompt.replace("Two", "2"))

    assert agent.prompt == "\nOne.\nTwo.\nThree."
    assert draft.to_bytes() == b"---\r\nname: a\r\n---\r\n\r\nOne.\r\n2.\r\nThree."


def test_lines_of_a_mixed_prompt_keep_their_own_ends() -> None:
    agent = parse_agent(b"---\nname: a\n---\nOne.\r\nTwo.\nThree.\r\n")

    assert agent.replace(prompt="One.\n2.\nThree.\n").to_bytes() == b"---\nname: a\n---\nOne.\r\n2.\r\nThree.\r\n"


def test_bytes_that_are_not_utf_8_survive_an_edit() -> None:
    agent = parse_agent(b"---\nname: a\ndescription: caf\xe9\n---\ncr\xe8me\n")

    assert agent.replace(name="b").to_bytes() == b"---\nname: b\ndescription: caf\xe9\n---\ncr\xe8me\n"
    assert agent.replace(description=f"{agent.description}: x").to_bytes().count(b"caf\xe9") == 1


def test_agent_from_nothing_is_a_whole_file() -> None:
    agent = Agent(name="a", description="Does: things", tools=("Read",), prompt="You do.\n")

    assert agent.text == '---\nname: a\ndescription: "Does: things"\ntools: Read\n---\nYou do.\n'
    assert parse_agent(agent.text) == agent
    assert len(agent.digest) == 64


def test_lists_and_comma_text_are_taken_for_tools() -> None:
    assert Agent(tools=["Read"]).tools == ("Read",)  # type: ignore[arg-type]
    assert Agent(tools="Read, Agent(a, b)").tools == ("Read", "Agent(a, b)")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": 5},
        {"tools": 3},
        {"tools": (1,)},
        {"max_turns": "3"},
        {"background": 1},
        {"prompt": None},
        {"nmae": "x"},
    ],
)
def test_field_of_a_wrong_type_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Agent().replace(**changes)


def test_hooks_that_are_no_data_are_refused() -> None:
    with pytest.raises(AgentFileError, match="not plain data"):
        _ = Agent(hooks={"Stop": object()}).text


def test_changing_hooks_in_place_does_not_reach_what_was_read() -> None:
    agent = parse_agent("---\nname: a\nhooks:\n  Stop: []\n---\n")
    agent.hooks["Stop"].append("x")

    assert yaml.safe_load(agent.text.split("---")[1])["hooks"] == {"Stop": ["x"]}


def test_save_writes_only_the_edited_lines(file: Path) -> None:
    save_agent(load_agent(file).replace(description=NASTY, model="haiku"))

    text = file.read_text("utf-8")
    assert text.startswith("---\nname: reviewer\ndescription: |-\n  Use it")
    assert text.endswith("\nmodel: haiku\n---\n\nYou review.\n")
    assert load_agent(file).description == NASTY


def test_what_save_returns_can_be_edited_and_saved_again(file: Path) -> None:
    agent = save_agent(load_agent(file).replace(model="opus"))
    agent = save_agent(agent.replace(model="haiku", color="red"))

    assert (agent.model, agent.color, agent.path) == ("haiku", "red", file)
    assert file.read_text() == PLAIN.replace("sonnet", "haiku\ncolor: red")


def test_saving_the_same_draft_twice_is_fine(file: Path) -> None:
    draft = load_agent(file).replace(model="opus")

    assert save_agent(draft) == save_agent(draft) == draft


def test_save_refuses_a_file_that_changed_and_says_what_changed(file: Path) -> None:
    draft = load_agent(file).replace(model="haiku")
    file.write_text(PLAIN.replace("You review.", "You review well."))

    with pytest.raises(AgentChangedOnDisk, match=r"(?s)reviewer\.md: .*-You review\.\n\+You review well\."):
        save_agent(draft)
    assert file.read_text() == PLAIN.replace("You review.", "You review well.")


def test_save_shows_at_most_a_few_lines_of_what_changed(file: Path) -> None:
    draft = load_agent(file).replace(model="haiku")
    file.write_text(PLAIN + "more\n" * 500)

    with pytest.raises(AgentChangedOnDisk, match=r"more lines$") as caught:
        save_agent(draft)
    assert len(str(caught.value).splitlines()) < 30


def test_save_refuses_when_the_file_is_gone(file: Path) -> None:
    draft = load_agent(file).replace(model="haiku")
    file.unlink()

    with pytest.raises(AgentChangedOnDisk, match="gone"):
        save_agent(draft)
    assert list(file.parent.iterdir()) == []


def test_save_refuses_to_overwrite_a_file_that_was_never_read(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.write_text("precious")

    for agent in (load_agent(file), Agent(name="new", description="x")):
        with pytest.raises(AgentChangedOnDisk, match="not read from"):
            save_agent(agent, other)
    assert other.read_text() == "precious"


def test_save_makes_a_new_file(tmp_path: Path) -> None:
    agent = save_agent(Agent(name="a", description="x", prompt="Be.\n"), tmp_path / "a.md")

    assert (tmp_path / "a.md").read_text() == agent.text == "---\nname: a\ndescription: x\n---\nBe.\n"


def test_save_needs_a_path() -> None:
    with pytest.raises(AgentFileError, match="path"):
        save_agent(Agent(name="a"))


def test_save_follows_a_link_and_keeps_the_mode(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.md"
    link.symlink_to(file)
    file.chmod(0o640)
    save_agent(load_agent(link).replace(model="opus"))

    assert link.is_symlink()
    assert "opus" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def _full_disk(*args: object, **kwargs: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "fail",
    [
        lambda patch: patch.setattr(os, "fsync", _full_disk),
        lambda patch: patch.setattr(os, "fdopen", _full_to_write),
        lambda patch: patch.setattr(Path, "replace", _full_disk),
        lambda patch: patch.setattr(Path, "chmod", _full_disk),
    ],
    ids=["fsync", "write", "replace", "chmod"],
)
def test_full_disk_leaves_the_old_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, fail: Callable[[pytest.MonkeyPatch], None]
) -> None:
    draft = load_agent(file).replace(model="opus")
    with monkeypatch.context() as patch:
        fail(patch)
        with pytest.raises(AgentFileError, match=r"reviewer\.md: not saved: No space left on device"):
            save_agent(draft)

    assert file.read_text() == PLAIN
    assert list(file.parent.iterdir()) == [file]
    assert save_agent(draft).model == "opus"


_fdopen = os.fdopen


def _full_to_write(descriptor: int, mode: str) -> Any:
    return _Full(descriptor) if "w" in mode else _fdopen(descriptor, mode)


class _Full:
    """A file on a full disk."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> _Full:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self.descriptor)

    write = _full_disk


def test_text_that_would_not_read_back_is_not_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = load_agent(file).replace(description="two: parts")
    monkeypatch.setattr(agent_module, "forms_of_text", lambda value, **_: iter(["wrong"]))

    with pytest.raises(AgentFileError, match="description would read back as 'wrong' instead of 'two: parts'"):
        save_agent(draft)
    assert file.read_text() == PLAIN


def test_half_a_character_is_refused_with_its_place(file: Path) -> None:
    draft = load_agent(file).replace(prompt="half \ud83d")

    with pytest.raises(AgentFileError, match="cannot be written as UTF-8"):
        save_agent(draft)
    assert read_as_claude_code(draft).prompt == "half \ufffd"
    assert file.read_text() == PLAIN


def test_unrelated_edit_of_a_file_with_a_name_that_is_a_number_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("---\nname: 123\ndescription: x\n---\n")

    assert save_agent(load_agent(path).replace(description="y")).name == "123"


def test_write_protected_file_is_not_replaced(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = load_agent(file).replace(model="opus")
    monkeypatch.setattr(os, "access", lambda *args: False)

    with pytest.raises(AgentFileError, match="write-protected"):
        save_agent(draft)


def test_unreadable_file_says_why(tmp_path: Path) -> None:
    with pytest.raises(AgentFileError, match=r"none\.md: cannot be read: No such file"):
        load_agent(tmp_path / "none.md")
    with pytest.raises(AgentFileError, match="directory"):
        load_agent(tmp_path)


def test_diff_shows_changed_lines_line_ends_and_a_missing_last_one() -> None:
    before = parse_agent(PLAIN, path="a.md")

    assert diff_agents(before, before.replace()) == ""
    assert "-model: sonnet\n+model: opus\n" in diff_agents(before, before.replace(model="opus"))
    assert "+You review.\n+\\ No newline" in diff_agents(before, before.replace(prompt="\nYou review.")).replace(
        " You review.\n+", "+You review.\n+"
    )
    assert "\\r" in diff_agents(before, parse_agent(PLAIN.replace("\n", "\r\n")))


def test_without_lines_drops_every_line_with_the_text() -> None:
    agent = parse_agent("---\nname: a\n---\n- Ask Questions.\n- Be brief.\n- ask again\n")

    assert without_lines(agent, "ASK").prompt == "- Be brief.\n"
    with pytest.raises(WorkbenchError, match="no line"):
        without_lines(agent, "nothing")
