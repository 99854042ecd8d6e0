"""A process of a run is killed at each point at which it changes the world, and whoever is left makes it whole."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import TYPE_CHECKING

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import ROOT, children_of, kill_both, wait_until
from tests.sweeps import faults
from tests.sweeps.doubles.talker import LINES
from tests.sweeps.helpers import broken_promises, coming_ids, settled, sweep, talking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.helpers import Project
    from tests.sweeps.conftest import Figures
    from tests.sweeps.faults import Point

    Live = Callable[..., None]

pytestmark = pytest.mark.sweep

RUN = ("run", "double", "free", "--var")
HELD = ROOT / "tests" / "doubles" / "held.py"
NEXT = (("runs",), ("heartbeat",), ("agents",))
GENEROUS = 1000  # messages that the server takes


@pytest.fixture(autouse=True, scope="module")
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Modules are compiled once."""
    with Ntfy() as server:
        project = talking(tmp_path_factory.mktemp("warm") / "it", server)
        assert project(*RUN, "mode=go").returncode == project("heartbeat").returncode == 0


def test_the_runner_is_killed_at_every_point(tmp_path: Path, figures: Figures) -> None:
    """Its guardian closes the run; what had not begun is forgotten by the next command."""
    crash(tmp_path, figures, "the runner", run_it)


def run_it(log: Path, project: Project, point: Point | None = None) -> None:
    project(*RUN, "mode=go", before=faults.words(log, *struck(project, point, coming_ids())))


def test_the_guardian_is_killed_at_every_point_of_a_good_run(tmp_path: Path, figures: Figures) -> None:
    """The runner closes the run."""
    crash(tmp_path, figures, "the guardian of a good run", guard_it)


def guard_it(log: Path, project: Project, point: Point | None = None) -> None:
    with guarded(log, project, "go", point) as (process, tracer):
        out, err = process.communicate(timeout=60)
        assert process.returncode in (0, 1), out + err
        assert "Traceback" not in err, err
        tracer.wait(60)


def test_the_guardian_is_killed_at_every_point_of_closing(tmp_path: Path, figures: Figures) -> None:
    """After the runner: nobody is left, and the next command closes the run."""
    crash(tmp_path, figures, "the guardian that closes a run", take_over)


def take_over(log: Path, project: Project, point: Point | None = None) -> None:
    with guarded(log, project, "stay", point) as (process, tracer):
        wait_until(lambda: (project.root / "waiting").exists() or process.poll() is not None)
        # What the agent says now is in the pipe, and nobody else's to save.
        process.send_signal(signal.SIGSTOP)
        (project.root / "more").touch()
        wait_until(lambda: (project.root / "said").exists() or process.poll() is not None)
        process.kill()
        process.communicate()
        tracer.wait(60)


@contextmanager
def guarded(log: Path, project: Project, mode: str, point: Point | None) -> Iterator[tuple[Popen[str], Popen[bytes]]]:
    """A run, and strace at its guardian from the moment of its birth."""
    process = project.start(*RUN, f"mode={mode}", door=(HELD,), start_new_session=True)
    tracer = None
    try:
        wait_until(lambda: any(state(pid) == "T" for pid in children_of(process.pid)))
        (guardian,) = (pid for pid in children_of(process.pid) if state(pid) == "T")
        tracer = Popen(
            [*faults.words(log, *struck(project, point, [project.folders()[0].name])), "-p", str(guardian)],
            stderr=DEVNULL,
        )
        wait_until(lambda: "TracerPid:\t0\n" not in Path(f"/proc/{guardian}/status").read_text())
        os.kill(guardian, signal.SIGCONT)
        yield process, tracer
    finally:
        if process.poll() is None:
            kill_both(process)
        if tracer is not None and tracer.poll() is None:
            tracer.kill()
            tracer.wait()


def state(pid: int) -> str:
    """`T` for stopped; `t` while it is traced."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return ""


def test_the_next_comer_is_killed_at_every_point(tmp_path: Path, figures: Figures) -> None:
    """And the one after that closes the run."""
    crash(tmp_path, figures, "the next comer", come_next)


def come_next(log: Path, project: Project, point: Point | None = None) -> None:
    process = project.start(*RUN, "mode=stay")
    wait_until((project.root / "waiting").exists)
    kill_both(process)
    project("heartbeat", before=faults.words(log, *struck(project, point, [project.folders()[0].name])))


def struck(project: Project, point: Point | None, run_ids: list[str]) -> tuple[str, ...]:
    return point.hit("signal=KILL", project.root.parent, run_ids) if point else ()


def crash(tmp_path: Path, figures: Figures, whom: str, live: Live) -> None:
    """`live` has a process live under strace, and end at a point if there is one."""
    with Ntfy(burst=GENEROUS) as server:
        project = talking(tmp_path / "whole", server)
        live(tmp_path / "log", project)
        settled(project)
        project("heartbeat")
        assert broken_promises(project, server, 1) == []
        found = faults.points(tmp_path / "log", tmp_path / "whole")
    figures.say(f"{whom} is killed at {len(found)} points")

    def strike(point: Point) -> tuple[str | None, list[str]]:
        folder = tmp_path / point.folder
        with Ntfy(burst=GENEROUS) as server:
            project = talking(folder, server)
            log = folder / "log"
            live(log, project, point)
            settled(project)
            begun = len(project.folders())
            wrong = lost_lines(project, faults.last(log), live is take_over)
            after = project(*NEXT[point.number % len(NEXT)])
            wrong += broken_promises(project, server, begun)
        if after.returncode != 0:
            wrong.append(f"the next command: {after.stderr}")
        met = faults.points(log, folder)[-1].what if faults.killed(log) else None
        shutil.rmtree(folder)
        return met, wrong

    sweep(found, strike)


def lost_lines(project: Project, last: str, may_lose_the_last: bool) -> list[str]:
    """What the agent had written, and is not in its log; a line that was being written to it may be missing."""
    path = project.root / "lines"
    written = path.read_text().splitlines() if path.exists() else []
    kept = [line for log in project.root.glob("logs/free/*/*/transcript.log") for line in log.read_text().splitlines()]
    in_flight = {line for line in written if "transcript.log" in last and line in last}
    in_flight |= {f"line {LINES}"} if may_lose_the_last else set()
    lost = [f"lost: {line}" for line in written if line not in kept and line not in in_flight]
    return lost + ([] if kept == sorted(set(kept)) else [f"torn: {kept}"])
