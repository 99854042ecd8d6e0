"""Nine shapes of a process tree and one that is worse, five endings, both rungs of the ladder: nothing of it is left."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import AGENTS, children_of, notifying, wait_until
from tests.sweeps.helpers import DOUBLES, Pulse

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.helpers import Project
    from tests.sweeps.conftest import Figures

pytestmark = pytest.mark.sweep

SHAPES = (
    "plain grandchild grandchild_setsid daemon daemon_main_exited daemon_keeps_stdout_main_exited ignores_term chain storm gale"
).split()
STORMS = ("storm", "gale")
LOST = ("lost", "lost")
STATES = {
    "good": {("success", None)},
    "timeout": {("timed_out", "timeout")},
    "term": {("interrupted", "interrupted")},
    "kill_runner": {LOST},
    "kill_guardian": {LOST},
}
LIMITS = (2, 8, 32)  # seconds: a busy machine may need more than the first to let the tree grow


@pytest.fixture
def server() -> Iterator[Ntfy]:
    with Ntfy() as running:
        yield running


class Case:
    """One run of one shape."""

    def __init__(self, project: Project, shape: str) -> None:
        self.project = project
        self.shape = shape
        self.exits = shape.endswith("main_exited")
        self.pulse = Pulse(project.root / "pulse")
        self.runner: subprocess.Popen[str] | None = None
        self.ended = 0.0

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Until the tree is complete; where the agent itself ends early, the runner is stopped, and does not see it."""
        self.runner = self.project.start("run", "double", "free", "--var", f"mode={self.shape}", *words)
        wait_until(lambda: self.printed("ready") or self.runner.poll() is not None, 60)
        if self.exits and self.runner.poll() is None:
            leader = Path("/proc", (self.project.root / "leader").read_text())
            self.runner.send_signal(signal.SIGSTOP)
            self.let_go()
            wait_until(lambda: not leader.exists())
        return self.runner

    @property
    def guardian(self) -> int:
        (pid,) = children_of(self.runner.pid)
        return pid

    def printed(self, word: str) -> bool:
        logs = self.project.root.glob("logs/free/double/*/stdout.log")
        return any(word in path.read_text() for path in logs)

    def let_go(self) -> None:
        (self.project.root / "go").touch()

    def wake(self) -> None:
        self.runner.send_signal(signal.SIGCONT)

    def finish(self) -> None:
        out, err = self.runner.communicate(timeout=90)
        assert "Traceback" not in err, out + err

    def end(self) -> None:
        """Whatever the test found, nothing of it stays on the machine."""
        (self.project.root / "calm").touch()
        self.let_go()
        if self.runner is not None and self.runner.poll() is None:
            self.wake()
            self.runner.terminate()
            self.runner.communicate(timeout=60)
        for pid in self.project.processes():
            os.kill(pid, signal.SIGKILL)
        assert self.pulse.over(30)
        self.pulse.close()


def good(case: Case) -> None:
    case.start()
    case.let_go()
    case.wake()
    case.finish()


def timeout(case: Case) -> None:
    for limit in LIMITS:
        began = time.monotonic()
        case.start("--timeout", f"{limit}s")
        if case.exits:
            time.sleep(max(0.0, began + limit - time.monotonic()))
            case.wake()
        case.finish()
        if case.printed("ready"):
            return


def term(case: Case) -> None:
    case.start()
    case.runner.send_signal(signal.SIGTERM)
    case.wake()
    case.finish()


def kill_runner(case: Case) -> None:
    case.start()
    case.ended = time.monotonic()
    case.runner.kill()
    case.finish()


def kill_guardian(case: Case) -> None:
    case.start()
    os.kill(case.guardian, signal.SIGKILL)
    case.wake()
    case.finish()


ENDINGS = {each.__name__: each for each in (good, timeout, term, kill_runner, kill_guardian)}


@pytest.mark.parametrize("rung", ["cgroup", "subreaper"])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_left(project: Project, server: Ntfy, figures: Figures, shape: str, ending: str, rung: str) -> None:
    project.write(
        "agents.yaml",
        AGENTS.replace("DOUBLE", str(DOUBLES / "shapes.py")).replace("text\n", "text\n    grace: 200ms\n", 1),
    )
    project.env["RUNNER_CONTAINMENT"] = rung
    case = Case(notifying(project, server.url), shape)
    try:
        ENDINGS[ending](case)
        wait_until(lambda: not os.listdir(project.root / "logs" / "live"), 30)
        server.wait_for(1)
        if ending == "kill_runner":
            closed = time.monotonic() - case.ended
            figures.took(f"from kill -9 of the runner to its record and message ({rung})", closed)
        check(case, server, figures, ending, rung)
    finally:
        case.end()


def check(case: Case, server: Ntfy, figures: Figures, ending: str, rung: str) -> None:
    record: dict[str, Any] = case.project.record()
    assert case.printed("ready")
    assert record["containment"] == rung
    # An agent that had ended before its ending may be seen as what it was.
    allowed = STATES[ending] | ({("success", None)} if case.exits and ending != "kill_runner" else set())
    assert (record["status"], record["reason"]) in allowed
    if case.shape in STORMS and rung == "subreaper":
        over = case.pulse.over()
        assert over == (record["survivors"] == 0), "what is left is counted and reported"
        figures.say(f"{case.shape}, {ending}, {rung}: {record['survivors']} left")
    else:
        assert case.pulse.over(), "every process of the tree has ended before the run has"
        assert record["survivors"] == 0
        assert case.project.processes() == []
    runs = [folder.name for folder in case.project.folders()]  # more than one where a limit was too short to begin in
    assert sorted(server.delivered("runs")) == runs
