"""What holds for every page that we write."""

from __future__ import annotations

import base64
import hashlib
import re

from bs4 import BeautifulSoup


def assert_only_our_script(page: str) -> None:
    """The one script of the page is that which its policy names by its hash, and it asks nobody for anything."""
    soup = BeautifulSoup(page, "html.parser")
    policy = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    [script] = soup.find_all("script")
    digest = base64.b64encode(hashlib.sha256(script.get_text().encode()).digest()).decode()
    assert policy is not None
    assert re.findall("script-src ([^;]+)", str(policy["content"])) == [f"'sha256-{digest}'"]
    assert not re.search(r"fetch|XMLHttp|import|innerHTML|eval|https?:", script.get_text())
