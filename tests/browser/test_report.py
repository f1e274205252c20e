"""A report as its reader opens it: without a network, in the light, in the dark, on a narrow screen and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import hostile_run
from tests.runs import GROUPS, PASSES_A, PASSES_B, make_run, passes
from workbench.comparison.report import write_report

LOOKS = {"light": ("light", 1100), "dark": ("dark", 1100), "narrow": ("light", 390)}

_FAINTEST = """() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
      .map(part => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!colour.endsWith(', 0)')) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = [...document.querySelectorAll('main *')].filter(element => element.checkVisibility()
    && [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()));
  return Math.min(...texts.map(element => {
    const both = [light(getComputedStyle(element).color), light(behind(element))];
    return (Math.max(...both) + .05) / (Math.min(...both) + .05);
  }));
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_run({"base": passes(PASSES_A), "draft": passes(PASSES_B)}, groups=GROUPS)
    return write_report(run, tmp_path_factory.mktemp("report"), formats=["html"])[0]


@pytest.fixture(params=LOOKS)
def reader(page: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page of a browser that has no network. Fails if one was asked for, or if the page complained."""
    scheme, width = LOOKS[request.param]
    context = page.context.browser.new_context(
        offline=True, color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    opened = context.new_page()
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


def test_report_reads_in_every_look(
    reader: Any, report: Path, screenshots: Path, request: pytest.FixtureRequest
) -> None:
    reader.goto(report.as_uri())
    reader.evaluate("document.querySelectorAll('details').forEach((each, at) => { each.open = at < 3 })")

    assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert reader.evaluate(_FAINTEST) >= 4
    widths = reader.eval_on_selector_all("img", "images => images.map(image => image.naturalWidth)")
    assert len(widths) == 4 and min(widths) > 400
    reader.screenshot(path=screenshots / f"report-{request.node.callspec.id}.png", full_page=True)


def test_printed_report_is_light_whatever_the_screen_is(reader: Any, report: Path) -> None:
    reader.goto(report.as_uri())
    reader.emulate_media(media="print")

    assert reader.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    shown = reader.eval_on_selector("img", "image => image.currentSrc === image.src")
    assert shown
    assert reader.pdf(format="A4").startswith(b"%PDF")


def test_hostile_texts_do_nothing_in_a_browser(reader: Any, tmp_path: Path) -> None:
    [path] = write_report(hostile_run(), tmp_path, formats=["html"])
    reader.goto(path.as_uri())
    reader.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")

    assert reader.evaluate("document.querySelectorAll('script, iframe, form, [onerror]').length") == 0
    assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")
