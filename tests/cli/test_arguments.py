"""The arguments of all commands, as the reader and click read them, and what `runner run` prints where."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.cli import app
from runner.cli.arguments import Command
from runner.cli.reader import COMMANDS, implied_run, read
from runner.commands._request import RunArguments, agents_of, run_arguments
from runner.errors import UsageError

if TYPE_CHECKING:
    from tests.helpers import Project


ROWS = {command.name: command for command in COMMANDS}


def read_run(args: list[str]) -> RunArguments | None:
    found = read(args)
    if found is None:
        return None
    assert found[0] is ROWS["run"]
    return run_arguments(**found[1])


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["run", "a", "t"], RunArguments("a", "t")),
        (["run", "--agent", "a", "--task", "t"], RunArguments("a", "t")),
        (["run", "--task=t", "a"], RunArguments("a", "t")),
        (["run", "a,b", "t", "--unattended"], RunArguments("a,b", "t", unattended=True)),
        (["run", "a", "--prompt", "-x {{ y }}"], RunArguments("a", prompt="-x {{ y }}")),
        (["run", "a", "t", "--set", "x=1", "--set", "y=a=b"], RunArguments("a", "t", options={"x": "1", "y": "a=b"})),
        (
            ["run", "a", "t", "--var=k=", "--json", "--dry-run"],
            RunArguments("a", "t", vars={"k": ""}, json=True, dry_run=True),
        ),
        (["-C", "/p", "run", "a", "t"], RunArguments("a", "t", project="/p")),
        (["--project=/p", "run", "a", "t", "--repo", "r"], RunArguments("a", "t", project="/p", repo="r")),
        (["run", "a", "t", "--help"], None),
        (["run", "a", "t", "--nonsense"], None),
        (["run", "a", "t", "--model"], None),
        (["run", "a", "t", "--json=yes"], None),
        (["nonsense"], None),
        ([], None),
    ],
)
def test_run(args: list[str], expected: RunArguments | None) -> None:
    assert read_run(args) == expected


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["run", "a", "t", "u"], "unexpected argument `u`"),
        (["run", "a", "t", "--agent", "b"], "unexpected argument `t`"),
        (["run", "a", "t", "--var", "=b"], "--var expects KEY=VALUE, got `=b`"),
    ],
)
def test_run_with_wrong_arguments(args: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_run(args)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--agent", "a", "--task", "t"], ["run", "--agent", "a", "--task", "t"]),
        (["--task=t", "--agent=a"], ["run", "--task=t", "--agent=a"]),
        (["run", "a"], ["run", "a"]),
        (["--help"], ["--help"]),
        ([], []),
    ],
)
def test_run_may_be_left_out(args: list[str], expected: list[str]) -> None:
    assert implied_run(args) == expected


def read_by_click(args: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[Command, dict[str, Any]] | None:
    """What click would call; None for a usage error, help, or a group."""
    called: list[tuple[Command, dict[str, Any]]] = []
    monkeypatch.setattr("runner.cli.app.call", lambda command, values: called.append((command, values)))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            code = app.main(args)
        except UsageError:
            return None
    return called[0] if code == 0 and called else None


READ = [
    ["runs", "--limit", "5", "--json", "--since=2h"],
    ["logs", "last", "-f"],
    ["agents"],
    ["agents", "--json"],
    ["agents", "show", "demo", "--json"],
    ["tasks", "show", "x"],
    ["parse", "demo", "out", "--exit-code", "-9"],
    ["validate", "a", "b", "--format=json"],
    ["validate"],
    ["schema", "runs"],
    ["doctor", "a", "b", "--live"],
    ["notify", "history"],
    ["cron", "next", "-n", "3"],
    ["cron", "next"],
    ["-C", "/p", "stop", "x", "--now"],
]


@pytest.mark.parametrize("args", READ, ids=" ".join)
def test_the_reader_does_without_click(args: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(args) is not None
    assert read(args) == read_by_click(args, monkeypatch)


LEFT = [
    ["notify"],
    ["agents", "--json", "show", "demo"],
    ["agents", "shwo"],
    ["validate", "--format", "yaml"],
    ["schema", "x"],
    ["schema"],
    ["cron", "next", "-n", "0"],
    ["cron", "next", "-n3"],
    ["parse", "demo", "out", "--exit-code", "one"],
    ["show", "--", "last"],
    ["show", "last", "more"],
    ["logs", "last", "-f=1"],
    ["--version"],
    ["agents show"],
    ["-C", "/p"],
]


@pytest.mark.parametrize("args", LEFT, ids=" ".join)
def test_what_is_unusual_is_left_to_click(args: list[str]) -> None:
    assert read(args) is None


def test_the_project_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_PROJECT", "/p")
    for args, project in ((["tasks"], "/p"), (["-C", "/q", "tasks"], "/q")):
        assert read(args) == read_by_click(args, monkeypatch) == (ROWS["tasks"], {"project": project, "as_json": False})


FLAGS = {option.flag for command in COMMANDS for option in command.options}
WORDS = {word for command in COMMANDS for word in command.words}
ARGS = st.one_of(
    st.sampled_from(sorted(FLAGS | WORDS)),
    st.sampled_from(
        ["-C", "--project=/p", "a", "a=b", "3", "-9", "", "-", "--", "--json=x", "--limit=5", "-n=3", "-fn"]
    ),
)


@given(st.sampled_from(sorted({command.words[0] for command in COMMANDS})), st.lists(ARGS, max_size=5))
@settings(max_examples=400, deadline=None)
def test_the_reader_reads_as_click_does(name: str, more: list[str]) -> None:
    """It may leave a command line to click, and never reads one differently."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        try:
            found = read([name, *more])
        except UsageError:
            assert read_by_click([name, *more], monkeypatch) is None
            return
        if found is not None:
            assert found == read_by_click([name, *more], monkeypatch)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", ("a",)),
        ("a,b,c", ("a", "b", "c")),
        ("a, b", ("a", "b")),
        ("a,", "a name is missing in `a,`"),
        (",", "a name is missing"),
        ("a,b,a", "the agent `a` is named twice in `a,b,a`"),
    ],
)
def test_agents_in_a_list(text: str, expected: tuple[str, ...] | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(UsageError, match=expected):
            agents_of(text)
    else:
        assert agents_of(text) == expected


LINES = [
    ["run", "double", "free", "--var", "mode=hello", "--timeout", "1m", "--dry-run"],
    ["run", "--agent", "double", "--task", "free", "--dry-run", "--set", "argument=x"],
    ["--agent", "double", "--task", "free", "--dry-run"],
    ["--project", ".", "run", "double", "free", "--dry-run", "--json"],
]


@pytest.mark.parametrize("args", LINES)
def test_click_runs_the_same(project: Project, args: list[str]) -> None:
    code = "import sys, runner.cli.main as main; main.read = lambda args: None; sys.exit(main.dispatch(sys.argv[1:]))"
    quick = project(*args)
    import subprocess

    slow = subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (quick.returncode, slow.returncode) == (0, 0), quick.stderr + slow.stderr
    differing = {line for line in quick.stdout.splitlines() if "RUN" not in line and "2026" not in line}
    assert differing <= set(slow.stdout.splitlines())


def test_a_dry_run_starts_nothing(project: Project) -> None:
    done = project("run", "double", "free", "--prompt", "Say hello.", "--dry-run", env={"SOME_SECRET": "hunter2"})
    assert done.returncode == 0, done.stderr
    assert "agent.py hello" in done.stdout
    assert "Say hello." in done.stdout
    assert "GIT_AUTHOR_NAME" in done.stdout
    assert "hunter2" not in done.stdout
    assert not (project.root / "logs").exists()


def test_a_dry_run_as_json(project: Project) -> None:
    found = json.loads(project("run", "double", "free", "--dry-run", "--json").stdout)
    assert list(found) == ["argv", "stdin", "env", "cwd"]
    assert found["argv"][-1] == "hello"
    assert found["cwd"] == str(project.root)
    assert found["stdin"] == "Do what the double does.\n"
    assert "PATH" in found["env"]


def test_a_dry_run_of_what_would_be_skipped(project: Project) -> None:
    project.write(
        "agents.yaml",
        "stock: false\nagents:\n  keyed: {binary: 'true', argv: [], parser: text, requires: {env: [KEY_X]}}\n",
    )
    done = project("run", "keyed", "free", "--dry-run")
    assert (done.returncode, "would be skipped" in done.stdout) == (12, True)


def test_json_has_stdout_to_itself(project: Project) -> None:
    done = project("run", "double", "free", "--json")
    assert json.loads(done.stdout) == {**project.record(), "notification": json.loads(done.stdout)["notification"]}
    assert "success: double free" in done.stderr


def test_the_summary_ends_stdout_and_progress_goes_to_stderr(project: Project) -> None:
    done = project("run", "double", "free")
    assert done.stdout.startswith("success: double free\n")
    assert done.stdout.rstrip().endswith("hello")
    assert "started, pid" in done.stderr
    summary = (project.folders()[-1] / "summary.txt").read_text()
    assert done.stdout.splitlines()[0] == summary.splitlines()[0]


def test_a_reader_that_went_away_changes_nothing(project: Project) -> None:
    import os

    read, write = os.pipe()
    os.close(read)
    process = project.start("run", "double", "free", stdout=write)
    os.close(write)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert project.record()["status"] == "success"


def test_two_runs_of_one_second_have_two_ids(project: Project) -> None:
    running = [project.start("run", "double", "free", "--wait", "30s") for _ in range(4)]
    for process in running:
        process.communicate(timeout=60)
    assert [process.returncode for process in running] == [0] * 4
    assert len({folder.name for folder in project.folders()}) == 4
    assert len(project.feed()) == 4


def test_modes_of_files_and_folders(project: Project) -> None:
    project("run", "double", "free")
    for path in (project.root / "logs").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert project.git("status", "--porcelain") == ""


def test_the_logs_may_lie_elsewhere_by_the_environment(project: Project) -> None:
    tasks = (project.root / "tasks.yaml").read_text()
    project.write("tasks.yaml", tasks + "settings: {logs: '{{ env.MY_LOGS }}/of-runs'}\n")
    assert project("run", "double", "free", env={"MY_LOGS": str(project.home)}).returncode == 0
    assert (project.home / "of-runs" / "runs.jsonl").exists()
    assert not (project.root / "logs").exists()
