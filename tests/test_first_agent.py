"""The agent that the workbench ships, and the tasks it is tried on."""

from __future__ import annotations

import importlib.util
import itertools
import os
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import frontmatter
import pytest
import yaml

from workbench.definition.files import load_agent
from workbench.grading.catalogue import standard
from workbench.grading.checking import KeptPromises, TaskFileCheck, check_tasks
from workbench.judging.rubric_lint import lint_rubric
from workbench.model.offline.behaviour import BEHAVIOURS, TOPICS
from workbench.trial.fences import prose
from workbench.trial.graded import graders_by_task
from workbench.trial.rubric import RUBRIC_BESIDE, load_rubric
from workbench.trial.task import GraderSpec, Task, load_tasks
from workbench.trial.trial import Grader, Reply, Score

AGENTS = Path(__file__).parent.parent / "agents"
AGENT = AGENTS / "senior-python-architect.md"
TASKS = AGENTS / "senior-python-architect.tasks.yaml"
PROMISES: dict[str, dict[str, Any]] = yaml.safe_load(
    (AGENTS.parent / "docs" / "first_agent.yaml").read_text(encoding="utf-8")
)
"""What the agent promises, with what holds a reply to it; the words of a promise all stand on one line of the persona."""
FEWEST = 12
"""Replies of each kind."""
MOST_OF_SHUFFLED = 0.03
TRIVIAL = "\n\n```python\ndef f(x: int) -> int:\n    return x\n```\n\n```mermaid\nx\n```\n\nDo you?\n"


@cache
def made_from_code() -> Any:
    """What builds the pages of the reference, which stands beside them."""
    spec = importlib.util.spec_from_file_location("made_from_code", AGENTS.parent / "docs" / "made_from_code.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def tasks() -> dict[str, Task]:
    return {task.id: task for task in load_tasks(TASKS)}


@cache
def graders() -> dict[str, dict[str, Grader]]:
    return graders_by_task(tasks().values(), standard())


@cache
def checked() -> TaskFileCheck:
    """What is found of the tasks and their known replies, which takes many seconds."""
    return check_tasks(TASKS)


def scores(task: Task, text: str) -> dict[str, float | None]:
    """By promise; `None` where the grader declines."""
    found = {promise: grader(task, Reply(text=text)) for promise, grader in graders()[task.id].items()}
    return {promise: score.value if isinstance(score, Score) else float(score) for promise, score in found.items()}


@cache
def good(task_id: str) -> str:
    return next(reply.text for reply in tasks()[task_id].replies if reply.is_good)


def replies_of(kind: str) -> list[tuple[str, str]]:
    return [(task.id, reply.text) for task in tasks().values() for reply in task.replies if reply.name == kind]


def as_high(replies: Iterable[tuple[str, str]]) -> tuple[list[str], int]:
    """The promises for which a reply scores as high as the good one, and how many were asked."""
    found, asked = [], 0
    for task_id, text in replies:
        best = scores(tasks()[task_id], good(task_id))
        for promise, value in scores(tasks()[task_id], text).items():
            asked += 1
            if value is not None and value >= (best[promise] or 0):
                found.append(f"{task_id}: {promise}")
    return found, asked


def terms(options: Any) -> Iterator[str]:
    """The words that a grader looks for, those of its parts too."""
    if isinstance(options, Mapping):
        for name, value in options.items():
            if name in ("any", "all"):
                yield from value
            elif name == "graders":
                for part in value:
                    yield from terms(next(iter(part.values())) if isinstance(part, Mapping) else None)


def words_looked_for(task: Task) -> list[str]:
    return list(dict.fromkeys(str(term) for spec in task.graders for term in terms(spec.options)))


def lines_with(wanted: str) -> list[str]:
    """The lines of the persona that hold all of these words, which commas part."""
    lines = [line.lower() for line in frontmatter.load(str(AGENT)).content.splitlines()]
    return [line for line in lines if all(word.strip().lower() in line for word in wanted.split(","))]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def runs_of_words(text: str, length: int = 8) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[start : start + length]) for start in range(len(found) - length + 1)}


