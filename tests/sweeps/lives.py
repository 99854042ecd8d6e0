"""Lives of a process of a run under strace, which may strike it at a point."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, Popen
from typing import TYPE_CHECKING

from tests.helpers import ROOT, children_of, kill_both, state, wait_until
from tests.sweeps import faults
from tests.sweeps.helpers import coming_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers import Project
    from tests.sweeps.faults import Point

RUN = ("run", "double", "free", "--var")
HELD = ROOT / "tests" / "doubles" / "held.py"
NOTHING = ("", None)
Blow = tuple[str, "Point | None"]  # the fault, and where


def runner(log: Path, project: Project, blow: Blow = NOTHING) -> CompletedProcess[str]:
    return project(*RUN, "mode=go", before=faults.words(log, *words(project, blow, coming_ids())))


def guardian(log: Path, project: Project, blow: Blow = NOTHING) -> CompletedProcess[str]:
    """Of a good run."""
    with guarded(log, project, "go", blow) as (process, tracer):
        out, err = process.communicate(timeout=60)
        tracer.wait(60)
        return CompletedProcess(process.args, process.returncode, out, err)


def closing_guardian(log: Path, project: Project, blow: Blow = NOTHING) -> None:
    """Of a run whose runner is killed."""
    with guarded(log, project, "stay", blow) as (process, tracer):
        wait_until(lambda: (project.root / "waiting").exists() or process.poll() is not None)
        # What the agent says now is in the pipe, and nobody else's to save.
        process.send_signal(signal.SIGSTOP)
        (project.root / "more").touch()
        wait_until(lambda: (project.root / "said").exists() or process.poll() is not None)
        process.kill()
        process.communicate()
        tracer.wait(60)


def next_comer(log: Path, project: Project, blow: Blow = NOTHING) -> CompletedProcess[str]:
    """After a run whose runner and guardian were both killed."""
    process = project.start(*RUN, "mode=stay")
    wait_until((project.root / "waiting").exists)
    kill_both(process)
    return project("heartbeat", before=faults.words(log, *words(project, blow, [begun(project)])))


@contextmanager
def guarded(log: Path, project: Project, mode: str, blow: Blow) -> Iterator[tuple[Popen[str], Popen[bytes]]]:
    """A run, and strace at its guardian from the moment of its birth."""
    process = project.start(*RUN, f"mode={mode}", door=(HELD,), start_new_session=True)
    tracer = None
    try:
        wait_until(lambda: any(state(pid) == "T" for pid in children_of(process.pid)))
        (pid,) = (pid for pid in children_of(process.pid) if state(pid) == "T")
        traced = faults.words(log, *words(project, blow, [begun(project)]))
        tracer = Popen([*traced, "-p", str(pid)], stderr=DEVNULL)
        wait_until(lambda: "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text())
        os.kill(pid, signal.SIGCONT)
        yield process, tracer
    finally:
        if process.poll() is None:
            kill_both(process)
        if tracer is not None and tracer.poll() is None:
            tracer.kill()
            tracer.wait()


def begun(project: Project) -> str:
    return project.folders()[0].name


def words(project: Project, blow: Blow, run_ids: list[str]) -> tuple[str, ...]:
    fault, point = blow
    return point.hit(fault, project.root.parent, run_ids) if point else ()
