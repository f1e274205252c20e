"""The same trials in promptfoo and in Inspect AI, whole processes, in turn with ours on the same server.

`WORKBENCH_PEERS` names a folder that holds them; else they are looked for on the PATH. To install them there:

    npm install --prefix $WORKBENCH_PEERS/promptfoo promptfoo
    python -m venv $WORKBENCH_PEERS/inspect && $WORKBENCH_PEERS/inspect/bin/pip install inspect-ai anthropic
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks import workload
from tests.benchmarks.measure import Program, client, cpu_seconds, in_turn, median, peak_mb, ratio, seconds
from tests.benchmarks.server import counted, serve

TRIALS = int(os.environ.get("WORKBENCH_PEERS_TRIALS", "2000"))
AT_ONCE = 100
ROUNDS = 2


def main() -> None:
    for what, wait in (("50 ms", 0.05), ("1 s", 1.0)):
        _compare(f"{TRIALS} trials, {what}, {AT_ONCE} at once", TRIALS, wait)
    _compare("1 trial, 50 ms", 1, 0.05)
    _compare_again()


def _compare(title: str, trials: int, wait: float) -> None:
    with tempfile.TemporaryDirectory() as folder, serve(seconds=wait) as url:
        peers = _peers(Path(folder), url, trials, remembered=False)
        costs = in_turn({"ours": client("ours", trials, AT_ONCE, url), **peers}, rounds=ROUNDS)
    print(f"{title}:")
    for name, found in costs.items():
        print(
            f"  {name:<12} {median(found, seconds):6.1f} s wall, {median(found, cpu_seconds):6.1f} s CPU, "
            f"{median(found, peak_mb):4.0f} MB; this / ours {ratio(found, costs['ours'], seconds):.1f}"
        )


def _compare_again() -> None:
    with tempfile.TemporaryDirectory() as folder, serve() as url:
        peers = _peers(Path(folder), url, TRIALS, remembered=True)
        ours = client("again", TRIALS, AT_ONCE, url, ledger=Path(folder) / "ledger.sqlite")
        in_turn({"ours": ours, **peers}, rounds=1)
        before = counted(url).requests
        costs = in_turn({"ours": ours, **peers}, rounds=ROUNDS)
        sent = counted(url).requests - before
    print(f"{TRIALS} trials again, everything remembered (requests sent: {sent}):")
    for name, found in costs.items():
        print(f"  {name:<12} {median(found, seconds):6.2f} s; this / ours {ratio(found, costs['ours'], seconds):.1f}")


def _peers(folder: Path, url: str, trials: int, *, remembered: bool) -> Mapping[str, Program]:
    found = {}
    keys = {"ANTHROPIC_API_KEY": "none", "ANTHROPIC_BASE_URL": url}
    quiet = {
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
    }
    if promptfoo := _executable("promptfoo", "promptfoo/node_modules/.bin/promptfoo"):
        (folder / "promptfoo.json").write_text(json.dumps(_promptfoo(trials)), encoding="utf-8")
        options = ["-c", "promptfoo.json", "-j", str(AT_ONCE), "--no-table", "--no-progress-bar", "--no-share"]
        options += ["-o", "out.json"] + ([] if remembered else ["--no-cache"])
        environment = keys | quiet | {"PROMPTFOO_CONFIG_DIR": str(folder / "promptfoo")}
        found["promptfoo"] = Program(command=[promptfoo, "eval", *options], environment=environment, folder=folder)
    if inspect := _executable("inspect", "inspect/bin/inspect"):
        (folder / "inspect_task.py").write_text(_inspect(trials, remembered=remembered), encoding="utf-8")
        options = ["--model", f"anthropic/{workload.MODEL}", "--max-connections", str(AT_ONCE), "--display", "none"]
        environment = keys | {"INSPECT_LOG_DIR": str(folder / "logs"), "INSPECT_CACHE_DIR": str(folder / "inspect")}
        command = [inspect, "eval", "inspect_task.py", *options]
        found["Inspect AI"] = Program(command=command, environment=environment, folder=folder)
    if not found:
        sys.exit("neither promptfoo nor inspect is on the PATH or in the folder that WORKBENCH_PEERS names")
    return found


def _executable(name: str, inside: str) -> str | None:
    folder = os.environ.get("WORKBENCH_PEERS")
    path = Path(folder) / inside if folder else None
    return str(path) if path is not None and path.exists() else shutil.which(name)


def _promptfoo(trials: int) -> dict[str, object]:
    personas = min(workload.PERSONAS, trials)
    return {
        "prompts": [
            {
                "label": f"persona {number}",
                "raw": json.dumps(
                    [{"role": "system", "content": workload.persona(number)}, {"role": "user", "content": "{{task}}"}]
                ),
            }
            for number in range(personas)
        ],
        "providers": [{"id": f"anthropic:messages:{workload.MODEL}", "config": {"max_tokens": workload.MAX_TOKENS}}],
        "tests": [
            {"vars": {"task": workload.task(number)}, "assert": [{"type": "icontains", "value": "words"}]}
            for number in range(trials // personas)
        ],
    }


def _inspect(trials: int, *, remembered: bool) -> str:
    return textwrap.dedent(
        f"""
        from inspect_ai import Task, task
        from inspect_ai.dataset import MemoryDataset, Sample
        from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig
        from inspect_ai.scorer import includes
        from inspect_ai.solver import generate

        BODIES = {list(workload.bodies(trials))!r}

        @task
        def trials():
            samples = [
                Sample(
                    id=number,
                    input=[
                        ChatMessageSystem(content=body["system"]),
                        ChatMessageUser(content=body["messages"][0]["content"]),
                    ],
                    target="words",
                )
                for number, body in enumerate(BODIES)
            ]
            return Task(
                dataset=MemoryDataset(samples),
                solver=generate(cache={remembered}),
                scorer=includes(),
                config=GenerateConfig(max_tokens={workload.MAX_TOKENS}),
            )
        """
    )
