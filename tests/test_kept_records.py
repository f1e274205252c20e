"""Nothing that was recorded is overwritten by something else, whichever way the next record is left."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runs import gradable, make_run, passes
from tests.written_notebooks import printed_by, write_notebook
from workbench.errors import NotebookFailed, RecordError
from workbench.headless.batch import run_batch
from workbench.headless.batch_plan import load_batch
from workbench.headless.notebook import run_notebook
from workbench.headless.notebook_files import write_whole
from workbench.trial.record import export_record, load_run
from workbench.trial.record_aside import folder_aside
from workbench.trial.record_files import RECORD_PARTS, remove_files, write_record_folder
from workbench.trial.trial import Run

BASE = {"base": passes((1, 4))}
CELLS = {
    "parameters": "count: int = 1\nfails: bool = False\nout: str = 'outputs/left'",
    "run": (
        "import workbench as wb\n"
        "from tests.runs import gradable, make_run, passes\n"
        "print('count', count)\n"
        "assert not fails, 'asked to fail'"
    ),
    "record": "print(wb.export_record(gradable(make_run({'base': passes((count, 4))})), out))",
}


def content(folder: Path) -> dict[str, bytes]:
    """The files of the record in this folder."""
    found = (folder / name for name in RECORD_PARTS)
    files = [file for path in found for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def content_of(run: Run, folder: Path) -> dict[str, bytes]:
    """The files of the record that this run leaves where there is none."""
    return content(export_record(run, folder_aside(folder, left_as=folder)))


def replies(folder: Path) -> list[str]:
    return [trial.reply.text for trial in load_run(folder).trials if trial.reply]


def aside_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.parent.iterdir() if path.name.startswith(f"{folder.name}-2"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_notebook(tmp_path / "try.ipynb", CELLS)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join((str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")))
    )
    return tmp_path


@pytest.fixture
def run() -> Run:
    return gradable(make_run(BASE))


def without_a_reply(run: Run) -> Run:
    return replace(run, trials=(run.trials[0].replace(reply=None, scores={}), *run.trials[1:]))


def with_another_reply(run: Run) -> Run:
    first = run.trials[0]
    assert first.reply is not None
    return replace(run, trials=(first.replace(reply=replace(first.reply, text="another")), *run.trials[1:]))


def with_another_agent(run: Run) -> Run:
    return replace(run, variants={"base": run.variants["base"].replace(description="Of another.")})


def with_other_promises(run: Run) -> Run:
    return replace(run, tasks=tuple(replace(task, graders=()) for task in run.tasks))


def with_fewer_tasks(run: Run) -> Run:
    return replace(run, tasks=run.tasks[:1], trials=tuple(t for t in run.trials if t.task_id == run.tasks[0].id))


def with_fewer_repeats(run: Run) -> Run:
    return replace(run, repeats=1, trials=tuple(t for t in run.trials if t.repeat == 0))


@pytest.mark.parametrize(
    "other",
    [
        without_a_reply,
        with_another_reply,
        with_another_agent,
        with_other_promises,
        with_fewer_tasks,
        with_fewer_repeats,
    ],
)
def test_a_record_that_holds_what_the_new_one_has_not_is_moved_aside_whole(
    other: Callable[[Run], Run], run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = export_record(run, tmp_path / "left")
    (folder / "report").mkdir()
    (folder / "mine.txt").write_text("A file of the user's.")
    export_record(other(run), folder)

    [aside] = aside_of(folder)
    assert content(aside) == content_of(run, tmp_path) and (aside / "report").is_dir()
    assert content(folder) == content_of(other(run), tmp_path) and not (folder / "report").exists()
    assert (folder / "mine.txt").exists()
    assert f"{folder} held the record of another run, which is now in {aside}" in caplog.text


@pytest.mark.parametrize("earlier", [without_a_reply, lambda run: run])
def test_a_record_of_the_same_plan_is_brought_up_to_date_in_place(
    earlier: Callable[[Run], Run], run: Run, tmp_path: Path
) -> None:
    folder = export_record(earlier(run), tmp_path / "left")
    export_record(run, folder)

    assert content(folder) == content_of(run, tmp_path) and aside_of(folder) == []


def test_a_record_that_was_damaged_is_moved_aside_as_it_is(run: Run, tmp_path: Path) -> None:
    folder = export_record(run, tmp_path / "left")
    (folder / "trials.jsonl").write_text("half a li")
    export_record(run, folder)

    [aside] = aside_of(folder)
    assert (aside / "trials.jsonl").read_text() == "half a li" and content(folder) == content_of(run, tmp_path)


@pytest.mark.parametrize("before", ["nothing", "same plan", "another"])
def test_whoever_is_killed_at_any_step_leaves_the_record_of_before_or_the_new_one(before: str, tmp_path: Path) -> None:
    """And whoever writes next takes up what was begun: the old one is kept once, and whole."""
    program = [sys.executable, "-m", "tests.record_kills", before, str(tmp_path)]
    ended = subprocess.run(program, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 15, "its steps were seen"


@pytest.mark.parametrize("count", [2, 5])
def test_records_that_are_left_at_the_same_moment_are_all_kept(count: int, tmp_path: Path) -> None:
    folder, together = tmp_path / "left", threading.Barrier(count)
    runs = [gradable(make_run({"base": passes((number, 5))})) for number in range(count)]

    def export(run: Run) -> None:
        together.wait()
        export_record(run, folder)

    with ThreadPoolExecutor(count) as threads:
        list(threads.map(export, runs))

    kept = [folder, *aside_of(folder)]
    assert sorted(replies(each).count("yes") for each in kept) == sorted(replies_of(run) for run in runs)


def replies_of(run: Run) -> int:
    return sum(trial.reply is not None and trial.reply.text == "yes" for trial in run.trials)


@pytest.mark.parametrize("name", ["systems/my notes.txt", "judged/mine.jsonl", "agents/mine.md", "follow_ups.jsonl"])
@pytest.mark.parametrize("other", [lambda run: run, with_another_reply, without_a_reply])
def test_files_of_the_users_own_stay_in_the_folder_of_a_record(
    name: str, other: Callable[[Run], Run], run: Run, tmp_path: Path
) -> None:
    folder = export_record(run, tmp_path / "left")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"Mine.")
    export_record(other(run), folder)

    assert (folder / name).read_bytes() == b"Mine."
    assert replies(folder) == [trial.reply.text for trial in other(run).trials if trial.reply]


def test_a_file_of_the_users_own_in_the_place_of_one_of_the_record_is_moved_aside(run: Run, tmp_path: Path) -> None:
    folder = export_record(run, tmp_path / "left")
    (folder / "agents" / "another.md").write_bytes(b"Mine.")
    agent = run.variants["base"]
    export_record(replace(run, variants={"base": agent, "another": agent}), folder)

    [aside] = aside_of(folder)
    assert (aside / "agents" / "another.md").read_bytes() == b"Mine."
    assert load_run(aside).variants.keys() == {"base"} and load_run(folder).variants.keys() == {"base", "another"}


@pytest.mark.parametrize("name", ["agents", "systems", "judged", "tasks.jsonl", "run.json"])
def test_nothing_is_written_or_removed_through_a_link(name: str, run: Run, tmp_path: Path) -> None:
    folder = export_record(run, tmp_path / "left")
    mine = tmp_path / "mine"
    if (folder / name).exists():
        (folder / name).rename(mine)
    else:
        mine.mkdir()
    (folder / name).symlink_to(mine)
    before = content(mine) if mine.is_dir() else mine.read_bytes()

    with pytest.raises(RecordError, match=f"has the link '{name}' in the place of a part of the record; remove it or"):
        export_record(with_another_agent(run), folder)
    assert (content(mine) if mine.is_dir() else mine.read_bytes()) == before


def half_done(run: Run, folder: Path) -> Path:
    """The record of this run where it waits, as after a process that was killed before the first file took its place."""
    export_record(run, folder)
    waiting = folder / ".record-new"
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        name = path.relative_to(folder).as_posix()
        target = waiting / ("about.json" if name == "run.json" else name)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    return waiting


def all_below(folder: Path) -> dict[str, bytes | str]:
    paths = {path: path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    files = {name: path.read_bytes() for path, name in paths.items() if path.is_file() and not path.is_symlink()}
    return files | {name: str(path.readlink()) for path, name in paths.items() if path.is_symlink()}


def test_what_waits_takes_its_place_where_it_is_whole(run: Run, tmp_path: Path) -> None:
    half_done(run, tmp_path / "left")
    write_record_folder(tmp_path / "left")

    assert content(tmp_path / "left") == content_of(run, tmp_path)


def lists_nothing(waiting: Path) -> None:
    (waiting / "about.json").write_text('{"format": 1, "files": []}')


def beside(name: str) -> Callable[[Path], None]:
    def add(waiting: Path) -> None:
        (waiting / name).parent.mkdir(parents=True, exist_ok=True)
        (waiting / name).write_text("Theirs.")

    return add


def listed(name: str) -> Callable[[Path], None]:
    """A file that no record can have, listed with its hash."""

    def add(waiting: Path) -> None:
        beside(name)(waiting)
        about = json.loads((waiting / "about.json").read_text())
        about["files"][name] = {"sha256": hashlib.sha256(b"Theirs.").hexdigest()}
        (waiting / "about.json").write_text(json.dumps(about))

    return add


def says(about: bytes) -> Callable[[Path], None]:
    return lambda waiting: (waiting / "about.json").write_bytes(about) and None


def a_link(name: str) -> Callable[[Path], None]:
    def lead_away(waiting: Path) -> None:
        target = waiting.parents[1] / "elsewhere"
        if (waiting / name).exists():
            (waiting / name).rename(target)
        else:
            target.mkdir()
        (waiting / name).symlink_to(target)

    return lead_away


def without_one(waiting: Path) -> None:
    (waiting / "trials.jsonl").unlink()


def of_another(waiting: Path) -> None:
    beside("agents/base.md")(waiting)


def over_a_file_of_the_users(waiting: Path) -> None:
    (waiting.parent / "agents").mkdir(exist_ok=True)
    (waiting.parent / "agents" / "base.md").write_text("Mine.")


def a_pipe(name: str) -> Callable[[Path], None]:
    """Whoever opens it waits for somebody who writes."""

    def add(waiting: Path) -> None:
        (waiting / name).unlink(missing_ok=True)
        os.mkfifo(waiting / name)

    return add


def a_socket(waiting: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(waiting / "agents" / "x"))  # as a whole, the path would be too long for one


def a_folder(name: str) -> Callable[[Path], None]:
    return lambda waiting: (waiting / name).unlink() or (waiting / name).mkdir()


PLANTED: dict[str, Callable[[Path], None]] = {
    "lists nothing": lists_nothing,
    "a file beside": beside("notes.md"),
    "a hook": listed(".git/hooks/post-checkout"),
    "a listed note": listed("notes.md"),
    "a second agent": beside("agents/evil.md"),
    "a deeper folder": listed("agents/more/evil.md"),
    "an empty object": says(b"{}"),
    "no JSON": says(b"not json"),
    "a list": says(b"[]"),
    "a number of files": says(b'{"files": 3}'),
    "deep": says(b"[" * 100_000),
    "names that are none": says(b'{"files": {"agents/a\\u0000b": {"sha256": "0"}}}'),
    "half a character": says(b'{"files": {"agents/\\ud800": {"sha256": "0"}}}'),
    "a long name": says(b'{"files": {"agents/%s": {"sha256": "0"}}}' % (b"a" * 5000)),
    "a linked folder": a_link("agents"),
    "a linked file": a_link("tasks.jsonl"),
    "a linked about.json": a_link("about.json"),
    "a file less": without_one,
    "another file": of_another,
    "over a file of the user's": over_a_file_of_the_users,
    "a pipe for about.json": a_pipe("about.json"),
    "a pipe for a file": a_pipe("trials.jsonl"),
    "a pipe beside": a_pipe("agents/evil.md"),
    "a socket beside": a_socket,
    "a folder for about.json": a_folder("about.json"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_waits_and_is_no_whole_record_moves_nothing(name: str, run: Run, tmp_path: Path) -> None:
    waiting = half_done(run, tmp_path / "left")
    (tmp_path / "left" / "notes.md").write_text("Mine.")
    PLANTED[name](waiting)
    before = all_below(tmp_path)

    with pytest.raises(RecordError, match=r"left: .*\.record-new.*; remove '?\.record-new'? or name another folder"):
        write_record_folder(tmp_path / "left")
    assert all_below(tmp_path) == before


@pytest.mark.parametrize("name", [".record-new", ".record-part"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "file"])
def test_what_waits_is_a_folder_of_its_own(name: str, kind: str, run: Run, tmp_path: Path) -> None:
    folder = export_record(run, tmp_path / "left")
    if kind == "file":
        (folder / name).write_text("Mine.")
    else:
        (folder / name).symlink_to(tmp_path / "elsewhere")
    if kind == "link":
        beside("thesis.tex")(tmp_path / "elsewhere")
        beside("about.json")(tmp_path / "elsewhere")
    before = all_below(tmp_path)

    with pytest.raises(RecordError, match=rf"'{name}'.*; remove it or name another folder"):
        export_record(with_another_reply(run), folder)
    assert all_below(tmp_path) == before


def test_nothing_is_finished_through_a_linked_folder_of_the_record(run: Run, tmp_path: Path) -> None:
    agents = tmp_path / "agents"
    half_done(run, tmp_path / "left")
    beside("reviewer.md")(agents)
    (tmp_path / "left" / "agents").rmdir()
    (tmp_path / "left" / "agents").symlink_to(agents)
    (tmp_path / "left" / "run.json").write_text(
        json.dumps({"format": 1, "variants": [], "files": ["agents/reviewer.md"]})
    )
    before = all_below(tmp_path)

    with pytest.raises(RecordError, match="has the link 'agents' in the place of a part of the record; remove it or"):
        write_record_folder(tmp_path / "left")
    assert all_below(tmp_path) == before
    with pytest.raises(RecordError, match="has the link 'agents'"):
        remove_files(tmp_path / "left", ["agents/reviewer.md"])
    assert all_below(tmp_path) == before


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\ud800", "a" * 5000, "\x9bb"])
def test_a_name_that_no_record_can_have_blocks_no_folder(name: str, run: Run, tmp_path: Path) -> None:
    folder = export_record(run, tmp_path / "left")
    about = json.loads((folder / "run.json").read_text())
    about["files"][f"agents/{name}"] = {"sha256": "0" * 64}
    (folder / "run.json").write_text(json.dumps(about))
    export_record(with_another_reply(run), folder)

    assert "another" in replies(folder) and len(aside_of(folder)) == 1


def test_a_folder_of_the_users_in_the_place_of_a_file_of_a_record_is_not_removed(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "left"
    half_done(run, folder)
    (folder / "agents" / "mine").mkdir()
    (folder / "agents" / "mine" / "kept.md").write_text("Mine.")
    (folder / "run.json").write_text(json.dumps({"format": 1, "variants": [], "files": ["agents/mine"]}))
    write_record_folder(folder)

    assert (folder / "agents" / "mine" / "kept.md").read_text() == "Mine."
    assert load_run(folder).tasks == run.tasks


@pytest.mark.parametrize("name", ["run.json", "tasks.jsonl", "agents/base.md"])
def test_a_pipe_in_the_place_of_a_file_of_a_record_is_not_waited_for(name: str, run: Run, tmp_path: Path) -> None:
    folder = export_record(run, tmp_path / "left")
    (folder / name).unlink()
    os.mkfifo(folder / name)

    if name == "run.json":
        with pytest.raises(RecordError, match="but no record of a run; name another folder"):
            export_record(with_another_reply(run), folder)
    else:
        export_record(with_another_reply(run), folder)
        assert content(folder) == content_of(with_another_reply(run), tmp_path)
        [aside] = aside_of(folder)
        assert (aside / name).is_fifo()


def test_a_second_name_of_a_file_of_the_users_is_not_written_over(run: Run, tmp_path: Path) -> None:
    folder = export_record(run, tmp_path / "left")
    mine = tmp_path / "mine.txt"
    mine.write_text("Mine.")
    for name in ("tasks.jsonl", "trials.jsonl", "agents/base.md"):
        (folder / name).unlink()
        os.link(mine, folder / name)
    export_record(with_another_reply(run), folder)

    assert mine.read_text() == "Mine."
    assert content(folder) == content_of(with_another_reply(run), tmp_path)


@pytest.mark.parametrize(
    "name", ["run.json", "tasks.jsonl", "agents/base.md", ".record-new", ".record-new/tasks.jsonl"]
)
def test_a_link_that_leads_to_itself_is_no_file_of_a_record(name: str, run: Run, tmp_path: Path) -> None:
    folder = export_record(run, tmp_path / "left")
    (folder / name).unlink(missing_ok=True)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to((folder / name).name)

    if name == ".record-new":
        assert load_run(folder).tasks == run.tasks
    else:
        with pytest.raises(RecordError, match="no regular file|cannot be read"):
            load_run(folder)


@pytest.mark.parametrize("which", ["agents", "trials.jsonl"])
def test_a_record_of_which_links_lead_back_is_not_taken_for_the_one_moved_aside(
    which: str, run: Run, tmp_path: Path
) -> None:
    folder = export_record(run, tmp_path / "left")
    before = content(folder)
    there = folder_aside(folder, left_as=folder / "run.json")
    there.mkdir()
    for path in folder.iterdir():
        if path.name == which:
            (there / path.name).symlink_to(path)
        else:
            subprocess.run(["cp", "-a", str(path), str(there)], check=True)
    export_record(with_another_reply(run), folder)

    assert content(there.with_name(f"{there.name}-1")) == before


@pytest.mark.parametrize("leads", [True, False])
def test_a_link_in_the_place_of_what_is_being_moved_aside_is_not_followed(
    leads: bool, run: Run, tmp_path: Path
) -> None:
    folder = export_record(run, tmp_path / "left")
    before = content(folder)
    aside, elsewhere = folder_aside(folder, left_as=folder / "run.json"), tmp_path / "elsewhere"
    aside.with_name(f".{aside.name}.part").symlink_to(elsewhere)
    if leads:
        beside("thesis.tex")(elsewhere)
    export_record(with_another_reply(run), folder)

    assert content(aside) == before
    assert list(elsewhere.iterdir()) == [elsewhere / "thesis.tex"] if leads else not elsewhere.exists()


@pytest.mark.parametrize("name", ["executed.ipynb", "executed.ipynb.unfinished"])
def test_no_notebook_is_written_through_a_link(name: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("Mine.")
    (tmp_path / name).symlink_to(mine)
    write_whole(tmp_path / "executed.ipynb", "{}")

    assert mine.read_text() == "Mine."
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"mine.txt": "Mine.", "executed.ipynb": "{}"}


def test_a_record_that_a_link_stands_for_is_not_taken_for_the_one_moved_aside(run: Run, tmp_path: Path) -> None:
    folder = export_record(run, tmp_path / "left")
    there = folder_aside(folder, left_as=folder / "run.json")
    there.symlink_to(folder)

    assert folder_aside(folder, left_as=folder / "run.json", holding=RECORD_PARTS).name == f"{there.name}-1"


def test_an_error_without_a_reason_says_what_happened(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("Cannot call rmtree on a symbolic link")

    monkeypatch.setattr(os, "replace", fail)
    monkeypatch.setattr(Path, "replace", fail)

    with pytest.raises(RecordError, match="cannot be written: Cannot call rmtree on a symbolic link"):
        export_record(run, tmp_path / "left")


def test_a_record_that_lists_files_of_others_removes_none_of_them(run: Run, tmp_path: Path) -> None:
    folder = export_record(run, tmp_path / "left")
    (tmp_path / "mine.txt").write_text("Mine.")
    (folder / "mine.txt").write_text("Mine.")
    about = json.loads((folder / "run.json").read_text())
    listed = ["../mine.txt", "mine.txt", "agents/../../mine.txt", str(tmp_path / "mine.txt"), "agents/.."]
    about["files"] |= {name: {"sha256": "0" * 64} for name in listed}
    (folder / "run.json").write_text(json.dumps(about))
    export_record(run, folder)

    assert (tmp_path / "mine.txt").exists() and (folder / "mine.txt").exists()
    assert load_run(folder).tasks == run.tasks


def test_a_record_on_another_volume_is_moved_aside(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = export_record(run, tmp_path / "left")
    (folder / "report").mkdir()
    before = content(folder)
    for name in ("rename", "replace", "link"):
        monkeypatch.setattr(os, name, refused_between(folder, getattr(os, name)))
    export_record(with_another_reply(run), folder)

    [aside] = aside_of(folder)
    assert content(aside) == before and (aside / "report").is_dir()
    assert "another" in replies(folder)


def refused_between(volume: Path, change: Callable[..., None]) -> Callable[..., None]:
    def refusing(source: str | Path, target: str | Path, **how: object) -> None:
        if Path(source).is_relative_to(volume) != Path(target).is_relative_to(volume):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        change(source, target, **how)

    return refusing


def test_a_record_whose_neighbours_cannot_be_written_is_moved_aside_within_its_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export_record(run, tmp_path / "left")
    before = content(folder)
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path and allowed(path, mode))
    export_record(with_another_reply(run), folder)

    assert aside_of(folder) == []
    [aside] = [path for path in folder.iterdir() if path.name.startswith("left-2")]
    assert content(aside) == before and "another" in replies(folder)


def test_a_folder_that_no_record_can_be_left_in_is_found_out_before_the_notebook_runs(project: Path) -> None:
    out = project / "outputs/left"
    (out / "agents").mkdir(parents=True)
    write_notebook(project / "try.ipynb", CELLS | {"run": "open('it_ran', 'w')"})

    with pytest.raises(RecordError, match="holds 'agents', but no record of a run; name another folder"):
        run_it(project, count=1)
    assert not (project / "it_ran").exists()


def test_two_of_one_second_have_folders_of_their_own(run: Run, tmp_path: Path) -> None:
    folder = export_record(run, tmp_path / "left")
    first = folder_aside(folder, left_as=folder / "run.json")
    first.mkdir()

    assert folder_aside(folder, left_as=folder / "run.json").name == f"{first.name}-1"


def run_it(project: Path, **parameters: object) -> None:
    run_notebook(project / "try.ipynb", out=project / "outputs/left", parameters=parameters, progress=False)


def batch_it(project: Path, **parameters: object) -> None:
    given = ", ".join(f"{name}: {value}" for name, value in parameters.items())
    plan = f"out: outputs\nnotebooks:\n  - {{notebook: try.ipynb, name: left, parameters: {{{given}}}}}\n"
    (project / "plan.yaml").write_text(plan)
    batch = run_batch(load_batch(project / "plan.yaml"), progress=False, say=lambda _: None)
    assert batch.is_complete


@pytest.mark.parametrize("way", [run_it, batch_it])
def test_a_run_and_a_batch_keep_the_record_the_notebook_and_the_page_of_another(
    way: Callable[..., None], project: Path
) -> None:
    out = project / "outputs/left"
    way(project, count=1)
    way(project, count=1)
    assert aside_of(out) == []
    page = (out / "try.html").read_text()
    way(project, count=3)

    [aside] = aside_of(out)
    assert (replies(aside).count("yes"), replies(out).count("yes")) == (5, 7)
    assert (printed_by(aside / "try.ipynb", "run"), printed_by(out / "try.ipynb", "run")) == ("count 1\n", "count 3\n")
    assert (aside / "try.html").read_text() == page


def test_a_run_that_fails_replaces_none_that_came_to_its_end(project: Path) -> None:
    out = project / "outputs/left"
    run_it(project, count=1)
    with pytest.raises(NotebookFailed):
        run_it(project, count=1, fails=True)

    [aside] = aside_of(out)
    assert replies(aside).count("yes") == 5 and (aside / "try.html").exists()
    assert not (out / "run.json").exists() and (out / "try.ipynb").exists()


def test_a_run_that_fails_behind_its_record_replaces_no_notebook_that_came_to_its_end(project: Path) -> None:
    out = project / "outputs/left"
    write_notebook(project / "try.ipynb", CELLS | {"end": "assert True"})
    run_it(project, count=1)
    write_notebook(project / "try.ipynb", CELLS | {"end": "assert False"})
    with pytest.raises(NotebookFailed):
        run_it(project, count=1)

    [aside] = aside_of(out)
    assert (aside / "try.ipynb").exists() and (aside / "try.html").exists()
    assert replies(out).count("yes") == 5, "the record is of the same plan, and stays where it is"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_page_that_is_none_of_ours_is_not_written_over(project: Path, is_there: bool) -> None:
    out = project / "outputs/left"
    if is_there:
        run_it(project, count=1)
    out.mkdir(parents=True, exist_ok=True)
    (out / "try.html").write_text("<p>Mine.</p>")
    run_it(project, count=1)

    [aside] = aside_of(out)
    assert (aside / "try.html").read_text() == "<p>Mine.</p>"
    assert replies(out).count("yes") == 5 and "<p>Mine.</p>" not in (out / "try.html").read_text()


@pytest.mark.parametrize("mine", ["{}", "no notebook"])
def test_a_notebook_that_is_none_of_ours_is_not_written_over(project: Path, mine: str) -> None:
    out = project / "outputs/left"
    out.mkdir(parents=True)
    (out / "try.ipynb").write_text(mine)
    run_it(project, count=1)

    [aside] = aside_of(out)
    assert (aside / "try.ipynb").read_text() == mine
    assert replies(out).count("yes") == 5


def test_notebook_without_a_record_is_kept_beside_one_that_ran_with_something_else(project: Path) -> None:
    write_notebook(project / "plain.ipynb", {"parameters": "word: str = 'a'", "say": "print(word)"})
    for word in ("a", "a", "b"):
        run_notebook(project / "plain.ipynb", out=project / "outputs/plain", parameters={"word": word}, progress=False)

    [aside] = aside_of(project / "outputs/plain")
    assert printed_by(aside / "plain.ipynb", "say") == "a\n"
    assert printed_by(project / "outputs/plain/plain.ipynb", "say") == "b\n"
