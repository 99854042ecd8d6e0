"""The disk is full, or broken, at each call of a run that it could refuse: what happened is recorded and told.

Calls on files below the project and the home can fail so, on pipes, sockets and the kernel's own files they cannot.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.doubles.ntfy import Ntfy
from tests.sweeps import faults
from tests.sweeps.helpers import broken_promises, coming_ids, settled, sweep, talking

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.helpers import Project
    from tests.sweeps.conftest import Figures
    from tests.sweeps.faults import Point

pytestmark = pytest.mark.sweep

RUN = ("run", "double", "free", "--var", "mode=go")
NEEDS_ROOM = ("write", "pwrite64", "fsync", "rename", "mkdir", "openat", "ftruncate", "fallocate", "unlink")
LOGS = ("transcript.log", "stdout.log")
CODES = {0, 12}  # the agent does well, and what becomes of its logs is no failure of it; or nothing begins


def takes_room(point: Point) -> bool:
    return point.call in NEEDS_ROOM and (point.file or "").startswith(("/project/", "/home/"))


def is_log(point: Point) -> bool:
    return point.call in ("write", "fsync") and (point.file or "").endswith(LOGS)


@pytest.mark.parametrize(
    ("error", "chosen"), [("ENOSPC", takes_room), ("EIO", is_log)], ids=["no room", "a broken log"]
)
def test_every_call_is_refused(tmp_path: Path, figures: Figures, error: str, chosen: Callable[[Point], bool]) -> None:
    with Ntfy() as server:
        talking(tmp_path / "warm", server)(*RUN)  # modules are compiled once
        project = talking(tmp_path / "whole", server)
        assert project(*RUN, before=faults.words(tmp_path / "log")).returncode == 0
        found = [point for point in faults.points(tmp_path / "log", tmp_path / "whole") if chosen(point)]
    figures.say(f"{error} at {len(found)} points")

    def strike(point: Point) -> tuple[str | None, list[str]]:
        folder = tmp_path / point.folder
        with Ntfy() as server:
            project = talking(folder, server)
            log = folder / "log"
            done = project(*RUN, before=faults.words(log, *point.hit(f"error={error}", folder, coming_ids())))
            wrong = outcome(project, done.returncode, done.stdout, done.stderr)
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


def outcome(project: Project, code: int, out: str, err: str) -> list[str]:
    """What is wrong at once, before anybody else comes."""
    wrong = []
    if code not in CODES:
        wrong.append(f"exit code {code}: {out}{err}")
    if "Traceback" in err + out:
        wrong.append(f"a traceback: {err}{out}")
    return wrong