@pytest.fixture
def given_agent() -> str:
    corpus = os.environ.get("WORKBENCH_CORPUS")
    shared = Path(corpus).parent if corpus else AGENTS.parent.parent / "shared"
    path = shared / "agents" / AGENT.name
    if not path.is_file():
        pytest.skip(f"the agent file that ours is measured against is not at {path}")
    return path.read_text(encoding="utf-8")


def test_agent_file_is_valid_yaml_for_everybody() -> None:
    post = frontmatter.load(str(AGENT))

    assert (post["name"], post["model"], post["color"]) == (AGENT.stem, "sonnet", "green")
    assert post["description"].count("<example>") == post["description"].count("</example>") == 2


def test_workbench_reads_the_agent_as_everybody_does() -> None:
    agent, post = load_agent(AGENT), frontmatter.load(str(AGENT))

    assert (agent.name, agent.description, agent.model, agent.color) == tuple(
        post[key] for key in ("name", "description", "model", "color")
    )
    assert agent.prompt.strip() == post.content.strip()


@pytest.mark.parametrize("promise", PROMISES)
def test_agent_makes_the_promise_once(promise: str) -> None:
    assert len(lines_with(PROMISES[promise]["says"])) == 1


def test_almost_every_promise_has_a_line_of_its_own() -> None:
    taken = Counter(line for told in PROMISES.values() for line in lines_with(told["says"]))

    assert len([line for line, promises in taken.items() if promises > 1]) == 1


@pytest.mark.parametrize(
    "subject", ["API", "data should be modelled", "time is lost", "attacks", "complicated system", "expert"]
)
def test_description_says_when_to_delegate(subject: str) -> None:
    description = " ".join(str(frontmatter.load(str(AGENT))["description"]).split())

    assert subject in description.partition("<example>")[0]


def test_description_has_the_two_situations_of_the_given_agent() -> None:
    _, first, second = str(frontmatter.load(str(AGENT))["description"]).split("<example>")

    assert all(word in first for word in ("REST API", "ten thousand", "JWT", "role"))
    assert all(word in second for word in ("SQLAlchemy", "SaaS", "tenants"))


def test_agent_is_written_in_our_own_words(given_agent: str) -> None:
    ours = AGENT.read_text(encoding="utf-8")

    assert not runs_of_words(ours) & runs_of_words(given_agent)
    assert runs_of_words(ours + given_agent) & runs_of_words(given_agent)


def test_there_are_tasks_for_every_side_of_the_agent() -> None:
    groups = Counter(task.group for task in tasks().values())

    assert set(groups) == {
        "api-design",
        "data-modelling",
        "performance",
        "security",
        "unclear-requirements",
        "code-delivery",
    }
    assert min(groups.values()) >= 3
    assert sum(groups.values()) >= 18


def test_every_task_has_graders_that_exist_and_take_their_options() -> None:
    assert all(len(made) >= 3 for made in graders().values())


@pytest.mark.parametrize("promise", PROMISES)
def test_promise_has_a_grader_or_a_criterion(promise: str) -> None:
    graded = {spec.promise for task in tasks().values() for spec in task.graders}
    told = PROMISES[promise]

    assert told.get("graders") or told.get("criterion")
    assert set(told.get("graders", ())) <= graded


def test_what_no_program_can_tell_is_asked_of_a_judge_in_the_rubric_that_comes_along() -> None:
    rubric = load_rubric(AGENTS / "senior-python-architect.rubric.yaml")

    asked = [told["criterion"] for told in PROMISES.values() if "criterion" in told]
    assert sorted(criterion.asks for criterion in rubric.criteria) == sorted(asked)
    assert len(rubric.good) >= 2 and len(rubric.bad) >= 3
    assert lint_rubric(rubric) == ()


def test_forty_eight_promises_are_held_and_all_but_one_by_a_program() -> None:
    assert len(PROMISES) == 48
    assert [promise for promise, told in PROMISES.items() if not told.get("graders")] == ["experience"]


