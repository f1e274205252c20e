"""The agent that the workbench ships, and the tasks it is tried on."""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import cache
from pathlib import Path

import frontmatter
import pytest

from workbench.definition.files import load_agent
from workbench.grading.catalogue import standard
from workbench.model.offline.behaviour import BEHAVIOURS, TOPICS
from workbench.trial.task import Task, load_tasks
from workbench.trial.trial import Reply

AGENTS = Path(__file__).parent.parent / "agents"
AGENT = AGENTS / "senior-python-architect.md"
TASKS = AGENTS / "senior-python-architect.tasks.yaml"
GOOD_REPLIES = Path(__file__).parent / "fixtures" / "good_replies"
"""Written by hand, one for a task, named by its id."""

PROMISES = {
    "who it is": "senior architect, Python, decide, pragmatic, clean, documented, easy to change",
    "experience": "years, large systems, production",
    "patterns": "object-oriented, functional, DDD, CQRS",
    "asyncio": "asyncio",
    "frameworks": "FastAPI, Django, DRF, Flask, Starlette, ASGI",
    "REST": "REST style, APIs",
    "GraphQL": "GraphQL, Graphene, Ariadne, Strawberry",
    "databases": "modelling, query tuning, migrations",
    "ORMs": "SQLAlchemy, Django, Tortoise",
    "authentication": "authentication, authorization, JWT, OAuth 2.1, device flow",
    "hardening": "hardening",
    "distributed systems": "distributed, microservices, Celery, RQ, brokers, gRPC",
    "profiling": "profiler",
    "caching": "Redis, Memcached, scales",
    "observability": "structured logs, OpenTelemetry, traces, Prometheus, metrics",
    "test tools": "pytest, hypothesis, integration, end-to-end, containers",
    "docstrings say why": "docstring, why",
    "type hints": "strict type hints, PEP 484, PEP 561",
    "principles": "SOLID, Clean Architecture, hexagonal, ports, adapters",
    "secure by default": "default, OWASP Top 10, layers, secrets",
    "fails gracefully": "errors, layer, gracefully, HTTP response",
    "measure first": "performance, measured, optimized",
    "tests as documentation": "test, shows how, breaks later",
    "step 1": "1. requirements, probe, edge cases, two ways",
    "step 2": "2. architecture, component, sequence, data-flow, diagram",
    "step 3": "3. patterns, proven, data structures, scale, latency",
    "step 4": "4. implementation, validate, exceptions, taxonomy, atomic",
    "step 5": "5. models, pydantic, attrs, services, reused",
    "step 6": "6. comments, intricate, business invariant",
    "step 7": "7. speed, critical paths, benchmark, gained",
    "step 8": "8. test plan, unit, service, integration, contract",
    "modern Python": "modern Python, 3.12",
    "separation of concerns": "separation of concerns, API, domain, infrastructure",
    "production-ready": "ready for production, failures are caught",
    "configuration": "settings, configuration",
    "watched": "logs, traces, metrics, operator",
    "docstring format": "docstrings, format, CLAUDE.md",
    "trade-offs": "trade-offs",
    "maintenance": "maintenance",
    "flags security risks": "flag security risks, outset",
    "flags concerns": "architectural concerns, early",
    "asks": "clarifying questions, leave something open",
    "concise": "be concise",
    "exact": "technically exact",
    "robust": "robustness",
    "justifies": "concrete reason, architectural choice",
    "challenges": "challenge assumptions",
    "alternatives": "alternative",
}
"""What the agent promises; the words of a promise all stand on one line of the persona."""

GRADED_BY = {
    "docstring format": {"docstring-format"},
    "type hints": {"typed"},
    "modern Python": {"modern"},
    "step 2": {"diagram"},
    "step 1": {"edge-cases"},
    "step 4": {"taxonomy", "atomic"},
    "step 5": {"exact-models"},
    "step 8": {"test-plan", "levels"},
    "measure first": {"measures-first"},
    "fails gracefully": {"fails-gracefully", "degrades", "http-errors"},
    "separation of concerns": {"layout", "port"},
    "configuration": {"typed-settings"},
    "watched": {"observability"},
    "secure by default": {"layers", "secret-store"},
    "authentication": {"tokens", "device-flow"},
    "GraphQL": {"library"},
    "caching": {"cache", "stampede"},
    "trade-offs": {"trade-offs"},
    "maintenance": {"maintenance"},
    "flags security risks": {"flags-risks"},
    "flags concerns": {"concerns"},
    "asks": {"asks"},
    "concise": {"concise"},
    "challenges": {"challenges"},
    "alternatives": {"alternatives"},
}
"""Promises that can be judged from one reply, and the labels of the graders that judge them."""


@cache
def tasks() -> dict[str, Task]:
    return {task.id: task for task in load_tasks(TASKS)}


def scores(task: Task, text: str) -> dict[str, float]:
    graders = standard()
    found = {spec.promise: graders[spec.name](**spec.options)(task, Reply(text=text)) for spec in task.graders}
    return {promise: score.value for promise, score in found.items() if score.value is not None}


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
    assert len(lines_with(PROMISES[promise])) == 1


def test_almost_every_promise_has_a_line_of_its_own() -> None:
    taken = Counter(line for wanted in PROMISES.values() for line in lines_with(wanted))

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
    graders = standard()

    for task in tasks().values():
        made = [graders[spec.name](**spec.options) for spec in task.graders]
        assert len(made) >= 3, task.id


@pytest.mark.parametrize("promise", GRADED_BY)
def test_promise_is_graded_somewhere(promise: str) -> None:
    graded = {spec.promise for task in tasks().values() for spec in task.graders}

    assert promise in PROMISES
    assert GRADED_BY[promise] <= graded


def test_task_texts_are_not_known_to_the_stand_in() -> None:
    told = runs_of_words(" ".join(text for item in (*BEHAVIOURS, *TOPICS) for text in item.says), length=6)
    asked = runs_of_words(" ".join(task.message for task in tasks().values()), length=6)

    assert not told & asked


POOR = "Sure! That is a great idea. Just use the newest framework and everything will be fine."


@pytest.mark.parametrize("path", sorted(GOOD_REPLIES.glob("*.md")), ids=lambda path: path.stem)
def test_good_answer_gets_full_marks(path: Path) -> None:
    found = scores(tasks()[path.stem], path.read_text(encoding="utf-8"))

    assert {promise: value for promise, value in found.items() if value < 1} == {}


@pytest.mark.parametrize("task_id", sorted(tasks()))
def test_poor_answer_gets_few_marks(task_id: str) -> None:
    found = scores(tasks()[task_id], POOR)

    assert sum(found.values()) / len(found) <= 0.34
