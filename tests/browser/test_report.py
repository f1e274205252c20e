"""A report as its reader opens it: without a network, in the light, in the dark, on a narrow screen and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import mistune
import pytest

from tests.browser.conftest import new_page, serious_violations
from tests.hostile import hostile_run
from tests.runs import GROUPS, PASSES_A, PASSES_B, STAND_IN, make_run, passes
from tests.test_review import of_three as of_three
from workbench.comparison.report.write import write_report
from workbench.comparison.review import Review, review_runs
from workbench.trial.paid import Paid
from workbench.trial.trial import Score

LOOKS = {"light": ("light", 1100), "dark": ("dark", 1100), "narrow": ("light", 390)}

FAINTEST = """() => {
  const light = colour => {
    const [r, g, b] = colour.map(part => part / 255)
      .map(part => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const parts = colour => colour.match(/[\\d.]+/g).map(Number)
    .map((part, at) => colour.startsWith('color(') && at < 3 ? 255 * part : part);
  const over = (top, below) => {
    const share = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map(at => share * top[at] + (1 - share) * below[at]);
  };
  const behind = element => {
    const all = [];
    for (let at = element; at; at = at.parentElement) all.unshift(parts(getComputedStyle(at).backgroundColor));
    return all.reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const texts = [...document.querySelectorAll('main *')].filter(element => element.checkVisibility()
    && [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()));
  return Math.min(...texts.map(element => {
    const below = behind(element);
    const both = [light(over(parts(getComputedStyle(element).color), below)), light(below)];
    return (Math.max(...both) + .05) / (Math.min(...both) + .05);
  }));
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_run({"base": passes(PASSES_A), "draft": passes(PASSES_B)}, groups=GROUPS)
    taken = Paid(
        attempts=2, input_tokens=2_000, output_tokens=200, cache_read_input_tokens=500, priced=Decimal("0.0041")
    )
    run = replace(made, trials=tuple(trial.replace(paid=taken) for trial in made.trials))
    return write_report(run, tmp_path_factory.mktemp("report"), formats=["html", "md"])[0]


@pytest.fixture(scope="module")
def hostile_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(hostile_run(), tmp_path_factory.mktemp("hostile"), formats=["html", "md"])[0]


@contextmanager
def reading(page: Any, look: str) -> Iterator[Any]:
    """A page of a browser that has no network. Fails if one was asked for, or if the page complained."""
    scheme, width = LOOKS[look]
    context = page.context.browser.new_context(
        offline=True, color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    opened = new_page(context)
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
    opened.on(
        "request",
        lambda asked: None if asked.url.startswith(("file:", "data:")) else complaints.append(asked.url),
    )
    yield opened
    context.close()
    assert complaints == []


@pytest.mark.parametrize("look", LOOKS)
def test_report_reads_in_every_look(page: Any, report: Path, screenshots: Path, look: str) -> None:
    with reading(page, look) as reader:
        reader.goto(report.as_uri())
        reader.evaluate("document.querySelectorAll('details').forEach((each, at) => { each.open = at < 3 })")

        assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert reader.evaluate(FAINTEST) >= 4
        widths = reader.eval_on_selector_all("img", "images => images.map(image => image.naturalWidth)")
        assert len(widths) == 4 and min(widths) > 400
        scrolls = "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.tabIndex)"
        assert set(reader.eval_on_selector_all("figure:not(.scatter, .tally)", scrolls)) <= {0}, "no key reaches it"
        reader.screenshot(path=screenshots / f"report-{look}.png", full_page=True)


FIRST_SCREENS = {
    "worse": ({"base": passes([4] * 12), "draft": passes([1] * 12)}, {}, 'worse than "base"'),
    "twins": ({"base": passes(PASSES_B), "draft": passes(PASSES_A)}, {"same_prompt": True}, "send the same requests"),
    "made up": ({"base": passes(PASSES_B), "draft": passes(PASSES_A)}, {"endpoint": STAND_IN}, "OFFLINE STAND-IN"),
}


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("kind", FIRST_SCREENS)
def test_agent_sentence_and_worst_promise_stand_in_the_first_700_pixels(
    page: Any, tmp_path: Path, screenshots: Path, kind: str, width: int
) -> None:
    scores, given, sentence = FIRST_SCREENS[kind]
    run = make_run(scores, **given)
    agents = {name: agent.replace(name="a-reviewer-with-a-long-name") for name, agent in run.variants.items()}
    kept = {f"promise {number} of many": Score(value=1.0, explanation="") for number in range(6)}
    broken = {f"promise {number} of many": Score(value=0.0, explanation="") for number in range(6)}
    trials = tuple(
        trial.replace(scores={**trial.scores, **(kept if trial.variant == "base" else broken)}) for trial in run.trials
    )
    path = write_report(replace(run, variants=agents, trials=trials), tmp_path, formats=["html"])[0]
    worst = {
        "worse": "promise 0 of many",
        "twins": "No promise moved by more than noise",
        "made up": "promise 0 of many",
    }

    for scheme in ("light", "dark"):
        context = page.context.browser.new_context(
            offline=True, color_scheme=scheme, viewport={"width": width, "height": 900}
        )
        reader = new_page(context)
        reader.goto(path.as_uri())
        reader.screenshot(path=screenshots / f"first-{kind.replace(' ', '-')}-{scheme}-{width}.png")
        for words in ("a-reviewer-with-a-long-name", sentence, worst[kind]):
            shown = reader.locator("header").get_by_text(words).first.bounding_box()
            assert shown is not None and shown["y"] + shown["height"] < 700, words
        context.close()


def test_printed_report_is_light_on_a_dark_screen_and_no_table_leaves_the_paper(page: Any, report: Path) -> None:
    with reading(page, "dark") as reader:
        reader.goto(report.as_uri())
        reader.emulate_media(media="print")
        reader.set_viewport_size({"width": 718, "height": 1047})  # A4 without its margins

        assert reader.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert reader.eval_on_selector("img", "image => image.currentSrc === image.src")
        assert max(reader.eval_on_selector_all("table", "tables => tables.map(each => each.scrollWidth)")) <= 718
        assert reader.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("look", ["light", "narrow"])
def test_the_worst_promise_who_answered_and_the_cost_are_on_the_first_screen(
    page: Any, tmp_path: Path, look: str
) -> None:
    made = make_run({"base": passes(PASSES_A), "draft": passes(PASSES_B)}, groups=GROUPS)
    promises = [f"asks a clarifying question {number}" for number in range(6)]
    trials = tuple(
        trial.replace(scores={each: Score(value=float(trial.variant == "base"), explanation="") for each in promises})
        for trial in made.trials
    )
    [path] = write_report(replace(made, trials=trials), tmp_path, formats=["html"])
    with reading(page, look) as reader:
        reader.goto(path.as_uri())
        below = {
            words: reader.locator(place).evaluate("element => element.getBoundingClientRect().bottom")
            for words, place in (
                ("the worst promise", ".moved tbody tr:first-child"),
                ("who answered", "dl.facts div:has(dt:text-is('Answered by'))"),
                ("the cost", "dl.facts div:has(dt:text-is('Cost of the replies'))"),
            )
        }
        assert below.pop("the worst promise") < 700
        assert max(below.values()) < 900, below
        rows = reader.locator(".moved tbody tr:visible").count()
        assert rows == (5 if look == "light" else 1)
        assert reader.get_by_text("The worst of 6 that moved.").is_visible() == (look == "narrow")
        assert reader.get_by_text("5 of 6 that moved.").is_visible() == (look == "light")


@pytest.mark.parametrize("look", ["dark", "narrow"])
def test_review_reads_on_a_dark_and_on_a_narrow_screen(page: Any, tmp_path: Path, look: str) -> None:
    run = make_run({"base": passes(PASSES_A), "draft": passes(PASSES_B)}, groups=GROUPS)
    path = tmp_path / "review.html"
    path.write_text(review_runs(run, run, variants=("base", "draft")).html(), encoding="utf-8")

    with reading(page, look) as reader:
        reader.goto(path.as_uri())
        assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert reader.evaluate(FAINTEST) >= 4
        assert "Promising, not established" in reader.inner_text(".verdict")
        assert reader.inner_text("h1").startswith("architect: ")


def test_link_beside_a_verdict_opens_its_rules(page: Any, report: Path) -> None:
    with reading(page, "light") as reader:
        reader.goto(report.as_uri())
        rules = reader.locator("#decided")
        assert not rules.is_visible()
        reader.click("p.verdict a")
        rules.wait_for(state="visible")
        assert "How a verdict is reached" in rules.inner_text()


def test_hostile_texts_do_nothing_in_a_browser(page: Any, hostile_report: Path) -> None:
    with reading(page, "narrow") as reader:
        reader.goto(hostile_report.as_uri())
        reader.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")

        assert reader.evaluate("document.querySelectorAll('iframe, form, [onerror]').length") == 0
        assert reader.locator("script").count() == 1, "ours"
        assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_summary_of_a_pull_request_is_shown_as_tables_and_text(
    page: Any, report: Path, hostile_report: Path, screenshots: Path
) -> None:
    with reading(page, "light") as reader:
        reader.set_content(_rendered(report.with_name("summary.md")))
        assert reader.locator("h3").inner_text() == "Promising, not established: architect"
        assert reader.locator("p strong").first.inner_text().endswith("+2.6 to +30.8 (12 tasks).")
        assert reader.locator("table").count() == 4
        assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")
        reader.screenshot(path=screenshots / "summary.png", full_page=True)

        reader.set_content(_rendered(hostile_report.with_name("summary.md")))
        assert reader.locator("script, img, a, iframe, h1, h2, pre").count() == 0
        assert "<script>alert(1)</script>" in reader.inner_text("table")


def _rendered(summary: Path) -> str:
    """The summary as HTML, made by a Markdown renderer that lets all HTML through."""
    render = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough", "task_lists"])
    return f'<meta charset="utf-8">{render(summary.read_text(encoding="utf-8"))}'


@pytest.mark.parametrize("look", LOOKS)
def test_a_report_is_for_everybody_with_all_of_it_open(page: Any, report: Path, look: str) -> None:
    with reading(page, look) as reader:
        reader.goto(report.as_uri())
        reader.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert serious_violations(reader, reader.locator("html")) == []


@pytest.mark.parametrize("look", LOOKS)
def test_a_review_of_what_got_worse_is_for_everybody(page: Any, of_three: Review, tmp_path: Path, look: str) -> None:
    path = tmp_path / "review.html"
    path.write_text(of_three.html(), encoding="utf-8")
    with reading(page, look) as reader:
        reader.goto(path.as_uri())
        assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")
        wider = "all => all.filter(each => each.getBoundingClientRect().right > innerWidth).map(each => each.innerText)"
        assert reader.eval_on_selector_all("caption, td, th", wider) == []
        assert serious_violations(reader, reader.locator("html")) == []
