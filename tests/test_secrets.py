"""One scrubber for every writer: what it takes out, what it leaves alone, and that nothing gets past it."""

from __future__ import annotations

import base64
import html
import json
import os
import random
import re
import sqlite3
import stat
import string
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote, quote_plus

import markupsafe
import pyarrow
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from tests.messages_server import serve
from tests.written_notebooks import write_notebook
from workbench import key_forms
from workbench.cli import main
from workbench.errors import NotebookFailed, ParameterError
from workbench.headless.notebook import run_notebook
from workbench.markup import markdown_text
from workbench.secrets import (
    REMOVED,
    bytes_without_secrets,
    looks_secret,
    secrets_of,
    value_without_secrets,
    without_secrets,
)

PRIVATE = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1234567890abcdef\nabcdef0123\n-----END RSA PRIVATE KEY-----"
CANARIES = {
    "a variable": "canary-in-a-variable/42",
    "an address": "canary-p4ssw0rd",
    "a header": "canary-header-value",
    "a parameter": "sk-ant-canary-parameter-000001",
    "a widget": "canary-in-a-password-field-77",
    "an exception": "ghp_canaryException000000000000000000001",
    "a reply": "sk-ant-canary-reply-000002",
    "an agent": "sk-ant-canary-agent-000003",
    "a task": "canary-task-p4ss",
}
ENVIRONMENT = {
    "CANARY_TOKEN": CANARIES["a variable"],
    "CANARY_DATABASE": f"postgresql://me:{CANARIES['an address']}@127.0.0.1/x",
    "CANARY_HEADERS": f"X-One: Custom {CANARIES['a header']}",
    "WIDGET_PASSWORD": CANARIES["a widget"],
}


@pytest.mark.parametrize(
    "text",
    [
        "sk-ant-api03-Zx8Qw2Lm9RtY4uPa7KdF",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "AKIA" + "2E0A8F3B244C9986",
        "Bearer 9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "Authorization: Basic bWU6c2VjcmV0cGFzcw==",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "sk_" + "live_51HxQ2bKz0aB3cD4eF5gH6iJ",
        "ya29.a0AfH6SMBx7Q2wE9rT5yU8iO",
        "SG.Zx8Qw2Lm9RtY4uPa7KdF.k8Fq3zRt7Yp2WxLm9Vb4Nc6H",
        PRIVATE,
        json.dumps(PRIVATE)[1:-1],
    ],
)
def test_key_of_a_known_kind_is_taken_out_of_what_surrounds_it(text: str) -> None:
    clean = without_secrets(f"before {text} after", {})

    assert clean == f"before {REMOVED} after"
    assert without_secrets(clean, {}) == clean


def test_password_is_taken_out_of_an_address_and_the_address_stays() -> None:
    assert without_secrets("see postgresql://me:hunter2@127.0.0.1/x", {}) == f"see postgresql://{REMOVED}@127.0.0.1/x"
    assert without_secrets("see http://localhost:11434/v1 or a@b.example", {}) == (
        "see http://localhost:11434/v1 or a@b.example"
    )


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://h.example/v1?api_key=q7f2vx9kpl4st8wz&page=2", f"https://h.example/v1?api_key={REMOVED}&page=2"),
        (
            "https://h.example/?a=1&X-Amz-Signature=" + "9f86d081" * 8,
            f"https://h.example/?a=1&X-Amz-Signature={REMOVED}",
        ),
        ("https://" + "9f86d081" * 4 + "@h.example/1", f"https://{REMOVED}@h.example/1"),
        ("AccountKey=" + "aB3/" * 12 + "==;Suffix=x", f"AccountKey={REMOVED};Suffix=x"),
        ("https://h.example/?token=YOUR_TOKEN_GOES_HERE&key=value1", None),
        ("https://h.example/?q=monkey&sort_key=created_at_2026", None),
    ],
)
def test_key_is_taken_out_of_an_address_by_its_place_in_it(text: str, clean: str | None) -> None:
    assert without_secrets(text, {}) == (clean or text)
    assert without_secrets(without_secrets(text, {}), {}) == (clean or text)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("PGPASSWORD", "correct horse", "correct horse"),
        ("SMTP_PASS", "correct horse", "correct horse"),
        ("SENTRY_DSN", "https://9f86d081884c7d659a2feaa0c55ad015@o1.example/7", "9f86d081884c7d659a2feaa0c55ad015"),
        ("HOOK_URL", "https://h.example/?private_token=q7f2vx9kpl4st8wz", "q7f2vx9kpl4st8wz"),
        ("AZURE_STORAGE_CONNECTION_STRING", "AccountName=x;AccountKey=q7f2vx9k/pl4==;Suffix=y", "q7f2vx9k/pl4=="),
    ],
)
def test_variable_whose_name_or_form_tells_of_a_secret_is_taken_out(name: str, value: str, secret: str) -> None:
    assert secret in dict(secrets_of({name: value}))
    assert without_secrets(f"<{secret}>", {name: value}) == f"<[{name}]>"


