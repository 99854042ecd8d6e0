"""A process of a run is killed at each point at which it changes the world, and whoever is left makes it whole."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import ROOT
from tests.sweeps import faults
from tests.sweeps.helpers import broken_promises, settled, sweep, talking

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project
    from tests.sweeps.conftest import Figures
    from tests.sweeps.faults import Point

pytestmark = pytest.mark.sweep

RUN = ("run", "double", "free", "--var")
HELD = ROOT / "tests" / "doubles" / "held.py"
KILL = "signal=KILL"
NEXT = (("runs",), ("heartbeat",), ("agents",))
GENEROUS = 1000  # messages that the server takes


def test_the_runner_is_killed_at_every_point(tmp_path: Path, figures: Figures) -> None:
    """Its guardian closes the run; what had not begun is forgotten by the next command."""
    with Ntfy(burst=GENEROUS) as server:
        talking(tmp_path / "warm", server)(*RUN, "mode=go")  # modules are compiled once
    with Ntfy(burst=GENEROUS) as server:
        project = talking(tmp_path / "whole", server)
        assert project(*RUN, "mode=go", before=faults.words(tmp_path / "log")).returncode == 0
        assert broken_promises(project, server, 1) == []
        found = faults.points(tmp_path / "log", tmp_path / "whole")
    figures.say(f"the runner killed: {len(found)} points")
    sweep(found, lambda point: kill_the_runner(tmp_path / point.folder, point))


def kill_the_runner(folder: Path, point: Point) -> tuple[str | None, list[str]]:
    with Ntfy(burst=GENEROUS) as server:
        project = talking(folder, server)
        log = folder / "log"
        done = project(*RUN, "mode=go", before=faults.words(log, "-e", point.hit(KILL)))
        settled(project)
        begun = len(project.folders())
        wrong = lost_lines(project, faults.last(log))
        after = project(*NEXT[point.number % len(NEXT)])
        wrong += broken_promises(project, server, begun, faults.groups(log))
    if after.returncode != 0:
        wrong.append(f"the next command: {after.stderr}")
    met = faults.points(log, folder)[-1].what if done.returncode == -signal.SIGKILL else None
    shutil.rmtree(folder)
    return met, wrong


def lost_lines(project: Project, last: str) -> list[str]:
    """What the agent had written, and is not in its log; a line that was being written to it may be missing."""
    path = project.root / "lines"
    written = path.read_text().splitlines() if path.exists() else []
    kept = [line for log in project.root.glob("logs/free/*/*/transcript.log") for line in log.read_text().splitlines()]
    missing = [line for line in written if line not in kept and not ("transcript.log" in last and line in last)]
    return [f"lost: {line}" for line in missing] + ([] if kept == sorted(set(kept)) else [f"torn: {kept}"])
