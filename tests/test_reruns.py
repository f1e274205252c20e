"""What fails for what else a machine does is run again, and nothing else; what failed first is seen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
CONFTEST = (
    "from tests.conftest import pytest_collection_modifyitems, pytest_configure, pytest_runtest_makereport\n"
    "from tests.conftest import pytest_runtest_teardown\n"
)
TESTS = """
import itertools, time
from pathlib import Path
import pytest

KERNELS = itertools.count(1)

@pytest.fixture(scope="session")
def kernel():
    yield next(KERNELS)

@pytest.fixture(scope="module")
def page(kernel):
    yield kernel

@pytest.mark.machine
def test_that_has_broken_its_kernel(page):
    assert page == 2, f"the first is kernel {page}"

@pytest.mark.browser
def test_that_comes_after_it(page):
    assert page == 2

@pytest.mark.machine
def test_that_always_fails(page):
    assert page == 0, f"always, with {page}"

@pytest.mark.machine
@pytest.mark.timeout(2)
def test_that_hangs():
    with Path("hung").open("a") as file:
        file.write("once ")
    time.sleep(60)

def test_that_is_quick(page):
    with Path("quick").open("a") as file:
        file.write("once ")
    assert False
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[str, Path]:
    if not request.config.pluginmanager.hasplugin("rerunfailures"):
        pytest.skip("nothing is run again without pytest-rerunfailures")
    folder = tmp_path_factory.mktemp("reruns")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_all.py").write_text(TESTS)
    (folder / "pyproject.toml").write_bytes((PROJECT / "pyproject.toml").read_bytes())
    command = [sys.executable, "-m", "pytest", "-n", "1", "--dist", "loadfile", "test_all.py"]
    path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH", "")]))
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, cwd=folder, env={**variables, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    return done.stdout, folder


def test_what_is_run_again_gets_new_fixtures_and_so_does_what_comes_after(said: tuple[str, Path]) -> None:
    assert "FAILED test_all.py::test_that_has_broken_its_kernel" not in said[0]
    assert "FAILED test_all.py::test_that_comes_after_it" not in said[0]
    assert "3 failed, 2 passed, 3 rerun" in said[0]


def test_what_failed_at_first_is_in_the_summary(said: tuple[str, Path]) -> None:
    summary = said[0].partition("rerun test summary info")[2]

    assert "RERUN test_all.py::test_that_has_broken_its_kernel" in summary
    assert "the first is kernel 1" in summary


def test_what_always_fails_is_run_three_times_and_fails(said: tuple[str, Path]) -> None:
    assert said[0].count("RERUN test_all.py::test_that_always_fails") == 2
    assert "FAILED test_all.py::test_that_always_fails" in said[0]


@pytest.mark.parametrize("name", ["quick", "hung"])
def test_neither_a_quick_test_nor_one_that_used_up_its_time_is_run_again(said: tuple[str, Path], name: str) -> None:
    assert (said[1] / name).read_text() == "once "
