"""The state files that commit b06c8b8 wrote are read as it meant them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from runner.notify.last_good import LOADING, LOGGED, LastGoodConfig, LastGoodFile
from runner.notify.notifier import Notifier, _read, _read_streak
from runner.notify.outbox import Outbox, Pending, Target
from runner.notify.policy import Policy, Streak
from runner.records.folder import Logs
from runner.run import cooldown
from runner.schedule import missed, state
from runner.schedule.due import Progress
from runner.schedule.state import Event, Occurrence, ScheduleState

DATA = Path(__file__).parent / "data" / "state_of_b06c8b8"
NOON = 1771502400.0
NTFY = {"kind": "ntfy", "url": "http://127.0.0.1:9", "topic": "t", "token_env": "TOKEN", "click": None}


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    shutil.copytree(DATA, tmp_path / "old")
    for path in (tmp_path / "old").rglob("*.json"):
        path.chmod(0o600)
    return Logs(str(tmp_path / "old" / "logs"))


def test_outbox(logs: Logs) -> None:
    outbox = Outbox(logs)
    closed, running = (outbox.read(name) for name in outbox.ids())
    assert isinstance(closed, Pending) and isinstance(running, Pending)
    assert closed.targets == (
        Target(NTFY, attempts=2, next_at=NOON + 60, last_error="503"),
        Target({"kind": "command", "argv": ["mail"]}, "delivered", 1, delivered_at=NOON, server_id="x"),
    )
    assert (closed.created_at, closed.final, closed.run_dir) == (NOON, True, "free/double/20260219_120000")
    assert (closed.message.title, closed.message.tags, closed.message.priority) == ("double free: failed", ("x",), 4)
    assert closed.message.actions == ({"action": "view", "label": "open", "url": "http://x"},)
    assert closed.message.record == {"run_id": "20260219_120000", "status": "failed"}
    assert (running.final, running.message.delay) == (False, "20m")
    assert outbox.dead_ids() == []


def test_schedules(logs: Logs) -> None:
    assert state.names(logs) == ["never", "nightly"]
    assert state.read(logs, "never", NOON) == ScheduleState()
    found = state.read(logs, "nightly", NOON)
    assert found.progress == Progress(
        "0 * * * * | UTC | 0",
        NOON,
        NOON + 3600,
        NOON + 3600.5,
        None,
        ((0.0, NOON - 1),),
        ((NOON + 1, NOON + 2),),
    )
    assert found.occurrence == Occurrence(NOON, "nightly", ("a,b", "c"), waits_for_checkout=True)
    assert found.unreported == (
        Event("missed", "nightly", ("a", "b"), "3 starts", NOON, NOON + 1, 3),
        Event("folded", "nightly", ("a",), "made up for", NOON, NOON, recorded=True),
    )
    logs.prepare()
    missed.record(found.unreported, logs, NOON)
    assert Path(logs.path("nightly", "task.log")).read_text().splitlines()[-1].endswith("made up for")
    before = Path(state.path(logs, "nightly")).read_text()
    state.write(logs, "nightly", found)
    assert Path(state.path(logs, "nightly")).read_text() == before, "the keys stay"


def test_streaks_and_skips(logs: Logs) -> None:
    assert _read_streak(logs.path("state", "streaks", "free.double.json")) == Streak("no_output", 3)
    skip = {"reason": "missing_requirement", "message": "KEY is not set"}
    assert _read(logs.path("state", "skips", "free.double.json")) == skip
    notifier = Notifier(logs, Outbox(logs), Policy((NTFY,)))
    line = {"task": "free", "agent": "double", "reason": skip["reason"], "error": {"message": skip["message"]}}
    assert notifier.notify_skipped(line)["state"] == "off", "it was reported before"


def test_cooldown(logs: Logs) -> None:
    found = cooldown.read(logs, "a")
    assert found is not None
    assert (found.reason, found.since, found.run_id) == ("auth", NOON, "20260219_120000")


def test_last_good_configuration(logs: Logs) -> None:
    file = LastGoodFile(os.path.join(os.path.dirname(logs.root), "state"), "/p")
    found = file.read()
    reported = {LOADING: "0123456789abcdef", "double free": "fedcba9876543210", LOGGED: "fedcba9876543210"}
    assert found == LastGoodConfig(
        "abc", {"ntfy": {"topic": "{{ env.TOPIC }}"}}, "run logs", ("/p/agents.yaml",), reported
    )
    file.write(found)
    assert file.read() == found
