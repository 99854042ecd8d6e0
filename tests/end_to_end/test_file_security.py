"""What others may write is not run, and nothing is written through a link that somebody laid."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project


@pytest.mark.skipif(os.geteuid() != 0, reason="the rule is root's")
@pytest.mark.parametrize("name", ["agents.yaml", "tasks.yaml"])
@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_root_runs_nothing_that_others_may_write(project: Project, name: str, mode: int) -> None:
    (project.root / name).chmod(mode)
    done = project("run", "double", "free")
    assert done.returncode == 3
    assert f"{name}: is writable by its group or by others" in done.stderr
    (project.root / name).chmod(0o644)
    assert project("run", "double", "free").returncode == 0


@pytest.mark.parametrize("place", ["ids", "live", "state", "outbox", "free", "free/double"])
def test_no_link_below_the_logs_is_followed(project: Project, tmp_path: Path, place: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = project.root / "logs" / place
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    done = project("run", "double", "free")
    assert done.returncode == 12, done.stdout + done.stderr
    assert "symbolic link" in done.stdout
    assert list(elsewhere.iterdir()) == []


def test_a_link_that_the_agent_lays_is_not_written_through(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = project("run", "double", "free", "--var", "mode=replace_logs", "--set", f"argument={elsewhere}")
    assert "symbolic link" in done.stdout
    assert list(elsewhere.rglob("*.json")) == []


def test_an_id_file_cannot_point_out_of_the_logs(project: Project) -> None:
    """A comer believes neither the name of a live file nor what an id file says."""
    for folder in ("ids", "live"):
        (project.root / "logs" / folder).mkdir(parents=True, exist_ok=True)
    victim = project.root / "victim"
    victim.mkdir()
    (victim / "20260101_000000").mkdir()
    (project.root / "logs" / "ids" / "20260101_000000").write_text("../victim\n")
    (project.root / "logs" / "live" / "20260101_000000").write_text("")
    assert project("agents").returncode == 0
    assert (victim / "20260101_000000").is_dir()
