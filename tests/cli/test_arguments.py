"""The words of `runner run`: both readers of them, and what is printed where."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from runner.errors import UsageError
from runner.words import RunWords, agents_of, implied_run, read_run

if TYPE_CHECKING:
    from tests.helpers import Project


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "a", "t"], RunWords("a", "t")),
        (["run", "--agent", "a", "--task", "t"], RunWords("a", "t")),
        (["run", "--task=t", "a"], RunWords("a", "t")),
        (["run", "a,b", "t", "--unattended"], RunWords("a,b", "t", unattended=True)),
        (["run", "a", "--prompt", "-x {{ y }}"], RunWords("a", prompt="-x {{ y }}")),
        (["run", "a", "t", "--set", "x=1", "--set", "y=a=b"], RunWords("a", "t", options={"x": "1", "y": "a=b"})),
        (
            ["run", "a", "t", "--var=k=", "--json", "--dry-run"],
            RunWords("a", "t", vars={"k": ""}, json=True, dry_run=True),
        ),
        (["-C", "/p", "run", "a", "t"], RunWords("a", "t", project="/p")),
        (["--project=/p", "run", "a", "t", "--repo", "r"], RunWords("a", "t", project="/p", repo="r")),
        (["run", "a", "t", "--help"], None),
        (["run", "a", "t", "--nonsense"], None),
        (["run", "a", "t", "u"], None),
        (["run", "a", "t", "--model"], None),
        (["run", "a", "t", "--json=yes"], None),
        (["agents"], None),
        ([], None),
    ],
)
def test_words(words: list[str], expected: RunWords | None) -> None:
    assert read_run(words) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--agent", "a", "--task", "t"], ["run", "--agent", "a", "--task", "t"]),
        (["--task=t", "--agent=a"], ["run", "--task=t", "--agent=a"]),
        (["run", "a"], ["run", "a"]),
        (["--help"], ["--help"]),
        ([], []),
    ],
)
def test_run_may_be_left_out(words: list[str], expected: list[str]) -> None:
    assert implied_run(words) == expected


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


WORDS = [
    ["run", "double", "free", "--var", "mode=hello", "--timeout", "1m", "--dry-run"],
    ["run", "--agent", "double", "--task", "free", "--dry-run", "--set", "argument=x"],
    ["--agent", "double", "--task", "free", "--dry-run"],
    ["--project", ".", "run", "double", "free", "--dry-run", "--json"],
]


@pytest.mark.parametrize("words", WORDS)
def test_click_reads_the_same(project: Project, words: list[str]) -> None:
    """The hot path does without click; a word that only click knows, last, makes click read the same line."""
    code = (
        "import sys, runner.__main__ as door; door.read_run = lambda words: None; sys.exit(door.dispatch(sys.argv[1:]))"
    )
    quick = project(*words)
    import subprocess

    slow = subprocess.run(
        [sys.executable, "-c", code, *words],
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