def test_every_promise_of_a_task_holds_one_of_the_agent() -> None:
    held = {label for told in PROMISES.values() for label in told.get("graders", ())}
    of_the_task_alone = {"parses", "shows-code", "named-as-asked", "security", "token-expiry", "no-passwords-in-logs"}
    of_the_task_alone |= {"rotates-first", "stores-tokens", "channels", "sunset"}

    assert {spec.promise for task in tasks().values() for spec in task.graders} - held == of_the_task_alone


def test_task_texts_are_not_known_to_the_stand_in() -> None:
    told = runs_of_words(" ".join(text for item in (*BEHAVIOURS, *TOPICS) for text in item.says), length=6)
    asked = runs_of_words(" ".join(task.message for task in tasks().values()), length=6)

    assert not told & asked


POOR = "Sure! That is a great idea. Just use the newest framework and everything will be fine."


@pytest.mark.parametrize("task_id", sorted(tasks()))
def test_good_answer_gets_full_marks(task_id: str) -> None:
    found = scores(tasks()[task_id], good(task_id))

    assert {promise: value for promise, value in found.items() if value != 1} == {}


@pytest.mark.parametrize("task_id", sorted(tasks()))
def test_poor_answer_gets_few_marks(task_id: str) -> None:
    found = [value for value in scores(tasks()[task_id], POOR).values() if value is not None]

    assert sum(found) / len(found) <= 0.34


def test_graders_say_of_all_known_replies_what_people_say() -> None:
    found = checked()

    assert [str(fault) for fault in found.faults] == []
    assert found.replies >= 25 * 5


@pytest.mark.parametrize(
    "kind", ["good 1", "flawed", "salad", "denial", "fluent", "refused", "empty", "stuffed", "platitudes"]
)
def test_there_are_enough_replies_of_each_kind(kind: str) -> None:
    fewest = len(tasks()) if kind in ("good 1", "flawed", "salad") else FEWEST

    assert len(replies_of(kind)) >= fewest


@pytest.mark.parametrize("kind", ["salad", "refused", "empty"])
def test_no_promise_of_a_reply_without_an_answer_scores_as_high_as_the_good_one(kind: str) -> None:
    assert as_high(replies_of(kind))[0] == []


@pytest.mark.parametrize("kind", ["list", "things", "lines", "headings", "denials", "code", "questions", "pairs"])
def test_no_promise_of_a_salad_made_by_a_program_scores_as_high_as_the_good_one(kind: str) -> None:
    def salad(words: list[str]) -> str:
        made = {
            "list": ", ".join(words) + ".",
            "things": ", ".join(f"every {word} here" for word in words if not {"the", "is"} & set(word.split())) + ".",
            "lines": "\n".join(f"- {word}" for word in words),
            "headings": "\n\n".join(f"## {word}" for word in words),
            "denials": " ".join(f"No {one}, no {two}." for one, two in itertools.pairwise(words)),
            "questions": " ".join(f"Do you {word}?" for word in words),
            "pairs": " ".join(f"We use {one} and {two}." for one, two in itertools.pairwise(words)),
            "code": "```python\n" + "\n".join(re.sub(r"\W+", "_", word) for word in words) + "\n```",
        }
        return made[kind] + TRIVIAL

    assert as_high((task.id, salad(words_looked_for(task))) for task in tasks().values())[0] == []


FRAMES = (
    "The {a} is there for the {b}.",
    "We use {a} and {b}.",
    "Our {a} makes the {b} better for you.",
    "With {a} you can handle the {b} well.",
    "It is good to have {a} for the {b}.",
    "{a} should be part of the {b} here.",
    "In this case {a} helps with {b} a lot.",
    "You will want {a} because of {b}.",
    "For {b} there is {a} in the system.",
    "A team that has {a} can also have {b}.",
    "This gives us {a} when {b} is used.",
    "Then {a} goes together with {b} as well.",
    "I would take {a} before {b} in most cases.",
    "Here {a} matters as much as {b} does.",
    "They need {a} so that {b} works.",
    "If there is {a} then {b} follows from it.",
    "Each {a} has its own {b} in the design.",
    "What {a} does for {b} is clear to all.",
    "Both {a} and {b} are in the plan.",
    "From {a} we get to {b} in the end.",
)
"""Sentences that say nothing of any two things, each of another form."""