def test_aws_secret_is_taken_out_by_its_name() -> None:
    text = "aws_secret_access_key = " + "q7Zf/x2Vn8Kd+3LmWc9TgYb5RhJ0sPuAeQ1iNo4X"

    assert without_secrets(text, {}) == f"aws_secret_access_key = {REMOVED}"


def test_begin_of_a_private_key_alone_takes_no_prose_with_it() -> None:
    text = '["look for -----BEGIN PRIVATE KEY----- in files", "then for -----END PRIVATE KEY-----"]'

    assert without_secrets(text, {}) == text
    assert (
        without_secrets(f"before {PRIVATE.partition('-----END')[0]}\nand more", {})
        == f"before {REMOVED}\nabcdef0123\n\nand more"
    )


@pytest.mark.parametrize(
    "form",
    [
        str,
        lambda secret: quote(secret, safe=""),
        quote_plus,
        html.escape,
        lambda secret: html.escape(secret, quote=False),
        lambda secret: str(markupsafe.escape(secret)),
        lambda secret: json.dumps(secret)[1:-1],
        lambda secret: repr(secret)[1:-1],
        lambda secret: base64.b64encode(secret.encode()).decode(),
    ],
    ids=[
        "itself",
        "in an address",
        "in a query",
        "on a page",
        "in a table",
        "in a template",
        "in JSON",
        "in Python",
        "in base64",
    ],
)
def test_value_of_a_secret_variable_is_replaced_by_its_name_in_whatever_form(form) -> None:  # type: ignore[no-untyped-def]
    secret = 'it\'s <"mine">\\n & long/é'

    assert without_secrets(f"<{form(secret)}>", {"MY_TOKEN": secret}) == "<[MY_TOKEN]>"


def test_headers_and_addresses_of_the_environment_hold_secrets_too() -> None:
    found = {secret for secret, _ in secrets_of(ENVIRONMENT)}

    assert {CANARIES["a variable"], CANARIES["an address"], CANARIES["a header"], CANARIES["a widget"]} <= found


@pytest.mark.parametrize(
    "environment",
    [
        {"ANTHROPIC_API_KEY": "none"},
        {"SSL_KEY": "/etc/ssl/private/host.pem"},
        {"KEYBOARD": "a long enough value"},
        {"PATH": "/usr/local/bin:/usr/bin"},
        {"DATABASE_URL": "postgresql://postgres@db.example/postgres?application_name=workbench-2026"},
        {"SSH_ASKPASS": "ksshaskpass-5.27"},
    ],
)
def test_short_words_files_and_other_variables_are_no_secrets(environment: dict[str, str]) -> None:
    assert secrets_of(environment) == ()


def test_every_text_of_a_value_is_looked_at() -> None:
    value = {"list": ["canary-in-a-variable/42", 1, None], "canary-in-a-variable/42": True}

    assert value_without_secrets(value, ENVIRONMENT) == {"list": ["[CANARY_TOKEN]", 1, None], "[CANARY_TOKEN]": True}


def test_bytes_that_are_no_text_come_back_as_they_were() -> None:
    assert bytes_without_secrets(b"\xff\x00 \xfe", {}) == b"\xff\x00 \xfe"
    assert bytes_without_secrets(b"\xff sk-ant-api03-Zx8Qw2 \xfe", {}) == b"\xff [key removed] \xfe"


