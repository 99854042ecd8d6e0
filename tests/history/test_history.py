"""The commands that look at runs, on run folders that real runs made."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from referencing import Registry, Resource

from runner.cli.reader import COMMANDS as READ_COMMANDS
from runner.commands.schema import NAMES
from tests.helpers import ROOT

if TYPE_CHECKING:
    import subprocess

    from tests.helpers import Project

SCHEMAS = {name: json.loads((ROOT / "schema" / f"{name}.schema.json").read_text()) for name in NAMES}
REGISTRY: Any = Registry().with_resources(
    (f"{name}.schema.json", Resource.from_contents(schema)) for name, schema in SCHEMAS.items()
)


def check(name: str, value: Any) -> None:
    jsonschema.Draft202012Validator(SCHEMAS[name], registry=REGISTRY).validate(value)


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def ran(project: Project) -> Project:
    """Three runs: a plain success, a success with two commits, a failure."""
    project("run", "double", "free")
    project("run", "double", "must_commit", "--var", "mode=commits")
    project("run", "double", "must_commit")
    return project


def test_runs(ran: Project) -> None:
    shown = ran("runs").stdout.splitlines()
    assert [line.split()[2:4] for line in shown[1:]] == [
        ["must_commit", "failed"],
        ["must_commit", "success"],
        ["free", "success"],
    ]
    assert "no_commits" in shown[1]
    for option, number in ((["--status", "failed"], 1), (["--task", "free"], 1), (["--agent", "other"], 0)):
        found = ran("runs", *option, "--json").stdout.splitlines()
        assert len(found) == number
        for line in found:
            check("runs", json.loads(line))
    assert len(ran("runs", "--since", "1h", "--json").stdout.splitlines()) == 3
    assert len(ran("runs", "--until", "1h", "--json").stdout.splitlines()) == 0
    assert len(ran("runs", "--limit", "2", "--json").stdout.splitlines()) == 2


def test_rebuild(ran: Project) -> None:
    before = ran("runs", "--json").stdout
    (ran.root / "logs" / "runs.jsonl").unlink()
    done = ran("runs", "--rebuild", "--json")
    assert done.stdout == before
    assert done.stderr == "3 runs in the index\n"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (["runs", "--status", "faild"], "did you mean 'failed'?"),
        (["runs", "--reason", "no_commit"], "did you mean 'no_commits'?"),
        (["runs", "--limit", "many"], "--limit expects a number"),
        (["runs", "--since", "yesterday"], "expected a duration"),
        (["runs", "--since", "2026-13-40"], "expected a time"),
        (["stats", "--by", "agnt"], "did you mean 'agent'?"),
        (["stats", "--json", "--csv"], "exclude each other"),
        (["show", "last:nobody/free"], "there is no run of `nobody/free` yet"),
        (["logs", "last", "--raw", "--stdout"], "exclude each other"),
        (["show", "2"], "several runs begin with `2`"),
        (["show", "../../etc"], "there is no run"),
        (["why"], "Missing argument"),
        (["why", "last", "--loud"], "No such option"),
    ],
)
def test_wrong_words(ran: Project, said: list[str], message: str) -> None:
    done = ran(*said)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_run_by_any_name(ran: Project) -> None:
    free, committed, failed = (folder.name for folder in ran.folders())
    names = {
        failed: failed,
        "last": failed,
        "last:double": failed,
        "last:double/free": free,
        committed: committed,
    }
    if not committed.startswith(free):
        names[free] = free
    for name, run_id in names.items():
        assert json.loads(ran("show", name, "--json").stdout)["run_id"] == run_id
    near = ran("show", failed[:-1] + "x")
    assert near.returncode == 2
    assert failed in near.stderr


def test_a_unique_beginning(project: Project) -> None:
    project("run", "double", "free")
    run_id = project.folders()[0].name
    assert run_id in project("show", run_id[:10]).stdout
    assert run_id in project("show", run_id[:4]).stdout


def test_why_is_the_same_everywhere(ran: Project) -> None:
    text = words(ran("why", "last").stdout)
    folder = ran.folders()[-1]
    assert text.startswith(f"Run {folder.name} of double on must_commit failed after ")
    assert "no_commits" in text
    assert text in words((folder / "summary.txt").read_text())
    shown = json.loads(ran("show", "last", "--json").stdout)
    check("show", shown)
    assert shown["why"] == text
    assert shown["folder"] == str(folder)
    assert text in words(ran("show", "last").stdout)


def test_why_needs_the_folder_alone(ran: Project) -> None:
    text = ran("why", "last").stdout
    for name in ("index.db", "runs.jsonl"):
        (ran.root / "logs" / name).unlink()
    assert ran("why", ran.folders()[-1].name).stdout == text


def test_a_skipped_run(project: Project) -> None:
    project.write("dirt.txt", "x")
    assert project("run", "double", "committed_for").returncode == 12
    run_id = project.feed()[-1]["run_id"]
    shown = json.loads(project("show", run_id, "--json").stdout)
    check("show", shown)
    assert (shown["status"], shown["folder"]) == ("skipped", None)
    assert "dirty_workspace" in project("why", run_id).stdout
    assert "never began and has no logs" in project("logs", run_id).stderr
    assert "made no commits" in project("diff", run_id).stdout
    assert project("show", "last").returncode == 2  # no run began


def test_history_of_a_broken_project(ran: Project) -> None:
    ran.write("agents.yaml", "agents: [\n")
    done = ran("runs")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 4
    assert "the configuration is broken" in done.stderr


def test_diff(ran: Project) -> None:
    done = ran("diff", ran.folders()[1].name)
    assert "+by the double" in done.stdout
    assert "double: add file 0" in done.stdout
    assert ran("diff", "last").stdout.endswith("made no commits\n")


def test_stats(ran: Project) -> None:
    ran.write("dirt.txt", "x")
    ran("run", "double", "committed_for")
    for kind in ("agent", "task", "model", "day"):
        found = json.loads(ran("stats", "--by", kind, "--json").stdout)
        check("stats", found)
        assert sum(group["runs"] for group in found["groups"]) == 3
        assert sum(group["skipped"] for group in found["groups"]) == 1
    (double,) = json.loads(ran("stats", "--json").stdout)["groups"]
    assert (double["successes"], double["commits"], double["cost_usd"], double["runs_without_cost"]) == (2, 1, None, 3)
    assert "unknown" in ran("stats").stdout
    head, line = ran("stats", "--csv", "--since", "all").stdout.splitlines()
    assert head.startswith("agent,runs,successes")
    assert line.startswith("double,3,2,")


LOOKING = ("runs", "show", "why", "logs", "diff", "triage", "stats", "prune", "heartbeat")
COMMANDS = {command.name: command for command in READ_COMMANDS if command.name in LOOKING}
EXAMPLES = [(name, example) for name, command in COMMANDS.items() for example in command.examples]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_the_examples(project: Project, name: str) -> None:
    done = project(name, "--help")
    assert done.returncode == 0
    for example in COMMANDS[name].examples:
        assert f"\n    {example}\n" in done.stdout
    for option in COMMANDS[name].options:
        assert option.flag in done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Runs of the stock agent that needs no service."""
    from tests.helpers import make_project

    project = make_project(tmp_path_factory.mktemp("demo"), stock=True)
    for task in ("debug_hello_simple", "debug_smoke_commit"):
        assert project("run", "demo", task).returncode == 0
    return project


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[example for _, example in EXAMPLES])
def test_examples_run(demo: Project, name: str, example: str) -> None:
    runner, *said = shlex.split(example)
    assert runner == "runner"
    done = demo(*said)
    assert done.returncode == 0, done.stdout + done.stderr
    if name != "heartbeat" and "failed" not in example:
        assert done.stdout
    # The same by click, which reads what the quick reader does not.
    slow = demo(said[0], "--", *said[1:]) if COMMANDS[name].arguments and len(said) == 2 else done
    assert slow.stdout == done.stdout