def filled_in(frames: tuple[str, ...], *, seed: int | None = None, item: str = "") -> list[tuple[str, str]]:
    """By task, a sentence for each pair of words that its graders look for: the frames in turn, or drawn."""
    dice = random.Random(seed)

    def reply(task: Task) -> str:
        told = []
        for number, (one, two) in enumerate(itertools.pairwise(words_looked_for(task))):
            frame = frames[number % len(frames)] if seed is None else dice.choice(frames)
            told.append(f"{item}{frame.format(a=one, b=two)}")
        return ("\n" if item else " ").join(told) + TRIVIAL

    return [(task.id, reply(task)) for task in tasks().values()]


@pytest.mark.parametrize("item", ["", "- "])
@pytest.mark.parametrize("frame", FRAMES)
def test_no_promise_of_a_frame_that_is_filled_in_scores_as_high_as_the_good_one(frame: str, item: str) -> None:
    assert as_high(filled_in((frame,), item=item))[0] == []


@pytest.mark.parametrize("count", [2, 3, 4, 6, 8])
def test_no_promise_of_several_frames_in_turn_scores_as_high_as_the_good_one(count: int) -> None:
    assert as_high(filled_in(FRAMES[:count]))[0] == []


@pytest.mark.parametrize("count", [2, 3, 4, 6, 8, 12, 20])
def test_no_promise_of_frames_drawn_by_lot_scores_as_high_as_the_good_one(count: int) -> None:
    assert as_high(filled_in(FRAMES[:count], seed=count))[0] == []


def test_no_promise_of_as_many_frames_as_sentences_scores_as_high_as_the_good_one() -> None:
    drawn = [filled_in(FRAMES, seed=seed) for seed in (1, 2, 3)]

    assert as_high([*filled_in(FRAMES), *(reply for replies in drawn for reply in replies)])[0] == []


TOLD = (
    "Nobody should forget {a} when {b} comes up.",
    "Thanks to {a} our {b} stays quiet at night.",
    "{a} sits right next to {b} on the shelf.",
    "Years of experience show that {a} and {b} are friends.",
    "Customers love {a} more than {b}.",
    "Please remember to bring {a} along with {b}.",
    "Every serious product relies on {a} and {b}.",
    "Behind {a} there hides a {b} somewhere.",
    "My colleagues often discuss {a} over {b}.",
    "Modern companies invest in {a} because {b} pays off.",
    "It would be a pity to lose {a} to {b}.",
    "Some prefer {a} while others enjoy {b}.",
    "Success begins with {a} and finishes with {b}.",
    "Let us celebrate {a} and its {b}.",
    "Whoever understands {a} understands {b} too.",
    "A journey from {a} toward {b} takes patience.",
    "In our office {a} matters as much as {b} with sugar.",
    "Experts agree that {a} complements {b} nicely.",
    "The story of {a} is also the story of {b}.",
    "Imagine {a} without fear and {b} without tears.",
)
"""Frames that say something of their own, and nothing to the point."""


def test_frames_that_say_something_of_their_own_are_what_words_cannot_tell() -> None:
    """The share that docs/reference/first-agent.md tells of."""
    found, asked = as_high([*filled_in(TOLD), *filled_in(TOLD, seed=1), *filled_in((*FRAMES, *TOLD), seed=5)])

    assert 0 < len(found) / asked <= 0.16


def test_few_promises_of_shuffled_words_score_as_high_as_the_good_reply() -> None:
    def shuffled(task: Task, seed: int) -> str:
        dice = random.Random(seed)
        words = [*prose(good(task.id)).split(), *words_looked_for(task)]
        dice.shuffle(words)
        told = []
        while words:
            length = dice.randint(6, 16)
            told.append(" ".join(word.strip(".?!*#-:") for word in words[:length]))
            words = words[length:]
        return ". ".join(told) + TRIVIAL

    found, asked = as_high((task.id, shuffled(task, seed)) for seed in range(3) for task in tasks().values())

    assert len(found) / asked <= MOST_OF_SHUFFLED


