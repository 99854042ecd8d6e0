"""An agent puts something else where the runner writes or reads: nothing waits, one message goes out, all goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.hostile.strike import Hostile, strike

if TYPE_CHECKING:
    from tests.helpers import Project

KINDS = {
    "fifo": "mkfifo {}",
    "folder": "mkdir -p {}/full",
    "zero": "ln -s /dev/zero {}",
    "full": "ln -s /dev/full {}",
    "loop": "ln -s {} {}",
}
RUN, LOGS, ID = "$RUNNER_RUN_DIR", "$RUNNER_RUN_DIR/../../..", "$RUNNER_RUN_ID"
PLACES = {
    "metadata.json": f"{RUN}/metadata.json",
    "staging": f"{RUN}/metadata.json.new",
    "summary": f"{RUN}/summary.txt",
    "prompt": f"{RUN}/prompt.md",
    "transcript": f"{RUN}/transcript.log",
    "stdout": f"{RUN}/stdout.log",
    "reserve": f"{RUN}/.reserve",
    "journal": f"{LOGS}/runs.jsonl",
    "task log": f"{LOGS}/free/task.log",
    "runner log": f"{LOGS}/runner.log",
    "outbox": f"{LOGS}/outbox/{ID}.json",
    "outbox staging": f"{LOGS}/outbox/{ID}.json.new",
    "id": f"{LOGS}/ids/{ID}",
    "live": f"{LOGS}/live/{ID}",
    "streak": f"{LOGS}/state/streaks/free.evil.json",
    "cooldown": f"{LOGS}/state/cooldowns/evil.json",
    "heartbeat lock": f"{LOGS}/state/heartbeat.lock",
    "heartbeat log": f"{LOGS}/heartbeat/task.log",
}


def planted(project: Project, script: str) -> None:
    """An agent `evil` that runs a shell script and says that it is done."""
    agents = json.loads(json.dumps({"binary": "/bin/sh", "argv": ["-c", f"{script}\necho done"], "parser": "text"}))
    project.write("agents.yaml", json.dumps({"stock": False, "agents": {"evil": agents}}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_one_thing_in_the_way_silences_nothing(project: Project, place: str, kind: str) -> None:
    path = PLACES[place]
    script = f'mkdir -p "$(dirname {path})"; rm -rf "{path}"; ' + KINDS[kind].replace("{}", f'"{path}"')
    case = Hostile(f"{place} {kind}", lambda found: planted(found, script), ("run", "evil", "free"))
    struck = strike(project, case)
    assert struck.record is not None
    assert struck.record["status"] == "success"
    assert struck.record["notification"]["state"] == "delivered"
    for words in (("heartbeat",), ("runs",), ("notify", "flush")):
        done = project(*words, timeout=30)
        assert done.returncode == 0, f"{words}: {done.stderr}"
    assert project("triage", timeout=30).returncode in (0, 1)
    last = project("run", "evil", "free", timeout=30)
    assert last.returncode == 0, last.stdout


def test_what_was_moved_aside_is_named(project: Project) -> None:
    planted(project, f"mkfifo {RUN}/summary.txt {RUN}/metadata.json.new")
    assert project("run", "evil", "free").returncode == 0
    told = " ".join(project.record()["notes"]) + (project.root / "logs" / "runner.log").read_text()
    assert "metadata.json.new.damaged" in told
    assert "summary.txt.damaged" in told