def test_value_of_a_secret_variable_is_refused_as_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "correct horse battery")

    assert looks_secret("word", "it is correct horse battery")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with canaries in its agent and task, and in what answers."""
    folder = tmp_path / "project"
    (folder / "agents").mkdir(parents=True)
    (folder / "agents" / "leaky.md").write_text(
        f"---\nname: leaky\ndescription: Leaks\nmodel: haiku\n---\nYou know {CANARIES['an agent']}.\nAsk questions.\n"
    )
    (folder / "agents" / "leaky.tasks.yaml").write_text(
        f"- id: one\n  input: Look into http://me:{CANARIES['a task']}@db.example/x\n- id: two\n  input: Say it.\n"
    )
    monkeypatch.chdir(folder)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with serve() as server:
        text = f"The key is {CANARIES['a reply']}, the other {CANARIES['a variable']}."
        server.pieces = [text[:20], text[20:]]  # a key comes in two pieces
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        yield folder


CELLS = {
    "parameters": 'word: str = "fine"\nout: str = "out"\nledger: str = "ledger.sqlite"',
    "run": (
        "import os, workbench as wb\n"
        'agent = wb.load_agent("agents/leaky.md")\n'
        'tasks = wb.load_tasks("agents/leaky.tasks.yaml")\n'
        'variants = {"base": agent, "other": wb.without_lines(agent, "Ask")}\n'
        "plan = wb.plan_trials(variants, tasks, repeats=2, graders=wb.graders.standard())\n"
        "run = wb.run_trials(plan, ledger=ledger)\n"
        "for trial in run.trials:\n    print(trial.reply.text)"
    ),
    "record": "comparison = wb.compare(run, baseline='base')\nwb.export_record(run, out)\ncomparison",
    "report": "_ = wb.write_report(comparison, out + '/report')",
    "widget": (
        "import ipywidgets\n"
        "field = ipywidgets.Password(value=os.environ['WIDGET_PASSWORD'])\n"
        "display(field)\nprint(field.value)"
    ),
    "environment": "print(dict(os.environ))",
    "warning": "import logging, warnings\nlogging.warning(os.environ['CANARY_TOKEN'])\nwarnings.warn(os.environ['CANARY_DATABASE'])",
    "agent": "print(agent.prompt, plan)",
    "exception": "key = 'ghp_canaryException' + '000000000000000000001'\nraise ValueError(f'{key} {os.environ}')",
}


QUICK = ("parameters", "run", "widget", "environment", "warning", "agent", "exception")
"""The cells that take no long time."""


def found_in(folder: Path, *, ignored: tuple[str, ...]) -> dict[str, list[str]]:
    """Which canary is in which file below a folder."""
    return {
        name: hit
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (name := path.relative_to(folder).as_posix()) not in ignored
        and (hit := [where for where, canary in CANARIES.items() if canary in contents(path)])
    }  # fmt: skip


def contents(path: Path) -> str:
    """All that is in a file: its bytes as text, and what is packed in a database or a Parquet file."""
    text = path.read_bytes().decode("utf-8", "replace")
    if path.suffix == ".sqlite":
        with closing(sqlite3.connect(path)) as database:
            tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
            rows = [value for name in tables for row in database.execute(f'select * from "{name}"') for value in row]
        text += "".join(_unpacked(value) if isinstance(value, bytes) else str(value) for value in rows)
    if path.suffix == ".parquet":
        table = parquet.read_table(path)
        text += f"{table.to_pylist()} {table.schema.metadata}"
    return text


def _unpacked(content: bytes) -> str:
    with suppress(zlib.error):
        content = zlib.decompress(content)
    return content.decode("utf-8", "replace")


SOURCES = ("agents/leaky.md", "agents/leaky.tasks.yaml")
LEDGERS = ("ledger.sqlite", "outputs/ledger.sqlite")
"""What was asked and said is kept there as it was; nobody but their user may read them."""


def assert_nobody_else_reads_the_ledgers(project: Path) -> None:
    for path in (project / name for name in LEDGERS):
        if path.exists():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_canary_is_in_any_file_that_is_written(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    notebook = write_notebook(project / "leaky.ipynb", CELLS)
    write_notebook(project / "quick.ipynb", {name: CELLS[name] for name in QUICK})

    with pytest.raises(NotebookFailed) as failure:
        run_notebook(notebook, out=project / "out", parameters={}, progress=False)
    (project / "plan.yaml").write_text(
        json.dumps({"out": "batch", "notebooks": [{"notebook": "quick.ipynb", "grid": {"word": ["a"]}}]})
    )
    said = [
        CliRunner().invoke(main, command.split()).output
        for command in (
            "report out --out reported",
            "review out out --html review.html --markdown",
            "gate out --baseline base --variant other",
            "batch plan.yaml --at-once 1",
            "check-notebooks out",
            "batch plan.yaml --estimate",
        )
    ]

    heard = "".join((str(failure.value), *said, *capfd.readouterr()))
    assert found_in(project, ignored=(*SOURCES, *LEDGERS)) == {}
    assert_nobody_else_reads_the_ledgers(project)
    assert [where for where, canary in CANARIES.items() if canary in heard] == []
    assert "raised ValueError" in heard
    written = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert {
        *("out/leaky.ipynb", "out/leaky.html", "out/trials.jsonl", "out/report/trials.csv", "ledger.sqlite"),
        *("reported/report.html", "reported/trials.parquet", "reported/junit.xml", "reported/summary.md"),
        *("review.html", "batch/index.html", "batch/index.md", "batch/quick-a/quick.html"),
    } <= written
    with closing(sqlite3.connect(project / "ledger.sqlite")) as ledger:
        (reply,) = set(ledger.execute("select text from attempts").fetchall())
    assert reply[0] == f"The key is {CANARIES['a reply']}, the other {CANARIES['a variable']}.", "as it was said"


def test_canary_would_be_found_in_every_kind_of_file(tmp_path: Path) -> None:
    canary = CANARIES["a reply"]
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as database:
        database.execute("create table packed (content)")
        database.execute("insert into packed values (?)", [zlib.compress(canary.encode())])
        database.commit()
    parquet.write_table(pyarrow.table({"text": [canary] * 9}), tmp_path / "b.parquet", compression="zstd")
    (tmp_path / "c.html").write_text(f"<b>{canary}</b>")

    assert set(found_in(tmp_path, ignored=())) == {"a.sqlite", "b.parquet", "c.html"}


def test_scrubbed_replies_are_replayed_as_they_were_seen(project: Path) -> None:
    cells = {name: CELLS[name] for name in ("parameters", "run", "record")}
    notebook = write_notebook(project / "leaky.ipynb", cells | {"again": "print([t.key for t in run.trials])"})

    files = []
    for _ in range(2):
        run_notebook(notebook, out="out", progress=False)
        files.append({path.name: path.read_bytes() for path in (project / "out").rglob("*") if path.is_file()})

    assert files[0] == files[1]
    assert {"leaky.ipynb", "leaky.html", "trials.jsonl"} <= set(files[0])


def test_canary_as_parameter_is_refused_and_named_nowhere(project: Path) -> None:
    notebook = write_notebook(project / "leaky.ipynb", CELLS)

    with pytest.raises(ParameterError, match="looks like a key") as refusal:
        run_notebook(notebook, out=project / "out", parameters={"word": CANARIES["a parameter"]})

    assert CANARIES["a parameter"] not in str(refusal.value)
    assert not (project / "out").exists()


@pytest.mark.parametrize("tool", ["workbench", "papermill"])
def test_no_canary_is_in_what_the_commands_say(project: Path, tool: str) -> None:
    notebook = write_notebook(project / "leaky.ipynb", {name: CELLS[name] for name in QUICK})
    command = {
        "workbench": [*("-m", "workbench", "run"), str(notebook), "--out", "out"],
        "papermill": [*("-m", "papermill", "--engine", "workbench", "--log-output"), str(notebook), "out.ipynb"],
    }[tool]

    done = subprocess.run(
        [sys.executable, *command], capture_output=True, cwd=project, env=dict(os.environ), check=False
    )

    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 1, said
    assert "ValueError" in said
    assert [where for where, canary in CANARIES.items() if canary in said] == []
    assert found_in(project, ignored=(*SOURCES, *LEDGERS)) == {}
    assert_nobody_else_reads_the_ledgers(project)


def test_no_picture_is_taken_for_a_key_and_what_stands_around_it_is_text() -> None:
    pixels = "iVBORw0KGgoAAAANSUhEUgAAAyAAAA/ciozB5eMzMJ0XzM1wVMG5mOeNUPiDW8OQtjTQlyi+j6UW1+gQf7L1XcyR=="
    key = "sk-ant-api03-Zx8Qw2Lm9RtY4uPa7KdF"
    shown = without_secrets(f'{key} <img src="data:image/png;base64,{pixels}"> {key}', {})

    assert without_secrets(pixels, {}) != pixels, "as a text it holds what looks like a key"
    assert f'<img src="data:image/png;base64,{pixels}">' in shown
    assert key not in shown
    assert key not in without_secrets(f"data:image/png;base64,{key}", {})


def test_a_key_is_seen_behind_the_escapes_of_markdown() -> None:
    key = "ghp_q1W2e3R4t5Y6u7I8o9P0a1S2d3F4g5H6j7K8"
    text = f"**a\\_b** | {markdown_text(key)} |\n| {markdown_text(f'API_KEY = {key}')} | \\*x\n"

    clean = value_without_secrets({"text/markdown": text, "text/plain": text}, {})

    assert clean["text/markdown"] == ("**a\\_b** | \\[key removed\\] |\n| API\\_KEY \\= \\[key removed\\] | \\*x\n")
    assert value_without_secrets(clean, {}) == clean
    assert value_without_secrets({"text/markdown": "a\\_b \\| c"}, {}) == {"text/markdown": "a\\_b \\| c"}


# What makes it fast changes nothing


_NAMES = (
    "api_key",
    "API-KEY",
    "x-goog-api-key",
    "Ocp-Apim-Subscription-Key",
    "secret",
    "SECRET_KEY",
    "ſecret",
    "toKen",
    "pass",
    "passphrase",
    "PWD",
    "credentials",
    "authorization",
    "Proxy-Authorization",
    "authorızation",
    "--my-very-own-long-subscription-key",
    "--token",
    "-u",
    "--user",
    "s.",
    "b.",
    "r.",
    "key",
    "monkey",
    "keykey",
    "İ",
    "subscription_key_12",
    "xtoken",
    "x-private-token",
)
_BETWEEN = ("=", ": ", " = ", "'] = '", '": "', "=>", ", ", '\\": \\"', ': str = "', "\n", ">", "&", "\\n", "--", "-")


def _made_up_settings(seed: int) -> str:
    drawn = random.Random(seed)

    def value() -> str:
        signs = drawn.choice((string.ascii_letters + string.digits, string.hexdigits.lower()[:16], "Ab1/+=:.-_~"))
        return "".join(drawn.choices(signs, k=drawn.choice((3, 8, 16, 24, 32, 40, 64))))

    parts = (lambda: drawn.choice(_NAMES), lambda: drawn.choice(_BETWEEN), value, lambda: "Bearer ")
    return "".join(drawn.choice(parts)() for _ in range(drawn.randrange(1, 24)))


@pytest.mark.parametrize("seed", range(20))
def test_values_are_found_where_a_name_stands_as_by_a_look_at_every_letter(seed: int) -> None:
    text = "\n".join(_made_up_settings(1_000 * seed + number) for number in range(200))

    for pattern, names in key_forms._NAMES_OF_VALUES:
        at_every_letter = pattern.compiled.sub(r"\1<\2>", text)
        found = key_forms._replaced_at(names, pattern.compiled, lambda found: f"{found[1]}<{found[2]}>", text)
        assert found == at_every_letter


def test_no_key_begins_with_letters_of_a_hash_alone() -> None:
    """What is one hash from end to end is asked nothing else."""
    begins = [begin for begin, _ in key_forms._BY_BEGIN]

    assert [begin for begin in begins if re.fullmatch(r"[0-9a-f]+", begin)] == []
    for _, form in key_forms._UNMARKED:
        assert not any(form.compiled.search(letters * 64) for letters in ("a", "0", "4b1d", "a0", "0123456789abcdef"))
    assert without_secrets("4b1d" + 15 * "0a1b") == "4b1d" + 15 * "0a1b"
