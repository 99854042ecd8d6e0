"""What an agent can do to the processes above it, and to the folder in which it works."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import notifying, wait_until
from tests.hostile.strike import SECRET, Hostile, strike

if TYPE_CHECKING:
    from tests.helpers import Project

PARENT = "$PPID"
GRANDPARENT = "$(sed 's/.*) . \\([0-9]*\\).*/\\1/' /proc/$PPID/stat)"


def evil(project: Project, script: str, **task: object) -> None:
    """An agent that runs a shell script and says that it is done, on a task `work`."""
    agent = {"binary": "/bin/sh", "argv": ["-c", f"{script}\necho done"], "parser": "text"}
    project.write("agents.yaml", json.dumps({"stock": False, "agents": {"evil": agent}}))
    tasks = (project.root / "tasks.yaml").read_text()
    entry = {"description": "d", "prompt": "prompts/free.md", **task}
    project.write("tasks.yaml", tasks.replace("tasks:\n", f"tasks:\n  work: {json.dumps(entry)}\n"))


@pytest.mark.parametrize("pid", [PARENT, GRANDPARENT], ids=["guardian", "runner"])
def test_the_environment_above_the_agent_holds_no_secret(project: Project, pid: str) -> None:
    """Neither encoded nor plain: the agent writes what it finds to a file that nobody masks."""
    found = project.home / "found"
    script = f"tr '\\0' '\\n' </proc/{pid}/environ >{found}"
    strike(project, Hostile("environ", lambda p: evil(p, script), ("run", "evil", "work")))
    text = found.read_text()
    assert "DOUBLE_API_KEY=" in text
    assert SECRET not in text
    assert "PATH=/" in text, "what is no secret stays"


MOVES = {
    "moved": "mv $PWD ../moved",
    "moved and replaced": "mv $PWD ../moved; mkdir $OLDPWD_; cd /",
    "run folder unreadable": "chmod 000 $RUNNER_RUN_DIR",
    "logs unreadable": "chmod 000 $RUNNER_RUN_DIR/../../..",
    "run folder a file": "rm -rf $RUNNER_RUN_DIR; echo x >$RUNNER_RUN_DIR",
    "run folder a link": "rm -rf $RUNNER_RUN_DIR; ln -s /tmp $RUNNER_RUN_DIR",
    "task folder a file": "rm -rf $RUNNER_RUN_DIR/../..; echo x >$(dirname $(dirname $RUNNER_RUN_DIR))",
    "logs gone": "rm -rf $RUNNER_RUN_DIR/../../..",
    "logs a file": "L=$(dirname $(dirname $(dirname $RUNNER_RUN_DIR))); rm -rf $L; echo x >$L",
    "project gone": "cd ..; rm -rf project",
    "home gone": "rm -rf $HOME; echo x >$HOME",
}


@pytest.mark.parametrize("name", MOVES)
def test_a_folder_that_goes_away_takes_no_message_with_it(project: Project, name: str) -> None:
    script = MOVES[name].replace("$OLDPWD_", str(project.root))
    with Ntfy() as server:
        notifying(project, server.url)
        evil(project, script)
        done = project("run", "evil", "work", timeout=60)
        assert "Traceback" not in done.stderr
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        delivered = server.delivered("runs")
    assert len(delivered) == 1
    assert all(len(revisions) == 1 for revisions in delivered.values())
    for path in (project.root, *project.root.parent.rglob("logs")):
        if path.exists():
            path.chmod(0o755)


@pytest.mark.parametrize("late", [60, 600], ids=["continued", "ended"])
def test_a_run_whose_processes_are_stopped_is_dealt_with(project: Project, late: float) -> None:
    with Ntfy() as server:
        notifying(project, server.url)
        evil(project, f"kill -STOP {GRANDPARENT} {PARENT}; sleep 1000", timeout="1s")
        process = project.start("run", "evil", "work")
        wait_until(lambda: _stopped(process.pid))
        live = next((project.root / "logs" / "live").iterdir())
        lines = live.read_text().splitlines()
        ends_by = f"ends_by {time.monotonic() - late:.0f}"
        # In place: the lock is on this very file.
        with live.open("r+") as file:
            file.write("\n".join([*(line for line in lines if not line.startswith("ends_by")), ends_by]) + "\n")
            file.truncate()
        assert project("heartbeat").returncode == 0
        process.communicate(timeout=30)
        wait_until(
            lambda: project("heartbeat").returncode == 0 and not list((project.root / "logs" / "live").iterdir())
        )
        assert project.record()["status"] == ("timed_out" if late == 60 else "lost")
        assert [len(revisions) for revisions in server.delivered("runs").values()] == [1]
    assert project.processes() == []


def _stopped(pid: int) -> bool:
    from pathlib import Path

    return ") T " in Path(f"/proc/{pid}/stat").read_text()
