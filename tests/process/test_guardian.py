"""Whichever of a run's two processes is killed, the other ends the tree and closes the run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.process.cgroup import make, own_folder
from tests.doubles.ntfy import Ntfy
from tests.helpers import ROOT, children_of, kill_both, notifying, state, wait_until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.helpers import Project


HELD = ROOT / "tests" / "doubles" / "held.py"
probe = make("probe")
HAS_CGROUP = probe is not None
if probe is not None:
    probe.remove()


@pytest.fixture(params=["cgroup", "subreaper"], autouse=True)
def rung(project: Project, request: pytest.FixtureRequest) -> str:
    """The whole file on both rungs of the ladder; where there is no cgroup to be had, the lower one twice."""
    project.env["RUNNER_CONTAINMENT"] = request.param
    return request.param if HAS_CGROUP else "subreaper"


@pytest.fixture
def server() -> Iterator[Ntfy]:
    with Ntfy() as running:
        yield running


def cgroups() -> list[str]:
    base = own_folder()
    return sorted(name for name in os.listdir(base) if name.startswith("runner-")) if base else []


def hanging(project: Project, mode: str = "hang") -> subprocess.Popen[str]:
    """A run whose agent has printed its first line and stays."""
    process = project.start("run", "double", "free", "--var", f"mode={mode}")
    wait_until(lambda: any(path.stat().st_size for path in project.root.glob("logs/*/*/*/stdout.log")))
    return process


def guardian_of(process: subprocess.Popen[str]) -> int:
    (pid,) = children_of(process.pid)
    return pid


def idle(project: Project) -> bool:
    return not os.listdir(project.root / "logs" / "live")


@pytest.mark.parametrize("mode", ["hang", "ignore_term", "hang_with_daemon"])
def test_a_killed_runner_is_closed_and_told_at_once(project: Project, server: Ntfy, rung: str, mode: str) -> None:
    process = hanging(notifying(project, server.url), mode)
    guardian = guardian_of(process)
    began = time.monotonic()
    process.kill()
    process.communicate(timeout=30)
    wait_until(lambda: idle(project))
    took = time.monotonic() - began
    wait_until(lambda: not Path(f"/proc/{guardian}").exists())
    record = project.record()
    assert (record["status"], record["reason"], record["exit_code"]) == ("lost", "lost", None)
    assert (record["survivors"], record["containment"]) == (0, rung)
    assert project.processes() == []
    assert f"runner-{record['run_id']}-{process.pid}" not in cgroups()
    assert [line["status"] for line in project.feed()] == ["lost"]
    assert {name: len(found) for name, found in server.delivered("runs").items()} == {record["run_id"]: 1}
    assert (project.folders()[0] / "stdout.log").read_text().startswith("hanging\n")
    assert took < 10, "it takes a tenth of a second, and more on a busy machine"
    # The checkout is free again, and nobody has anything left to close.
    assert project("run", "double", "free").returncode == 0
    assert [line["status"] for line in project.feed()] == ["lost", "success"]


def test_what_the_pipes_hold_is_saved(project: Project) -> None:
    """The runner is stopped, so that it reads nothing more, and then killed."""
    process = hanging(project, "chatty")
    process.send_signal(signal.SIGSTOP)
    mark = project.root / "said"
    wait_until(mark.exists)
    process.kill()
    process.communicate(timeout=30)
    wait_until(lambda: idle(project))
    assert (project.folders()[0] / "stdout.log").read_text().endswith("the last word\n")
    assert (project.folders()[0] / "transcript.log").read_text().endswith("the last word\n")


@pytest.mark.parametrize("mode", ["hang", "ignore_term", "hang_with_daemon"])
def test_a_killed_guardian_ends_the_run(project: Project, server: Ntfy, mode: str) -> None:
    process = hanging(notifying(project, server.url), mode)
    os.kill(guardian_of(process), signal.SIGKILL)
    out, err = process.communicate(timeout=30)
    record = project.record()
    assert (process.returncode, record["status"], record["ended_by"]) == (1, "lost", "lost"), out + err
    assert "the guardian" in record["error"]["message"]
    assert (record["survivors"], record["agent_signal"]) == (0, signal.SIGKILL)
    assert project.processes() == []
    assert idle(project)
    assert list(server.delivered("runs")) == [record["run_id"]]


def test_a_guardian_that_is_killed_before_the_agent_starts(project: Project, server: Ntfy) -> None:
    """Nobody knows then what it had started, or whether."""
    process = notifying(project, server.url).start(
        "run", "double", "free", "--var", "mode=hang", door=(HELD,), start_new_session=True
    )
    wait_until(lambda: any(state(pid) == "T" for pid in children_of(process.pid)))
    os.kill(guardian_of(process), signal.SIGKILL)
    out, err = process.communicate(timeout=30)
    record = project.record()
    assert (process.returncode, record["status"], record["survivors"]) == (1, "lost", 0), out + err
    assert project.processes() == []
    assert idle(project)
    assert list(server.delivered("runs")) == [record["run_id"]]


def test_a_stopped_guardian_holds_nothing_up(project: Project) -> None:
    process = project.start("run", "double", "free", "--var", "mode=hang", "--timeout", "3s")
    wait_until(lambda: any(path.stat().st_size for path in project.root.glob("logs/*/*/*/stdout.log")))
    os.kill(guardian_of(process), signal.SIGSTOP)
    process.communicate(timeout=60)
    record = project.record()
    assert (process.returncode, record["reason"], record["survivors"]) == (11, "timeout", 0)
    assert project.processes() == []


def test_the_guardian_is_deaf_to_what_ends_a_runner(project: Project) -> None:
    process = hanging(project)
    guardian = guardian_of(process)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(guardian, number)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert (process.returncode, project.record()["status"]) == (143, "interrupted")
    assert not Path(f"/proc/{guardian}").exists()


def test_the_guardian_holds_nothing_of_the_caller(project: Project) -> None:
    """Neither its streams, whose end a caller waits for, nor its session."""
    process = hanging(project)
    guardian = guardian_of(process)
    assert {os.readlink(f"/proc/{guardian}/fd/{fd}") for fd in (0, 1, 2)} == {"/dev/null"}
    assert os.getsid(guardian) == guardian
    process.terminate()
    process.communicate(timeout=30)


def test_descriptors_of_the_agent(project: Project) -> None:
    """Nothing is inherited but the three standard streams."""
    done = project("run", "double", "free", "--var", "mode=descriptors")
    assert done.returncode == 0, done.stderr
    assert project.record()["text"] == "0 1 2"


def test_both_killed_and_the_next_comer_ends_the_tree(project: Project, rung: str) -> None:
    process = hanging(project, "hang_with_daemon")
    kill_both(process)
    assert project.processes(), "nobody is there who could have ended it"
    assert project("heartbeat").returncode == 0
    record = project.record()
    assert (record["status"], record["survivors"]) == ("lost", 0)
    assert project.processes() == []
    assert f"runner-{record['run_id']}-{process.pid}" not in cgroups()


def test_an_unknown_rung_is_wrong_usage(project: Project) -> None:
    project.env["RUNNER_CONTAINMENT"] = "cgruop"
    done = project("run", "double", "free")
    assert done.returncode == 2
    assert "RUNNER_CONTAINMENT" in done.stderr


def test_the_lowest_rung(project: Project) -> None:
    project.env["RUNNER_CONTAINMENT"] = "group"
    done = project("run", "double", "free", "--var", "mode=stubborn_daemon")
    record = project.record()
    assert (done.returncode, record["containment"], record["survivors"]) == (0, "group", 0)
    assert project.processes() == []
