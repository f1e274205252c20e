"""Saving an agent file: by one at a time, with all that the file has beside its bytes, and in a time that its size says."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.definition.agent import parse_agent
from workbench.definition.claude_code import read_as_claude_code
from workbench.definition.files import load_agent, save_agent
from workbench.definition.lint import check_agent
from workbench.definition.mend import mend_agent
from workbench.errors import AgentChangedOnDisk, AgentFileError

pytestmark = pytest.mark.machine

TEXT = "---\nname: reviewer\ndescription: Reviews.\nmodel: sonnet\n---\n\nYou review.\n"
RACES = 60
SAVERS = 4

SAVER = """
import sys
from pathlib import Path
from workbench.definition.files import load_agent, save_agent
from workbench.errors import AgentFileError

for line in sys.stdin:
    path = Path(line.strip())
    draft = load_agent(path).replace(description=f"By {sys.argv[1]}.")
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        save_agent(draft)
    except AgentFileError as error:
        print("refused", flush=True)
    else:
        print("saved", flush=True)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "reviewer.md"
    path.write_text(TEXT)
    return path


def test_of_those_who_save_at_one_moment_one_says_saved(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SAVER]
    savers = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(SAVERS)
    ]

    def ask(line: str) -> list[str]:
        for saver in savers:
            assert saver.stdin is not None
            saver.stdin.write(line + "\n")
        for saver in savers:  # all at one moment
            assert saver.stdin is not None
            saver.stdin.flush()
        return [saver.stdout.readline().strip() for saver in savers if saver.stdout is not None]

    try:
        for race in range(RACES):
            path = tmp_path / f"{race}.md"
            path.write_text(TEXT)
            assert ask(str(path)) == ["ready"] * SAVERS
            said = ask("go")
            assert sorted(said) == ["refused"] * (SAVERS - 1) + ["saved"], race
            assert load_agent(path).description == f"By {said.index('saved')}."
    finally:
        for saver in savers:
            saver.communicate(timeout=120)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{race}.md" for race in range(RACES))


