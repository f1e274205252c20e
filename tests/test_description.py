from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.description import Example, read_examples, with_examples
from workbench.trial.description_tasks import load_tasks_for, tasks_of_description

ON_LINES = """Use it for reviews. Examples:
<example>
Context: A change is ready.
user: "Look at this: is it right?"
assistant: 'The reviewer should look.'
<commentary>
It asks for a review.
</commentary>
</example>

<example>
user: "And this?"
</example>
Thank you."""


def test_the_parts_of_an_example_are_found() -> None:
    one, two = read_examples(ON_LINES)

    assert (one.context, one.user, one.assistant, one.commentary) == (
        "A change is ready.", "Look at this: is it right?", "The reviewer should look.", "It asks for a review.",
    )  # fmt: skip
    assert (two.context, two.user) == ("", "And this?")


def test_an_example_on_one_line_and_with_literal_line_ends_is_read() -> None:
    text = r"<example>\nContext: Here.\n user: 'Hi' assistant: 'Ho' <commentary>Why\n</commentary></example>"
    (example,) = read_examples(text)

    assert (example.context, example.user, example.assistant, example.commentary) == ("Here.", "Hi", "Ho", "Why")


def test_what_nobody_changed_is_written_as_it_stood() -> None:
    one, two = read_examples(ON_LINES)
    changed = with_examples(ON_LINES, [one, replace(two, user="Or that?")])

    assert with_examples(ON_LINES, [one, two]) == ON_LINES
    assert changed == ON_LINES.replace("And this?", "Or that?")


def test_examples_change_places_and_the_text_around_them_stays() -> None:
    one, two = read_examples(ON_LINES)
    text = with_examples(ON_LINES, [two, one])

    assert [example.user for example in read_examples(text)] == ["And this?", "Look at this: is it right?"]
    assert text.startswith("Use it for reviews. Examples:\n<example>")
    assert text.endswith("</example>\nThank you.")


def test_the_last_example_can_be_removed() -> None:
    assert with_examples("Use it. <example>user: a</example>", []) == "Use it."


@pytest.mark.parametrize("text", ["", "Use it.", "Use it. Examples:"])
def test_a_first_example_can_be_added(text: str) -> None:
    example = Example(context="c", user='say "hi"', assistant="it's me", commentary="w")
    (read,) = read_examples(with_examples(text, [example]))

    assert replace(read, source="") == example


def test_text_between_examples_that_are_removed_is_kept() -> None:
    text = "<example>user: a</example> and then <example>user: b</example>"

    assert "and then" in with_examples(text, read_examples(text)[:1])


def test_examples_of_real_descriptions_come_back_as_they_were(corpus: Path) -> None:
    seen = 0
    for path in sorted(corpus.rglob("*.md")):
        description = parse_agent(path.read_bytes()).description or ""
        examples = read_examples(description)
        assert with_examples(description, examples) == description or not examples, path
        anew = read_examples(with_examples(description, [replace(example, source="") for example in examples]))
        assert [replace(example, source="") for example in anew] == [
            replace(example, source="") for example in examples
        ]
        seen += len(examples)

    assert seen > 100


def test_each_example_with_a_turn_of_the_user_is_a_task() -> None:
    agent = Agent(description=ON_LINES + "<example>Context: nobody speaks</example>")
    one, two = tasks_of_description(agent)

    assert (one.id, one.input, one.context, one.group) == (
        "description-1", "Look at this: is it right?", "A change is ready.", "description",
    )  # fmt: skip
    assert (two.id, two.context) == ("description-2", None)


def test_the_tasks_of_an_agent_are_those_of_the_file_beside_it_else_its_examples(tmp_path: Path) -> None:
    agent = Agent(description=ON_LINES, path=tmp_path / "reviewer.md")
    without = load_tasks_for(agent)
    (tmp_path / "reviewer.tasks.jsonl").write_text('{"id": "own", "input": "Why?"}\n')

    assert without == tasks_of_description(agent)
    assert [task.id for task in load_tasks_for(agent)] == ["own"]
    assert load_tasks_for(Agent(description="Designs.")) == ()
