"""The browser code that is kept is what its source makes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import workbench.widgets

FRONT = Path(workbench.widgets.__file__).parent / "front"
BUILT = FRONT / "built"


def test_the_kept_modules_are_what_their_source_builds(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("there is no Node here, so the browser code cannot be built again")
    if not (FRONT / "node_modules" / "esbuild").is_dir():
        pytest.skip(f"its packages are not installed: run `npm ci --ignore-scripts` in {FRONT.name}/ of the widgets")
    subprocess.run(["node", "build.js", "--to", str(tmp_path)], cwd=FRONT, check=True, timeout=120)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["editor.js", "results.js"]
    for name in ("editor.js", "results.js"):
        assert (tmp_path / name).read_bytes() == (BUILT / name).read_bytes(), "the source changed: npm run build"


def test_the_kept_module_names_every_package_in_it_with_its_licence() -> None:
    notices = (BUILT / "editor.js").read_text(encoding="utf-8").partition("*/")[0]

    for name in ("@codemirror/view", "@codemirror/merge", "@lezer/markdown", "style-mod", "w3c-keyname"):
        assert re.search(rf"^{re.escape(name)} \d+\.\d+", notices, re.MULTILINE)
    assert notices.count("Permission is hereby granted") >= 2
    assert (BUILT / "results.js").read_text(encoding="utf-8").startswith("/*! Built by build.js.*/")


def test_the_lock_names_no_registry() -> None:
    lock = (FRONT / "package-lock.json").read_text(encoding="utf-8")

    assert "resolved" not in lock
    assert "://" not in re.sub(r'"url": "[^"]*"', "", lock)


def test_no_source_of_the_page_makes_markup_of_text() -> None:
    sources = [*FRONT.glob("*.js"), *(FRONT / "editor").glob("*.js"), *(FRONT / "results").glob("*.js")]

    assert len(sources) > 16
    for source in sources:
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", source.read_text())
