from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.definition.agent import Agent, parse_agent
from workbench.definition.description import Example, read_examples, with_examples
from workbench.definition.files import load_agent
from workbench.trial.defaults import FEWEST_TASKS
from workbench.trial.description_tasks import load_tasks_for, propose_from_description, tasks_of_description

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


def test_a_description_without_examples_stays_as_it_is_where_none_is_added() -> None:
    assert with_examples("Use it. ", ()) == "Use it. "


@pytest.mark.parametrize(
    "text",
    [
        "Audits code for data exposure.",
        "Audits code for data exposure. Examples:",
        "Audits code for data exposure. Examples:\n<example>user: 'Look at it.'</example>",
        "Audits code for data exposure.\n\n**Examples:**\n- <example>user: 'Look at it.'</example>\n-",
        "Audits code for data exposure. Examples:\nuser: 'Look at it.'",
    ],
)
def test_no_draft_of_a_task_ends_in_what_led_to_the_examples(text: str) -> None:
    drafts = [task.input for task in tasks_of_description(Agent(name="a", description=text, prompt="p"))]

    assert any("data exposure" in draft for draft in drafts)
    assert not any("Examples" in draft for draft in drafts)


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


def test_each_example_is_a_task_that_asks_what_its_user_says() -> None:
    agent = Agent(description=ON_LINES + "<example>Context: nobody speaks</example>")
    one, two, *others = tasks_of_description(agent)

    assert (one.id, one.message, one.group) == ("description-1", "Look at this: is it right?", "description")
    assert (two.id, two.message) == ("description-2", "And this?")
    assert not [task for task in others if task.group != "draft"]


def test_the_narrator_is_heard_beside_a_task_and_not_in_it() -> None:
    one, *_ = propose_from_description(Agent(description=ON_LINES))

    assert "A change is ready." in one.remark
    assert "A change is ready." not in one.task.message


@pytest.mark.parametrize(
    ("block", "asked"),
    [
        ('Context: c assistant: "I\'ll use the checker agent to find broken links."', "Find broken links."),
        ("assistant: 'Let me use the Task tool to launch the x agent to plan this week.'", "Plan this week."),
        ('Context: c\nassistant (as planner): "Before that, let me check the plan."\n<uses x>', "Check the plan."),
        ("<user_request>Design an API.</user_request> <commentary>It asks.</commentary>", "Design an API."),
        ("**User**: 'Is it right?' **Assistant**: 'No.'", "Is it right?"),
        ("Human: Is it right?\nAssistant: No.", "Is it right?"),
        ("user request: Is it right?\nassistant: No.", "Is it right?"),
    ],
)
def test_an_example_is_read_however_its_turns_are_marked(block: str, asked: str) -> None:
    first, *drafts = tasks_of_description(Agent(description=f"Use it. <example>{block}</example>"))

    assert (first.input, first.group) == (asked, "description")
    assert drafts  # one task compares nothing
    assert {draft.group for draft in drafts} == {"draft"}
    assert not any("example>" in draft.input or asked in draft.input for draft in drafts)


def test_turns_without_tags_are_examples_too() -> None:
    text = 'Use it when a change is made. Examples:\n\nuser: "We fixed it. Note it?"\nassistant: "I will."\nuser: Now?'

    said = [task.input for task in tasks_of_description(Agent(description=text)) if task.group == "description"]
    assert said == ["We fixed it. Note it?", "Now?"]


def test_few_examples_are_followed_by_drafts_until_a_measure_can_be_established() -> None:
    block = "<example>user: 'Is number {} right?' assistant: 'Yes.'</example>"
    for count in (1, 4, FEWEST_TASKS, FEWEST_TASKS + 3):
        description = "Reviews code. " + "".join(block.format(number) for number in range(count))
        groups = Counter(task.group for task in tasks_of_description(Agent(description=description)))

        assert groups == Counter(description=count, draft=max(0, FEWEST_TASKS - count))


def test_every_real_example_gives_a_task(corpus: Path) -> None:
    seen = 0
    for path in sorted((corpus / "real").rglob("*.md")):
        agent = load_agent(path)
        examples = read_examples(agent.description or "")
        seen += len(examples)
        tasks = tasks_of_description(agent)
        assert len([task for task in tasks if task.group == "description"]) == len(examples) or not examples, path
        assert len(tasks) > 1 or not agent.description, path

    assert seen > 150


def test_the_tasks_of_an_agent_are_those_of_the_file_beside_it_else_its_description(tmp_path: Path) -> None:
    agent = Agent(description=ON_LINES, path=tmp_path / "reviewer.md")
    without = load_tasks_for(agent)
    (tmp_path / "reviewer.tasks.jsonl").write_text('{"id": "own", "input": "Why?"}\n')

    assert without == tasks_of_description(agent)
    assert [task.id for task in load_tasks_for(agent)] == ["own"]
    assert {task.group for task in load_tasks_for(Agent(description="Designs."))} == {"draft"}
    assert load_tasks_for(Agent(description="")) == ()
