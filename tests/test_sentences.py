"""What is told from a list of words, and what only denies: the rules, and the measurements behind their limits."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.grading.catalogue import standard
from workbench.trial.countable import headings_in, questions_in
from workbench.trial.fences import prose
from workbench.trial.sentences import (
    asserting_sentences,
    assertions,
    count_words,
    fold,
    language_of,
    real_sentences,
    sentences,
    whole_word,
    words_of,
)
from workbench.trial.task import Task, load_tasks
from workbench.trial.trial import Reply, Score

ROOT = Path(__file__).parent.parent
TASK = Task(id="t", input="x")


def mentioned(text: str, term: str) -> bool:
    score = standard()["mentions"](any=[term])(TASK, Reply(text=text))
    assert isinstance(score, Score)
    return score.value == 1


@pytest.mark.parametrize(
    "text",
    [
        "No RBAC is needed here, since all users are equal.",
        "There is no RBAC in this design.",
        "We do not use RBAC for this service.",
        "We don't need any RBAC in the service.",
        "It works without RBAC and without scopes.",
        "The service has neither HMAC nor RBAC in it.",
        "I would never use RBAC for three people.",
        "RBAC is not needed for such a service.",
        "RBAC and scopes are not used by this service.",
        "In this design RBAC was left out, and RBAC is omitted in the next.",
        "We use no HMAC, RBAC or scopes in the service.",
        "Use lists of owners instead of RBAC in the service.",
        "It is not an RBAC, as everybody may do all of it.",
        "The plan cannot offer RBAC to anybody.",
        "We did not consider RBAC for the first release.",
        "This is a design that lacks RBAC and more.",
        "RBAC isn't required by any of the rules.",
        "Would you like to have RBAC in this service?",
        "No HMAC, no RBAC, no scopes.",
        "RBAC, scopes, roles, permissions, tokens.",
        "RBAC of the service, right to be forgotten, one month",
        "The RBAC of users, the deadline of one month; the legal obligation, and a supervisory authority.",
        "right to erasure, RBAC for all, legal obligation, 1. a 2. b 3. c",
        "RBAC",
        "- RBAC\n- scopes\n- roles",
        "## RBAC\n\n## Scopes",
        "```python\nRBAC = True\n```",
        "The of RBAC a in and is the must of. Roles the with a from is to the and of.",
        "Wir brauchen kein RBAC, weil alle das gleiche dürfen.",
        "On travaille sans RBAC, parce que tous peuvent tout faire.",
        "RBAC is never the right choice for three people.",
        "In March we decided against RBAC for the service.",
        "I would advise against RBAC here.",
        "Nobody needs RBAC for ten users a day.",
        "Don't bother with RBAC in this case.",
        "You should not rely on RBAC for that.",
    ],
)
def test_what_is_denied_asked_or_listed_is_not_mentioned(text: str) -> None:
    assert not mentioned(text, "RBAC")


@pytest.mark.parametrize(
    "text",
    [
        "RBAC decides what a user may do.",
        "Not only RBAC but also scopes are checked here.",
        "Roles are no longer enough, so RBAC gets scopes.",
        "There is no doubt that RBAC is the right way.",
        "Do not store passwords; RBAC belongs into the database.",
        "Without an index the query is slow, and RBAC asks it often.",
        "The service does not scale because RBAC asks the database.",
        "If roles are not enough, RBAC can be extended by scopes.",
        "- **RBAC**: each role has a list of permissions.",
        "**RBAC.** Each role has a list of permissions.",
        "## RBAC\n\nEach role has a list of permissions.",
        "| part | how |\n|---|---|\n| access | RBAC with a table of its own |",
        "We use `RBAC` for this, as it is simple.",
        "Jede Rolle hat Rechte, und RBAC ist dafür gut genug.",
        "We cannot do this without RBAC.",
        "Nothing here is safe without RBAC, which takes a day.",
        "Ohne Rechte geht es nicht, und RBAC ist dafür da.",
        "RBAC guards against a role that was stolen.",
        "RBAC is the right choice for this service.",
        "Nobody reads the table but RBAC.",
        "Use RBAC, rate limits, and an allow list.",
        "At night, in tests, and under load, RBAC takes the table of the day.",
        "Keep the roles, drop the scopes, and let RBAC decide.",
        "Rotate the key, revoke its family, log it, and ask RBAC.",
    ],
)
def test_what_a_sentence_asserts_is_mentioned(text: str) -> None:
    assert mentioned(text, "RBAC")


@pytest.mark.parametrize(
    "text",
    [
        "RBAC is crucial for success.",
        "RBAC and scopes are essential in any robust approach.",
        "These are the scopes, and this is the RBAC.",
        "RBAC is one of the terms that matter here.",
        "As with every decision, there are scopes to consider, and RBAC too.",
        "RBAC should never be underestimated.",
        "When it comes to RBAC, best practices ensure successful outcomes.",
    ],
)
def test_where_nothing_is_said_of_a_word_it_is_not_mentioned(text: str) -> None:
    score = standard()["mentions"](any=["RBAC", "scopes"])(TASK, Reply(text=text))

    assert isinstance(score, Score)
    assert (score.value, score.explanation.rpartition(", but ")[2]) == (0, "nothing is said of it")


@pytest.mark.parametrize(
    "text",
    [
        "RBAC costs a query.",
        "Take it from RBAC, and keep it.",
        "Use RBAC for this and for that.",
        "Ask it of RBAC each time.",
        "I would take RBAC for this.",
        "We have RBAC and scopes here.",
        "It is RBAC that does this: a role holds permissions.",
        "This is the RBAC:\n\n- A role holds the permissions of a team.",
        "## RBAC\n\nA role holds the permissions of a team.",
        "Das ist RBAC, und damit ist es eine Rolle.",
    ],
)
def test_one_thing_beside_it_a_command_or_a_choice_says_something_of_a_word(text: str) -> None:
    assert standard()["mentions"](any=["RBAC", "scopes"])(TASK, Reply(text=text)).value == 1


def test_of_all_words_one_is_something_beside_another() -> None:
    all_of_them = standard()["mentions"](all=["Redis", "Celery"])
    any_of_them = standard()["mentions"](any=["Redis", "Celery"])

    assert all_of_them(TASK, Reply(text="This needs Redis and Celery.")).value == 1
    assert any_of_them(TASK, Reply(text="This needs Redis and Celery.")).value == 0


def test_hardly_a_sentence_of_this_projects_pages_says_nothing_of_a_thing_that_it_names() -> None:
    """The share that docs/reference/first-agent.md tells of: any word of a page taken for what is looked for."""
    lost = asked = 0
    for path in sorted((ROOT / "docs" / "how-to").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        words = sorted({word for word in words_of(" ".join(assertions(text))) if len(word) > 5 and word.isalpha()})
        for word in words[::5]:
            asked += 1
            lost += not mentioned(text, word)

    assert asked > 200 and lost / asked <= 0.01, (lost, asked)


def test_a_requirement_is_no_denial_but_a_statement_is() -> None:
    assert mentioned("A tenant must not leak into the rows of another.", "leak")
    assert not mentioned("We do not measure it at all, I think.", "measure")
    assert not mentioned("The job is not idempotent as it is now.", "idempotent")


def test_a_command_in_capitals_denies_nothing() -> None:
    assert mentioned("Take rows with SKIP LOCKED, one at a time.", "SKIP LOCKED")
    assert not mentioned("We skip locked rows in this query.", "locked")


def test_the_next_of_one_mould_does_not_count() -> None:
    names = ("A1x", "B2x", "C3x", "D4x", "E5x")
    text = " ".join(f"{one} is used because it is good for that." for one in names)

    assert real_sentences(text) == (), "there is nothing else"
    among_others = real_sentences(f"{good_replies()[0]}\n\n{text}")
    assert [each[:3] for each in among_others if "used because" in each] == list(names[:3])


def test_reason_says_where_the_word_stands() -> None:
    score = standard()["mentions"](any=["RBAC"])(TASK, Reply(text="There is no RBAC in this design."))

    assert isinstance(score, Score)
    assert (
        score.explanation
        == "mentions none of `RBAC`; `RBAC` is there, but denied or only asked (`denied`, `questions`)"
    )


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The query is slow because it has no index.", "en"),
        ("Die Abfrage ist langsam, weil sie keinen Index hat.", "de"),
        ("La requête est lente parce qu'elle n'a pas d'index dans la base.", "fr"),
        ("La consulta es lenta porque no tiene un índice en la tabla.", "es"),
        ("De query is traag omdat er geen index op de tabel is.", "nl"),
        ("Redis", None),
        ("", None),
        ("クエリはインデックスがないので遅いです。", None),
    ],
)
def test_language_is_known_by_its_small_words(text: str, language: str | None) -> None:
    assert language_of(text) == language


def test_sentences_of_writing_without_spaces_are_real() -> None:
    assert len(real_sentences("クエリはインデックスがないので遅いです。次に、索引を作ります。")) == 2


def good_replies() -> list[str]:
    tasks = load_tasks(ROOT / "agents" / "senior-python-architect.tasks.yaml")
    return [reply.text for task in tasks for reply in task.replies if reply.is_good]


def shuffled(text: str, seed: int) -> str:
    dice = random.Random(seed)
    words = prose(text).split()
    dice.shuffle(words)
    lines = [" ".join(word.strip(".?!") for word in words[at : at + 12]) for at in range(0, len(words), 12)]
    return ". ".join(lines) + "."


def share_of_real(texts: list[str]) -> float:
    told = [sentence for text in texts for sentence in sentences(text) if len(sentence.text.split()) >= 6]
    return sum(sentence.is_real for sentence in told) / len(told)


def test_limits_tell_sentences_from_the_same_words_shuffled() -> None:
    docs = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md"))]

    assert share_of_real(good_replies()) >= 0.97
    assert share_of_real(docs) >= 0.95
    assert share_of_real([shuffled(text, 1) for text in good_replies()]) <= 0.15
    assert share_of_real([shuffled(text, 1) for text in docs]) <= 0.1


OWN = """We measure first, because nobody knows where the time goes. The slow query reads every order of a customer.
Each worker holds one connection, which the pool gives back after a timeout. You could also cache the page for a minute,
if a stale price does no harm. What happens when two people click together? Then the constraint refuses the second one."""


def test_a_list_of_one_mould_counts_in_a_reply_that_says_more_than_that() -> None:
    alike = [
        f"Use the {what} for the {of} of a tenant."
        for what, of in (("index", "rows"), ("policy", "reads"), ("role", "writes"))
    ]
    said = assertions(" ".join([OWN, *alike]))

    assert set(alike) <= set(said)
    assert len(said) == 8


def test_a_reply_that_is_one_frame_filled_in_says_nothing() -> None:
    things = ("index", "policy", "role", "cache", "queue", "log", "trace", "token", "lock", "batch", "schema", "key")
    filled = [
        f"{frame.format(one, two)}" for one, two in pairwise(things) for frame in ("The {} is there for the {}.",)
    ]

    assert assertions(" ".join(filled)) == ()
    assert assertions(" ".join([OWN, *filled])) == (), "most of it is filled in"
    some = [f"The {one} is there for the {two}." for one, two in list(pairwise(things))[:4]]
    said = assertions(" ".join([OWN, *some]))
    assert len(said) == 5 and not set(some) & set(said), "what is its own counts"


HOLLOW = (
    "The index is there for the cursor. We use the cursor and the replica. It is good to have a replica for the cache. In "
    "this case the cache helps with the latency a lot. You will want latency because of the index. With a queue you can "
    "handle the worker well. A team that has the worker can also have the lock."
)
PLAIN = (
    "Add an index on tenant_id and created_at. The query then reads fifty rows instead of two million. Take keyset "
    "pagination, because an offset reads all that it skips. The cursor holds the last id, signed. Cache nothing yet: the "
    "query is fast. Measure it again with EXPLAIN after the release. Drop the old index a week later."
)


def test_a_reply_whose_sentences_name_two_things_and_say_nothing_of_them_has_none() -> None:
    assert real_sentences(HOLLOW) == ()
    assert len(real_sentences(PLAIN)) == 7
    assert len(real_sentences(HOLLOW.split(" In this")[0])) == 3, "a short reply may be plain"


def test_what_only_denies_is_a_sentence_and_asserts_nothing() -> None:
    text = "We have no logs. There is no refresh, no expiry and no rotation. We do not store passwords in the table."

    assert len(real_sentences(text)) == 3
    assert asserting_sentences(text) == ("We do not store passwords in the table.",)


@given(st.text(max_size=400))
def test_any_text_has_sentences_that_stand_in_it(text: str) -> None:
    found = sentences(text)

    assert set(real_sentences(text)) <= {sentence.text for sentence in found}
    assert len(assertions(text)) <= len(found)


@given(
    st.lists(st.sampled_from(["no", "not", "RBAC", ",", "we", "use", "is", "or", "needed", ".", "the"]), max_size=30)
)
def test_denying_only_takes_away(words: list[str]) -> None:
    for sentence in sentences(" ".join(words)):
        assert len(sentence.asserted) <= len(f"{sentence.title}: {sentence.text}")


CHINESE = "# 概述\n\n我们建议使用PostgreSQL数据库。它支持事务吗？是的！请先检查索引。\n\n## 实施步骤\n\n1. 备份数据。\n2. 迁移表。\n"


def test_sentences_words_and_headings_of_scripts_without_blanks_are_counted() -> None:
    told = [each.text for each in sentences(CHINESE)]
    assert told[:4] == ["我们建议使用PostgreSQL数据库。", "它支持事务吗?", "是的!", "请先检查索引。"]
    assert count_words("我们建议使用PostgreSQL数据库。") == 10, "six characters, a name, three characters"
    assert count_words("この設計に、問題があります。") == 12
    assert count_words("데이터베이스를 쓰세요. 인덱스도 있나요?") == 4, "Korean has blanks"
    assert headings_in(CHINESE) == ["概述", "实施步骤"]
    assert questions_in("请看这张表。\n\n您想保留哪些列？") == ["您想保留哪些列?"]


@pytest.mark.parametrize("text", ["a b c", "x-y  z\n1. 2", "", "Ein Satz. Noch einer!", "naïve café"])
def test_words_that_blanks_part_are_counted_as_blanks_part_them(text: str) -> None:
    assert count_words(text) == len(text.split())


@pytest.mark.parametrize(
    ("word", "text", "is_there"),
    [
        ("索引", "请创建索引并备份。", True),
        ("PostgreSQL", "我们建议使用PostgreSQL数据库。", True),
        ("데이터베이스", "데이터베이스를 씁니다.", True),
        ("risk", "We see a risk.", True),
        ("risk", "Asterisk and risky.", False),
        ("SQL", "MySQL数据库", False),
    ],
)
def test_a_word_is_found_whole_where_scripts_put_no_blank_around_it(word: str, text: str, is_there: bool) -> None:
    assert bool(re.search(whole_word(word), fold(text), re.IGNORECASE)) is is_there


def test_graders_find_words_and_sections_in_chinese() -> None:
    graders, task, reply = standard(), Task(id="t", input="x"), Reply(text=CHINESE, stop_reason="end_turn")
    scores = {
        "mentions": graders["mentions"](any=["PostgreSQL"])(task, reply),
        "section": graders["has_section"](any=["步骤"])(task, reply),
        "length": graders["word_count"](at_most=10)(task, reply),
    }

    assert {name: score.value for name, score in scores.items() if isinstance(score, Score)} == {
        "mentions": 1.0, "section": 1.0, "length": 0.0
    }  # fmt: skip
