"""The disk is full, or broken, at each call of a run that it could refuse: what happened is recorded and told.

Calls on files below the project and the home can fail so, on pipes, sockets and the kernel's own files they cannot.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.doubles.ntfy import Ntfy
from tests.sweeps import faults, lives
from tests.sweeps.helpers import broken_promises, settled, sweep, talking, warm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.sweeps.conftest import Figures
    from tests.sweeps.faults import Point

pytestmark = pytest.mark.sweep

NEEDS_ROOM = ("write", "pwrite64", "fsync", "rename", "mkdir", "openat", "ftruncate", "fallocate", "unlink")
LOGS = ("transcript.log", "stdout.log")
# The agent does well, and what becomes of its logs is no failure of it; or nothing begins. Other commands say what
# could not be written.
CODES = {"run": {0, 12}, "heartbeat": {0, 70}}
LIVES: dict[str, Callable[..., CompletedProcess[str] | None]] = {
    "the runner": lives.runner,
    "the guardian that closes a run": lives.closing_guardian,
    "the next comer": lives.next_comer,
}


def takes_room(point: Point) -> bool:
    return point.call in NEEDS_ROOM and (point.file or "").startswith(("/project/", "/home/"))


def is_log(point: Point) -> bool:
    return point.call in ("write", "fsync") and (point.file or "").endswith(LOGS)


@pytest.mark.parametrize("who", LIVES)
def test_no_room_at_every_point(tmp_path: Path, figures: Figures, who: str) -> None:
    refuse(tmp_path, figures, who, "ENOSPC", takes_room)


def test_a_log_that_is_broken_at_every_point(tmp_path: Path, figures: Figures) -> None:
    refuse(tmp_path, figures, "the runner", "EIO", is_log)


def refuse(tmp_path: Path, figures: Figures, who: str, error: str, chosen: Callable[[Point], bool]) -> None:
    live = LIVES[who]
    warm(tmp_path / "warm")
    with Ntfy() as server:
        live(tmp_path / "log", talking(tmp_path / "whole", server))
    found = [point for point in faults.points(tmp_path / "log", tmp_path / "whole") if chosen(point)]
    figures.say(f"{who} has {error} at {len(found)} points")

    def strike(point: Point) -> tuple[str | None, list[str]]:
        folder = tmp_path / point.folder
        log = folder / "log"
        with Ntfy() as server:
            project = talking(folder, server)
            done = live(log, project, (f"error={error}", point))
            wrong = [] if done is None else said(done)
            settled(project)
            after = project("heartbeat")
            wrong += [] if project.feed() else ["no run, closed or skipped"]
            wrong += [f"the next command: {after.stderr}"] if after.returncode else []
            wrong += broken_promises(project, server, len(project.folders()))
        met = next((one.what for one in faults.points(log, folder) if one.refused), None)
        shutil.rmtree(folder)
        # A pipe was met beside the place: that cannot be.
        return met, wrong if met in {point.what for point in found} else []

    sweep(found, strike)


def said(done: CompletedProcess[str]) -> list[str]:
    """What is wrong at once, before anybody else comes."""
    text = done.stdout + done.stderr
    wrong = [] if done.returncode in CODES[done.args[0]] else [f"exit code {done.returncode}: {text}"]
    return [*wrong, f"a traceback: {text}"] if "Traceback" in text else wrong
