"""The examples of docs/scale.md, run as they stand there: each ends with the tables that one sync has.

What runs are the commands, in shells of this machine. No scheduler runs here: of Kubernetes, GitHub Actions and Airflow
the tests know what the files say, and Airflow's decorators are played by a stand-in.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from pipeline.emulator import RunningEmulator, running_emulator
from pipeline.errors import IncompleteError
from pipeline.threads.selection import Shard
from pipeline.warehouse.database import warehouse_path
from tests.contents import assert_same_contents
from tests.syncs import ROOT, environ_for, read_all, sync_here

DOC = (ROOT / "docs" / "scale.md").read_text("utf-8")


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running_emulator(threads=6, phase=1) as server:
        yield server


@pytest.fixture(scope="module")
def one(emulator: RunningEmulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one sync of the same threads brings."""
    data_dir = tmp_path_factory.mktemp("one")
    sync_here(emulator, data_dir)
    return data_dir


def example(heading: str) -> str:
    """The block of code below a heading."""
    [block] = re.findall(rf"^### {heading}\n.*?^```\w+\n(.*?)^```", DOC, re.DOTALL | re.MULTILINE)
    return str(block)


def start(command: str, folder: Path, server: RunningEmulator, **environ: str) -> subprocess.Popen[str]:
    """A shell command in a folder that has the ids, where `python` is the one that runs the tests."""
    folder.mkdir(exist_ok=True)
    (folder / "ids.txt").write_text("\n".join(server.corpus.thread_ids()))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        ["sh", "-c", command],
        cwd=folder,
        env=environ_for(server, **environ) | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(commands: Sequence[str], folder: Path, server: RunningEmulator, index: str = "INDEX") -> None:
    """All commands at the same time, each with its number in an environment variable, to a good end."""
    started = [start(command, folder, server, **{index: str(number)}) for number, command in enumerate(commands)]
    said = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0] * len(commands), said


def test_the_line_for_cron(emulator: RunningEmulator, one: Path, tmp_path: Path) -> None:
    fields = example("cron").strip().split(maxsplit=5)
    assert "%" not in fields[5]

    run([fields[5].replace("/srv/steps", str(tmp_path))], tmp_path, emulator)

    assert_same_contents(tmp_path / "all", one)


def test_the_line_for_cron_fails_with_a_shard_that_fails_and_loads_what_there_is(
    emulator: RunningEmulator, tmp_path: Path
) -> None:
    line = example("cron").strip().split(maxsplit=5)[5].replace("/srv/steps", str(tmp_path))
    ids = emulator.corpus.thread_ids()
    refused = next(thread_id for thread_id in ids if Shard(1, 2).takes(thread_id))
    emulator.set_faults([{"route": "list_runs", "match": {"thread_id": refused}, "fault": "status", "status": 400}])

    process = start(line, tmp_path, emulator)
    _, said = process.communicate()
    emulator.clear_faults()

    assert (process.returncode, said.count("incomplete")) == (IncompleteError.exit_code, 1), said
    synced = read_all(tmp_path / "all", "select thread_id from threads where status = 'synced' order by thread_id")
    assert [thread_id for (thread_id,) in synced] == sorted(set(ids) - {refused})


def test_the_jobs_of_every_day_for_kubernetes(emulator: RunningEmulator, one: Path, tmp_path: Path) -> None:
    jobs = [job["spec"] for job in yaml.safe_load_all(example("Kubernetes")) if job["kind"] == "CronJob"]
    shards, load = (job["jobTemplate"]["spec"] for job in jobs)
    commands = [spec["template"]["spec"]["containers"][0]["args"][0] for spec in (shards, load)]
    commands = [command.replace("/data", str(tmp_path)) for command in commands]

    run([commands[0]] * shards["completions"], tmp_path, emulator, "JOB_COMPLETION_INDEX")
    run([commands[1]], tmp_path, emulator)

    assert shards["completionMode"] == "Indexed"
    assert [(job["schedule"], job["concurrencyPolicy"]) for job in jobs] == [
        ("15 2 * * *", "Forbid"),
        ("15 6 * * *", "Forbid"),
    ]
    assert "`ReadWriteMany`" in DOC
    assert_same_contents(tmp_path / "all", one)


def test_the_matrix_for_github_actions(emulator: RunningEmulator, one: Path, tmp_path: Path) -> None:
    jobs = yaml.safe_load(example("GitHub Actions"))["jobs"]
    sync, load = (next(step["run"] for step in jobs[job]["steps"] if "name" in step) for job in ("shard", "load"))

    for number in jobs["shard"]["strategy"]["matrix"]["shard"]:
        run([sync.replace("${{ matrix.shard }}", str(number))], tmp_path / f"runner-{number}", emulator)
        # What the artifacts do: uploaded under a name, and all of them downloaded into one folder.
        (tmp_path / "shards").mkdir(exist_ok=True)
        (tmp_path / f"runner-{number}" / "data").rename(tmp_path / "shards" / f"shard-{number}")
    run([load], tmp_path, emulator)

    kept, uploaded = (
        next(step["with"]["path"] for step in jobs["load"]["steps"] if step.get("uses", "").startswith(action))
        for action in ("actions/cache@", "actions/upload-artifact@")
    )
    assert_same_contents(tmp_path / kept, one)
    assert tmp_path / uploaded == warehouse_path(tmp_path / kept)


class Task:
    """As much of an Airflow task as the example needs: its commands are kept by the name of the task."""

    def __init__(self, function: Callable[..., str], commands: dict[str, list[str]]) -> None:
        self.function = function
        self.commands = commands

    def expand(self, **values: Sequence[object]) -> "Task":
        [(name, each)] = values.items()
        self.commands[self.function.__name__] = [self.function(**{name: value}) for value in each]
        return self

    def __call__(self) -> "Task":
        self.commands[self.function.__name__] = [self.function()]
        return self

    def __rshift__(self, other: "Task") -> "Task":
        return other


def stand_in(commands: dict[str, list[str]]) -> Mapping[str, ModuleType]:
    """Modules in the place of Airflow's."""

    def bash(function: Callable[..., str] | None = None, **_: object) -> Any:
        return Task(function, commands) if function else bash_with_options

    def bash_with_options(function: Callable[..., str]) -> Task:
        return Task(function, commands)

    sdk, pendulum = ModuleType("airflow.sdk"), ModuleType("pendulum")
    sdk.__dict__.update(task=SimpleNamespace(bash=bash), dag=lambda **_: lambda function: function)
    pendulum.__dict__.update(datetime=lambda *_, **__: None)
    return {"airflow": ModuleType("airflow"), "airflow.sdk": sdk, "pendulum": pendulum}


def test_the_commands_of_the_mapped_tasks_for_airflow_given_a_stand_in_for_its_decorators(
    emulator: RunningEmulator, one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: dict[str, list[str]] = {}
    for name, module in stand_in(commands).items():
        monkeypatch.setitem(sys.modules, name, module)
    exec(compile(example("Airflow"), "docs/scale.md", "exec"), {"__name__": "dags.run_steps"})

    for name in ("sync_shard", "load"):
        run([command.replace("/data", str(tmp_path)) for command in commands[name]], tmp_path, emulator)

    assert len(commands["sync_shard"]) == 2
    assert_same_contents(tmp_path / "all", one)
