"""The pages over many records as their reader opens them: from a disk, without a network, on any screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import serious_violations
from tests.browser.test_report import FAINTEST, LOOKS, reading
from tests.test_history import AGENT, night
from workbench.comparison.history import load_history
from workbench.comparison.history_page import write_history
from workbench.comparison.site import write_site
from workbench.grading.catalogue import standard


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "nightly"
    asks = ([3, 3, 2, 3, 3, 2], [3, 2, 2, 3, 3, 2], [0, 0, 0, 0, 1, 0])
    for day, kept in enumerate(asks, start=26):
        night(folder, f"2026-11-{day}", kept)
    night(folder / "team-of-the-platform", "2026-11-26", [1, 2, 3], agent=AGENT.replace("planner", "<b>x</b>" * 9))
    graders = standard()
    return write_site(
        load_history(folder, graders=graders), folder, folder / "site", graders=graders, most_nights=14
    ).index


@pytest.mark.parametrize("look", LOOKS)
def test_the_site_opens_from_a_disk_in_every_look(page: Any, index: Path, screenshots: Path, look: str) -> None:
    with reading(page, look) as reader:
        reader.goto(index.as_uri())
        for name in ("index", "agent"):
            assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            assert reader.evaluate(FAINTEST) >= 4
            assert reader.locator("svg circle").count() >= 3
            reader.screenshot(path=screenshots / f"site-{name}-{look}.png", full_page=True)
            if name == "index":
                reader.get_by_role("link", name="planner", exact=True).click()
        assert "3 nights" in reader.inner_text("main")
        reader.get_by_role("link", name="2026-11-28").click()
        assert reader.inner_text("h1").startswith("planner")


@pytest.mark.parametrize("look", LOOKS)
def test_the_page_of_nights_is_for_everybody(page: Any, index: Path, tmp_path: Path, look: str) -> None:
    history, _ = write_history(load_history(index.parents[1], graders=standard()), tmp_path)
    with reading(page, look) as reader:
        reader.goto(history.as_uri())
        assert reader.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert serious_violations(reader, reader.locator("html")) == []


@pytest.mark.parametrize("look", LOOKS)
def test_the_site_is_for_everybody(page: Any, index: Path, look: str) -> None:
    with reading(page, look) as reader:
        for file in (index, *index.parent.glob("agents/*.html")):
            reader.goto(file.as_uri())
            assert serious_violations(reader, reader.locator("html")) == [], file