def test_threads_save_one_at_a_time_too(file: Path) -> None:
    together = threading.Barrier(SAVERS)
    said: list[str] = []

    def save(number: int) -> None:
        draft = load_agent(file).replace(description=f"By {number}.")
        together.wait()
        try:
            save_agent(draft)
        except AgentChangedOnDisk:
            said.append("refused")
        else:
            said.append("saved")

    threads = [threading.Thread(target=save, args=(number,)) for number in range(SAVERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(said) == ["refused"] * (SAVERS - 1) + ["saved"]


def test_one_who_stays_in_the_folder_is_not_waited_for_without_end(file: Path) -> None:
    descriptor = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(AgentFileError, match="not saved: another process has been saving in its folder for long"):
            save_agent(load_agent(file).replace(model="opus"), longest_wait_seconds=0.1)
    finally:
        os.close(descriptor)

    assert file.read_text() == TEXT
    assert save_agent(load_agent(file).replace(model="opus")).model == "opus"


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only the administrator gives files to others")


@needs_root
def test_owner_and_group_are_kept(file: Path) -> None:
    os.chown(file, 12345, 23456)
    file.chmod(0o660)
    save_agent(load_agent(file).replace(model="opus"))

    found = file.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 23456, 0o660)
    assert "opus" in file.read_text()


@needs_root
def test_the_file_of_another_user_stays_theirs_when_one_may_only_write_it() -> None:
    code = (
        "import os, sys\n"
        "from workbench.definition.files import load_agent, save_agent\n"
        "os.setgroups([]); os.setgid(23999); os.setuid(23999)\n"
        "save_agent(load_agent(sys.argv[1]).replace(model='opus'))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        file = Path(folder) / "reviewer.md"
        file.write_text(TEXT)
        os.chown(file, 12345, 23456)
        file.chmod(0o666)
        done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False)
        found, text, left = file.stat(), file.read_text(), [one.name for one in Path(folder).iterdir()]

    assert done.returncode == 0, done.stderr
    assert (found.st_uid, found.st_gid) == (12345, 23456)
    assert text == TEXT.replace("sonnet", "opus")
    assert left == ["reviewer.md"]


def test_extended_attributes_are_kept(file: Path) -> None:
    try:
        os.setxattr(file, "user.origin", b"the corpus")
    except OSError as error:
        pytest.skip(f"this file system has no extended attributes: {error.strerror}")
    save_agent(load_agent(file).replace(model="opus"))

    assert os.getxattr(file, "user.origin") == b"the corpus"


def test_a_second_name_of_the_file_stays_one(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.hardlink_to(file)
    save_agent(load_agent(file).replace(model="opus"))

    assert "opus" in other.read_text()
    assert other.samefile(file)
    assert len(list(tmp_path.iterdir())) == 2


def test_overwriting_that_fails_puts_the_old_bytes_back(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.md").hardlink_to(file)
    real = os.write
    calls: list[int] = []

    def full(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:20])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(AgentFileError, match="No space left"):
        save_agent(load_agent(file).replace(model="opus"))

    assert file.read_text() == TEXT


@pytest.mark.parametrize("blank", ["\ufeff", "\u00a0", " \ufeff", "\u3000\t"])
@pytest.mark.parametrize("where", ["open", "close", "both"])
def test_a_fence_with_a_blank_that_cannot_be_seen_is_a_fence(tmp_path: Path, blank: str, where: str) -> None:
    text = TEXT.replace("---\nname", f"---{blank}\nname") if where != "close" else TEXT
    text = text.replace("sonnet\n---\n", f"sonnet\n---{blank}\n") if where != "open" else text
    path = tmp_path / "reviewer.md"
    path.write_text(text, encoding="utf-8")
    agent = load_agent(path)
    save_agent(agent.replace(model="opus"))

    assert (agent.name, agent.prompt) == ("reviewer", "\nYou review.\n")
    assert read_as_claude_code(agent).name == "reviewer"
    assert path.read_text(encoding="utf-8") == text.replace("sonnet", "opus")


def test_a_blank_in_a_fence_is_said_and_mended() -> None:
    agent = parse_agent(TEXT.replace("---\n", "---\ufeff\n"))
    problems = [one for one in check_agent(agent) if one.rule == "blank-in-fence"]
    mended = mend_agent(agent, problems[0])

    assert [one.line for one in problems] == [1, 5]
    assert mended is not None
    assert mended.text == TEXT


def test_a_changed_large_file_is_refused_at_once_with_its_sizes(file: Path) -> None:
    file.write_text(TEXT + "You review.\n" * 300_000)
    draft = load_agent(file).replace(model="opus")
    file.write_text(TEXT + "You look.\n" * 300_000)
    began = time.process_time()
    with pytest.raises(AgentChangedOnDisk, match=r"from 3,600,\d{3} to 3,000,\d{3} bytes; nothing was written"):
        save_agent(draft)

    assert time.process_time() - began < 5


def test_a_file_of_53_megabytes_is_edited_and_saved(file: Path) -> None:
    text = TEXT + "You review, with `care`: a word.\n" * (53_000_000 // 33)
    file.write_text(text)
    began = time.process_time()

    saved = save_agent(load_agent(file).replace(model="opus"))

    assert time.process_time() - began < 20  # some 2 s; a quadratic way took 48 s
    assert file.stat().st_size == len(text) + len("opus") - len("sonnet")
    assert saved.model == "opus"


def _taken(work: Callable[[], object]) -> float:
    """CPU seconds, the least of three."""
    found = []
    for _ in range(3):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


@pytest.mark.parametrize(
    ("what", "make"),
    [
        ("a long prompt", lambda n: TEXT + "You review, well.\n" * (n // 18)),
        ("one long line", lambda n: TEXT + "word " * (n // 5)),
        ("a long description", lambda n: TEXT.replace("Reviews.", "word " * (n // 5))),
        ("blanks in the prompt", lambda n: TEXT + " " * n + "x"),
        (
            "blanks in the prompt of an agent with tools",
            lambda n: TEXT.replace("model:", "tools: Read\nmodel:") + " " * n + "x",
        ),
        ("line ends in the prompt", lambda n: TEXT + "\n" * n + "x"),
        ("blanks after the first dashes", lambda n: "---" + "\n" * n + "x"),
        ("a value of blanks", lambda n: TEXT.replace("Reviews.", "a: b\nmodel:" + " " * n + "\u2028")),
        ("blanks in a flow header", lambda n: "---\n{name: abc, description: 'a" + " " * n + "b'}\n---\n"),
        ("dashes", lambda n: TEXT + "-" * n),
        ("examples that do not end", lambda n: TEXT.replace("Reviews.", "<example>" * (n // 9))),
        (
            "commentaries that do not end",
            lambda n: TEXT.replace("Reviews.", f"<example>{'<commentary>' * (n // 12)}</example>"),
        ),
        ("speakers", lambda n: TEXT.replace("Reviews.", f"'<example>{'user: ' * (n // 6)}</example>'")),
        ("a speech of blanks", lambda n: TEXT.replace("Reviews.", f"'<example>user: a{' ' * n}b</example>'")),
        ("open quotes", lambda n: TEXT.replace("Reviews.", '"' * n)),
        ("open brackets in tools", lambda n: TEXT.replace("sonnet", "sonnet\ntools: " + "(" * n)),
        ("keys", lambda n: TEXT.replace("model:", "".join(f"k{i}: 1\n" for i in range(n // 100)) + "model:")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_twice_the_text_takes_twice_the_time_to_read_and_write(what: str, make: Callable[[int], str]) -> None:
    def work(size: int) -> Callable[[], object]:
        text = make(size)

        def walk() -> None:
            from workbench.definition.description import read_examples

            agent = parse_agent(text)
            read_as_claude_code(agent)
            check_agent(agent)
            read_examples(agent.description or "")
            _ = agent.replace(model="opus").text

        return walk

    small, large = _taken(work(40_000)), _taken(work(160_000))

    assert large < 8 * small + 0.2, f"{what}: {small:.3f} s, then {large:.3f} s for four times as much"