def test_no_promise_of_denials_in_whole_sentences_scores_as_high_as_the_good_one() -> None:
    assert as_high(replies_of("denial"))[0] == []


MOST_KEPT = {"fluent": 0.15, "stuffed": 0.48, "platitudes": 0.67}
"""The largest share of promises that these may keep; what it is, `check-tasks` says, and the documentation has it from there."""


@pytest.mark.parametrize(("kind", "most"), MOST_KEPT.items())
def test_what_words_alone_cannot_tell_grows_no_further(kind: str, most: float) -> None:
    found, asked = as_high(replies_of(kind))

    assert 0 < len(found) / asked <= most + 0.005


def test_how_many_promises_bad_replies_keep_is_told_before_anything_is_asked() -> None:
    check = checked()

    for kind in ("flawed", "salad", "denial", "fluent", "refused", "empty", "stuffed", "platitudes"):
        found, asked = as_high(replies_of(kind))
        assert check.as_high[kind] == KeptPromises(kept=len(found), asked=asked)
    assert check.as_high["salad"].kept == 0
    assert f"stuffed {check.as_high['stuffed']}, fluent {check.as_high['fluent']}, " in str(check)


def test_each_promise_that_words_alone_keep_has_a_judge_beside_its_graders() -> None:
    """As the table of the documentation says it: a criterion of the agent's own rubric, or the rubric for any reply."""
    kept = {promise for promises in checked().by_words.values() for promise in promises}
    asked = {criterion.asks for criterion in load_rubric(AGENTS / "senior-python-architect.rubric.yaml").criteria}
    rows = [line.strip("|").split(" | ") for line in made_from_code().first_agent()][1:]

    assert len(rows) == len(PROMISES) == 48
    by_words = [row for row in rows if kept & set(re.findall(r"[\w-]+", row[1]))]
    assert len(by_words) >= 30 and all(row[2].strip() for row in by_words)
    assert [row for row in by_words if not (RUBRIC_BESIDE in row[3] or any(each in row[3] for each in asked))] == []
    assert [row for row in rows if not row[1].strip() and not row[3].strip()] == []


def test_the_page_of_the_agent_tells_what_check_tasks_counts() -> None:
    check = checked()
    told = "\n".join(made_from_code().first_agent_replies())

    for share in (*check.as_high.values(), check.of_words):
        assert f"| {share} ({share.kept / share.asked:.0%}) |" in told


def test_what_words_alone_keep_is_named_before_anything_is_asked() -> None:
    check = checked()
    kept = check.by_words

    assert check.of_words.kept == sum(len(promises) for promises in kept.values())
    assert check.of_words.asked == sum(len(task.graders) for task in tasks().values())
    assert check.of_words.kept / check.of_words.asked <= 0.61
    assert f"words alone keep {check.of_words} promises" in str(check)
    assert f"--rubric {RUBRIC_BESIDE}`" in str(check) and load_rubric(RUBRIC_BESIDE).good
    for task_id, promises in kept.items():
        spec = {each.promise: each.name for each in tasks()[task_id].graders}
        assert {spec[promise] for promise in promises} <= {"mentions", "any_of", "all_of"}
    assert not {"diagram", "parses", "typed", "documented", "asks"} & {name for kept in kept.values() for name in kept}


def test_what_words_keep_of_known_replies_they_keep_of_the_made_one() -> None:
    """A promise that a stuffed reply has is one that `check-tasks` names."""
    kept = checked().by_words
    found = {tuple(each.split(": ")) for kind in ("stuffed", "platitudes") for each in as_high(replies_of(kind))[0]}
    named = {(task_id, promise) for task_id, promises in kept.items() for promise in promises}

    assert len(found - named) <= 0.1 * len(found), found - named


def test_a_grader_that_passes_salad_is_found() -> None:
    task = next(iter(tasks().values()))
    lax = replace(
        task, graders=(GraderSpec(name="mentions", promise="roles", options={"any": ["roles"], "anywhere": True}),)
    )
    [grader] = graders_by_task([lax], standard())[task.id].values()

    score = grader(lax, Reply(text=dict(replies_of("salad"))[task.id]))

    assert isinstance(score, Score) and score.value == 1
