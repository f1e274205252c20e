"""Drafts of tasks from descriptions in prose: made of the description's own words, and never nonsense."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.runs import make_run, passes
from workbench.comparison.gate import gate
from workbench.comparison.measures import MEASURES
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.description import read_examples
from workbench.definition.files import load_agent
from workbench.statistics.power import fewest_tasks
from workbench.trial.defaults import FEWEST_TASKS
from workbench.trial.draft_tasks import LONGEST_QUOTED, drafts_of
from workbench.trial.draft_words import ASKS, WHOLE, language_of_description

ASK = "Take a small example of your own, and show me on it how you go about this."


@pytest.mark.parametrize(
    ("description", "asked"),
    [
        (
            "Use when gathering requirements, creating user stories, or defining system specifications.",
            ["I am gathering requirements.", "I am creating user stories.", "I am defining system specifications."],
        ),
        (
            "Use for schema design or query tuning.",
            ["I need help with schema design.", "I need help with query tuning."],
        ),
        (
            "Use PROACTIVELY for broker data (Alpaca, Fidelity), and `data quality` checks.",
            ["I need help with broker data (Alpaca, Fidelity).", "I need help with data quality checks."],
        ),
        (
            "Use when writing server code, APIs, or working with .NET Core, Entity Framework.",
            ["I am writing server code, APIs.", "I am working with .NET Core, Entity Framework."],
        ),
        (
            "Use this agent when the user wants to create or edit a changelog. MUST BE USED for release notes.",
            ["I want to create or edit a changelog.", "I need help with release notes."],
        ),
        (
            "Reads code. PROACTIVELY use when reviewing or validating plans. Use before planning big changes.",
            ["I am reviewing or validating plans.", "You are the one to ask before planning big changes."],
        ),
        (
            "Use for code reviews, or when determining how a design becomes code.",
            ["I need help with code reviews.", "I am determining how a design becomes code."],
        ),
    ],
)
def test_what_a_description_says_to_use_it_for_is_asked(description: str, asked: list[str]) -> None:
    assert list(drafts_of(description))[: len(asked)] == [f"{each} {ASK}" for each in asked]


@pytest.mark.parametrize(
    "refusal",
    [
        "Do NOT use this agent for: - Simple code changes - General questions about the codebase.",
        "Never invoke it for release notes.",
        "Don't use when writing plain HTML.",
        "This agent must not be used for production data.",
        "Avoid using it for quick fixes.",
    ],
)
def test_what_a_description_refuses_is_not_asked(refusal: str) -> None:
    drafts = drafts_of(f"Use for schema design. {refusal}")

    assert drafts[0] == f"I need help with schema design. {ASK}"
    assert [draft for draft in drafts if not draft.startswith("I was told this about you:")] == [drafts[0]]


def test_words_of_users_are_asked_as_they_stand_and_keywords_are_no_work() -> None:
    text = (
        "Use it when users mention slow, fast or CPU. Triggers on: 'why is my page so slow', 'speed', 'measure this'."
    )

    assert drafts_of(text)[:2] == ("why is my page so slow", f'Somebody asks you this: "measure this". {ASK}')
    assert not any(draft.startswith("I ") for draft in drafts_of(text)[:2])


@pytest.mark.parametrize(
    "text",
    [
        "Creates and manages project-specific agents.",
        "Writes SQL, runs tests (tool-use for local models).",
        "Use proactively as the expert who guides writing.",
        "Use for requests like 'x'.",
    ],
)
def test_what_is_not_understood_is_quoted_whole(text: str) -> None:
    first, *others = drafts_of(text)

    assert first == f"I was told this about you: {text}\n\n{ASK}"
    assert all(other.startswith(f"I was told this about you: {text}\n\n") for other in others)


def test_what_an_agent_does_is_asked_sentence_by_sentence() -> None:
    said = ("Analyzes new launches for red flags.", "Provides scores from all that it found.")

    assert drafts_of(f"Expert in crypto. {said[0]} {said[1]} Free money.")[:2] == tuple(
        f"I was told this about you: {each}\n\n{ASK}" for each in said
    )


@pytest.mark.parametrize(
    "text",
    ["Helps.", "Use for code reviews.", "コードレビューの専門家である。", "코드 리뷰 전문가입니다.", "代码审查专家。"],
)
def test_there_are_enough_to_compare_on_and_no_two_ask_the_same(text: str) -> None:
    drafts = drafts_of(text)

    assert len(set(drafts)) == len(drafts) == FEWEST_TASKS


def test_there_are_as_many_as_pass_the_gate_and_establish_a_difference_of_a_measure() -> None:
    bad, good = (passes([kept] * len(drafts_of("Helps."))) for kept in (0, 4))

    assert gate(make_run({"before": bad, "after": good}), "before").decision == "passes"
    assert fewest_tasks(len(MEASURES)) <= FEWEST_TASKS


def test_a_description_in_another_script_is_asked_in_its_language() -> None:
    japanese, chinese = drafts_of("コードレビューの専門家である。"), drafts_of("代码审查专家。用于所有更改。")

    assert "説明されています" in japanese[0]
    assert "代码审查专家" in chinese[0]
    assert ASK not in japanese[0] + chinese[0]


GERMAN = (
    "Fachmann für Datenbanken. Wird eingesetzt, wenn Abfragen langsam sind und der Nutzer fragt: „Warum dauert das?“"
)
SPANISH = (
    "Experto en bases de datos. Se usa cuando las consultas son lentas y hay que revisar los índices de una tabla."
)
MIXED = "PostgreSQL数据库专家，专注于查询优化、架构设计。Use after SQL. 在编写SQL、创建迁移时，请主动使用。"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (GERMAN, "de"),
        (SPANISH, "es"),
        ("Expert en bases de données. À utiliser quand les requêtes sont lentes et que l'index est en cause.", "fr"),
        ("Especialista em bancos de dados. Usar quando as consultas são lentas e não há índices para elas.", "pt"),
        ("Esperto di basi di dati. Da usare quando le query sono lente e non ci sono indici per la tabella.", "it"),
        (MIXED, "zh"),
        ("Expert in 小红书 and 知乎: use for planning posts of the week and for the answers to what people say.", "en"),
        ("Эксперт по базам данных. Использовать, когда запросы медленные.", None),
        ("Ekspert od baz danych. Używaj, gdy zapytania są wolne, a użytkownik prosi o pomoc w ich poprawie.", None),
        ("خبير في قواعد البيانات.", None),
        ("Databank-expert. Gebruik deze voor het nakijken van een query die niet snel is, en voor de indexen.", None),
    ],
)
def test_no_draft_is_half_in_one_language_and_half_in_another(text: str, language: str | None) -> None:
    drafts = drafts_of(text)

    assert language_of_description(text) == language
    if language is None:
        assert all(draft in text for draft in drafts), "what is quoted stands alone"
        return
    assert len(drafts) == FEWEST_TASKS
    own = [ask for ask in ASKS[language] if any(draft.endswith(ask) for draft in drafts)]
    others = [ask for code, asks in ASKS.items() if code != language for ask in asks]
    assert own and not any(ask in draft for ask in others for draft in drafts)


def test_a_question_that_a_description_quotes_is_asked_as_it_stands() -> None:
    assert drafts_of(GERMAN)[0] == "Warum dauert das?"


def test_each_language_asks_as_many_different_things() -> None:
    assert {len(set(asks)) for asks in ASKS.values()} == {FEWEST_TASKS}
    assert WHOLE.keys() == ASKS.keys()


def test_drafts_of_the_corpus_in_other_languages_have_no_english_in_them(corpus: Path) -> None:
    seen = Counter()
    for path in sorted((corpus / "real").rglob("*.md")):
        description = load_agent(path).description or ""
        language = language_of_description(description)
        if language == "en" or read_examples(description) or not description.strip():
            continue
        seen[language] += 1
        assert not any(ask in draft for ask in ASKS["en"] for draft in drafts_of(description)), path
    assert seen["ja"] >= 10 and seen["zh"] >= 3 and seen["fr"] >= 2, seen


def test_there_are_few_and_none_of_nothing() -> None:
    many = "Use for " + ", ".join(f"thing number {n}" for n in range(99)) + ". " + "Very long. " * 10_000

    assert len(drafts_of(many)) == FEWEST_TASKS
    assert len(drafts_of("Very long. " * 10_000)[0]) < 2 * LONGEST_QUOTED
    assert drafts_of(" \n ") == ()


@pytest.mark.parametrize(
    "text", ["use " * 50_000, "use for " * 30_000, "'" * 200_000, "a, " * 100_000, "e.g. " * 60_000]
)
@pytest.mark.timeout(20)
def test_a_hostile_description_takes_no_longer_than_its_length(text: str) -> None:
    drafts_of(text)


def test_every_real_description_gives_drafts_of_its_own_words(corpus: Path) -> None:
    seen = 0
    for path in sorted((corpus / "real").rglob("*.md")):
        agent = load_agent(path)
        description = read_as_claude_code(agent).description or agent.description or ""
        if read_examples(description) or not description.strip():
            continue
        drafts = drafts_of(description)
        assert drafts, path
        known = "".join(description.replace("\\n", " ").split()).replace("**", "").replace("`", "").replace("__", "")
        for draft in drafts:
            body = draft.removesuffix(ASK).strip()
            middle = body.split(": ", 1)[-1] if body.startswith(("I was told", "Somebody")) else body
            words = middle.strip('".').split()[-1].strip('".。')
            assert words in known or "\n" in body, (path, draft)
        seen += 1

    assert seen > 250
