"""`runner ps` and `runner stop`."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.helpers import kill_both, wait_until

if TYPE_CHECKING:
    import subprocess

    from tests.helpers import Project


def hanging(project: Project, mode: str) -> tuple[subprocess.Popen[str], str]:
    process = project.start("run", "double", "free", "--var", f"mode={mode}")
    wait_until(lambda: any(path.stat().st_size for path in project.root.glob("logs/*/*/*/stdout.log")))
    return process, project.folders()[-1].name


def test_ps_shows_live_runs(project: Project) -> None:
    assert project("ps").stdout == "no run lives\n"
    process, run_id = hanging(project, "hang_colourfully")
    (run,) = json.loads(project("ps", "--json").stdout)
    assert (run["run_id"], run["agent"], run["task"], run["pid"]) == (run_id, "double", "free", process.pid)
    assert run["last_output"] == "red"
    assert [found["pid"] for found in run["processes"]] == project.processes()
    shown = project("ps").stdout
    assert run_id in shown
    assert "\x1b" not in shown
    project("stop", run_id)
    process.communicate(timeout=30)
    assert project("ps", "--json").stdout == "[]\n"


@pytest.mark.parametrize("mode", ["hang", "hang_with_daemon"])
def test_stop_ends_a_run_and_waits_for_it(project: Project, mode: str) -> None:
    process, run_id = hanging(project, mode)
    done = project("stop", run_id)
    assert (done.returncode, done.stdout) == (0, "interrupted: double free\n"), done.stderr
    assert project.record()["status"] == "interrupted"
    assert project.processes() == []
    process.communicate(timeout=30)
    assert process.returncode == 143


def test_now_leaves_no_grace(project: Project) -> None:
    text = (project.root / "agents.yaml").read_text()
    project.write("agents.yaml", text.replace("    parser: text\n", "    parser: text\n    grace: 50s\n"))
    process, run_id = hanging(project, "ignore_term")
    began = time.monotonic()
    assert project("stop", run_id, "--now").returncode == 0
    assert time.monotonic() - began < 25
    assert project.record()["status"] == "interrupted"
    process.communicate(timeout=30)


def test_what_does_not_live_cannot_be_stopped(project: Project) -> None:
    assert project("run", "double", "free").returncode == 0
    done = project("stop", project.folders()[0].name)
    assert done.returncode == 2
    assert "no run lives" in done.stderr


def test_a_pid_of_another_process_gets_no_signal(project: Project) -> None:
    """A lost run is closed before it is looked for, and its pid is believed only with its file open."""
    process, run_id = hanging(project, "hang")
    kill_both(process)
    live = project.root / "logs" / "live" / run_id
    live.write_text("\n".join([f"{os.getpid()} ", *live.read_text().split("\n")[1:]]))
    assert project("stop", run_id).returncode == 2
    assert project.record()["status"] == "lost"


@pytest.mark.parametrize("name", ["../../agents.yaml", "..", "a/b", "", "\x1b[31m"])
def test_an_id_never_leaves_its_folder(project: Project, name: str) -> None:
    done = project("stop", name)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
