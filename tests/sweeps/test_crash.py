"""A process of a run is killed at each point at which it changes the world, and whoever is left makes it whole."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.doubles.ntfy import Ntfy
from tests.sweeps import faults, lives
from tests.sweeps.doubles.talker import LINES
from tests.sweeps.helpers import broken_promises, settled, sweep, talking, warm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.helpers import Project
    from tests.sweeps.conftest import Figures
    from tests.sweeps.faults import Point

pytestmark = pytest.mark.sweep

NEXT = (("runs",), ("heartbeat",), ("agents",))
LIVES: dict[str, Callable[..., object]] = {
    "the runner": lives.runner,
    "the guardian of a good run": lives.guardian,
    "the guardian that closes a run": lives.closing_guardian,
    "the next comer": lives.next_comer,
}


@pytest.mark.parametrize("who", LIVES)
def test_killed_at_every_point(tmp_path: Path, figures: Figures, who: str) -> None:
    live = LIVES[who]
    warm(tmp_path / "warm")
    with Ntfy() as server:
        project = talking(tmp_path / "whole", server)
        live(tmp_path / "log", project)
        settled(project)
        project("heartbeat")
        assert broken_promises(project, server, 1) == []
    found = faults.points(tmp_path / "log", tmp_path / "whole")
    figures.say(f"{who} is killed at {len(found)} points")

    def strike(point: Point) -> tuple[str | None, list[str]]:
        folder = tmp_path / point.folder
        log = folder / "log"
        with Ntfy() as server:
            project = talking(folder, server)
            live(log, project, ("signal=KILL", point))
            settled(project)
            begun = len(project.folders())
            wrong = lost_lines(project, faults.last(log), may_lose_the_last=live is lives.closing_guardian)
            after = project(*NEXT[point.number % len(NEXT)])
            wrong += [f"the next command: {after.stderr}"] if after.returncode else []
            wrong += broken_promises(project, server, begun)
        met = faults.points(log, folder)[-1].what if faults.killed(log) else None
        shutil.rmtree(folder)
        return met, wrong

    sweep(found, strike)


def lost_lines(project: Project, last: str, *, may_lose_the_last: bool) -> list[str]:
    """What the agent had written, and is not in its log; a line that was being written to it may be missing."""
    path = project.root / "lines"
    written = path.read_text().splitlines() if path.exists() else []
    kept = [line for log in project.root.glob("logs/free/*/*/transcript.log") for line in log.read_text().splitlines()]
    in_flight = {line for line in written if "transcript.log" in last and line in last}
    in_flight |= {f"line {LINES}"} if may_lose_the_last else set()
    lost = [f"lost: {line}" for line in written if line not in kept and line not in in_flight]
    return lost + ([] if kept == sorted(set(kept)) else [f"torn: {kept}"])
