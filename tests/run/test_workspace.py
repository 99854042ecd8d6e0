"""One run at a time in a checkout: the others are skipped at once, or wait."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers import wait_until

if TYPE_CHECKING:
    import subprocess

    from tests.helpers import Project


def hanging(project: Project) -> subprocess.Popen[str]:
    """A run whose agent has printed its first line and stays."""
    process = project.start("run", "double", "free", "--var", "mode=hang")
    wait_until(lambda: any(path.stat().st_size for path in project.root.glob("logs/*/*/*/stdout.log")))
    return process


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for the signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(mask.split()[1], 16) >> (number - 1) & 1)


def test_of_thirty_starts_at_once_one_runs(project: Project) -> None:
    """The others are gone while it still runs."""
    starts = [project.start("run", "double", "free", "--var", "mode=hang") for _ in range(30)]
    wait_until(lambda: sum(start.poll() is not None for start in starts) >= 29, limit=60)
    (winner,) = [start for start in starts if start.poll() is None]
    others = [start for start in starts if start is not winner]
    for other in others:
        other.communicate()
    assert [other.returncode for other in others] == [12] * 29
    wait_until(lambda: any(path.stat().st_size for path in project.root.glob("logs/*/*/*/stdout.log")))
    winner.terminate()
    winner.communicate(timeout=30)
    assert winner.returncode == 143
    feed = project.feed()
    assert sorted(line["status"] for line in feed) == ["interrupted"] + ["skipped"] * 29
    assert {line["reason"] for line in feed if line["status"] == "skipped"} == {"busy"}
    assert len({line["run_id"] for line in feed}) == 30
    assert len(project.folders()) == 1
    assert os.listdir(project.root / "logs" / "live") == []


def test_starts_at_the_same_moment(project: Project) -> None:
    starts = [project.start("run", "double", "free", "--var", "mode=nap", "--wait", "0s") for _ in range(10)]
    codes = sorted((start.communicate(timeout=60), start.returncode)[1] for start in starts)
    assert set(codes) == {0, 12}
    assert codes.count(0) == len(project.folders())
    # One after another: no two runs overlapped in time.
    spans = sorted((line["started_at"], line["ended_at"]) for line in project.feed() if line["status"] == "success")
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_the_holder_is_named(project: Project) -> None:
    process = hanging(project)
    done = project("run", "double", "free")
    assert done.returncode == 12
    run_id = project.folders()[0].name
    assert f"run {run_id} (double free, pid {process.pid}) works in `{project.root}`" in done.stdout
    process.terminate()
    process.communicate(timeout=30)


def test_wait_waits_for_the_other_run(project: Project) -> None:
    process = hanging(project)
    waiting = project.start("run", "double", "free", "--wait", "30s")
    with pytest.raises(Exception, match="timed out"):
        waiting.wait(0.5)
    process.terminate()
    process.communicate(timeout=30)
    waiting.communicate(timeout=30)
    assert waiting.returncode == 0
    assert [line["status"] for line in project.feed()] == ["interrupted", "success"]


def test_a_wait_has_an_end(project: Project) -> None:
    process = hanging(project)
    began = time.monotonic()
    assert project("run", "double", "free", "--wait", "300ms").returncode == 12
    assert 0.3 <= time.monotonic() - began < 10
    waiting = project.start("run", "double", "free", "--wait", "1h")
    wait_until(lambda: catches(waiting.pid, signal.SIGTERM))
    waiting.terminate()
    assert "received SIGTERM while it waited" in waiting.communicate(timeout=30)[0]
    assert waiting.returncode == 143
    process.terminate()
    process.communicate(timeout=30)


def test_a_bad_wait_is_wrong_usage(project: Project) -> None:
    done = project("run", "double", "free", "--wait", "soon")
    assert done.returncode == 2
    assert "--wait: expected a duration" in done.stderr


def test_a_worktree_has_a_lock_of_its_own(project: Project) -> None:
    project.git("worktree", "add", "-q", "../beside")
    process = hanging(project)
    assert project("run", "double", "free", "--repo", "../beside").returncode == 0
    assert project("run", "double", "free", "--repo", "prompts").returncode == 12, "a folder of the same checkout"
    process.terminate()
    process.communicate(timeout=30)


def test_a_folder_that_is_no_checkout_has_its_lock_in_the_state_folder(project: Project) -> None:
    (project.root / ".git").rename(project.root / "was.git")
    process = hanging(project)
    assert project("run", "double", "free").returncode == 12
    process.terminate()
    process.communicate(timeout=30)
    assert len(list((project.home / ".local/state/runner/workspaces").iterdir())) == 1


def test_a_lock_file_without_a_holder_is_not_believed(project: Project) -> None:
    (project.root / ".git" / "runner.lock").write_text(f"run 1 (double free, pid {os.getpid()})\n")
    assert project("run", "double", "free").returncode == 0