def test_logs(ran: Project) -> None:
    assert ran("logs", "last").stdout == "hello\n"
    assert ran("logs", "last", "--stdout").stdout == "hello\n"
    assert ran("logs", "last", "--raw").stdout == "hello\n"
    assert ran("logs", "last", "--prompt").stdout == "Do what the double does.\n"
    ran("run", "jsonl", "free", "--var", "mode=result")
    assert ran("logs", "last").stdout.splitlines() == ["[system init] model=double", "[result success] fine"]


def follow(project: Project, mode: str) -> tuple[subprocess.Popen[str], subprocess.Popen[str]]:
    """A run that goes on, and a command that follows it and has shown its first line."""
    run = project.start("run", "double", "free", "--var", f"mode={mode}")
    assert run.stderr is not None
    while not project.folders() or not (project.folders()[-1] / "transcript.log").exists():
        assert run.poll() is None
    follower = project.start("logs", "last", "-f")
    assert follower.stdout is not None
    assert follower.stdout.readline() == "hanging\n"
    return run, follower


def ticks(pid: int) -> int:
    """Hundredths of a second of the processor's time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return int(fields[11]) + int(fields[12])


def test_follow_ends_with_the_run(project: Project) -> None:
    run, follower = follow(project, "hang")
    shown = project("runs")
    assert "running" in shown.stdout
    assert project("show", "last").stdout.startswith("running: double free\n")
    assert " is running" in project("why", "last").stdout
    assert follower.poll() is None
    # It sleeps: a loop would have spent about all of the time that these commands take.
    before = ticks(follower.pid)
    for _ in range(3):
        project("runs")
    assert ticks(follower.pid) - before <= 3
    run.terminate()
    run.communicate(timeout=20)
    follower.communicate(timeout=20)
    assert follower.returncode == 0


def test_follow_ends_when_the_runner_is_killed(project: Project) -> None:
    run, follower = follow(project, "hang")
    run.kill()
    run.communicate(timeout=20)
    follower.communicate(timeout=20)
    assert follower.returncode == 0
    for pid in project.processes():
        os.kill(pid, 9)


def test_schemas_name_every_key_of_a_record() -> None:
    assert set(SCHEMAS["show"]["properties"]) == {*SCHEMAS["metadata"]["properties"], "why", "folder"}


def test_ids_are_completed(ran: Project) -> None:
    done = ran("completion", "fish", "show", "20")
    for folder in ran.folders():
        assert re.search(rf"{folder.name}\b", done.stdout)
