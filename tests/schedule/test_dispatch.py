"""The state of schedules: each step is on the disk before it is done, wherever a process is killed."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from runner.notify.outbox import Outbox
from runner.notify.policy import Policy
from runner.records.folder import Logs
from runner.schedule import dispatch, missed, state
from runner.schedule.due import Schedule
from runner.schedule.state import Event, ScheduleState

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 2, 19, 12, tzinfo=UTC).timestamp()
MINUTE = 60.0


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    logs = Logs(str(tmp_path / "logs"))
    logs.prepare()
    return logs


class Machine:
    """Schedules over a log folder, whose occurrences live as long as a test wants."""

    def __init__(self, logs: Logs, **more: Any) -> None:
        self.logs = logs
        self.schedule = Schedule("t", "t", "0 * * * *", "UTC", ("a", "b"), **more)
        self.started: list[int] = []

    def start(self, name: str, held: int) -> None:
        assert name == "t"
        self.started.append(os.dup(held))

    def heartbeat(self, minute: float) -> tuple[ScheduleState, bool]:
        return dispatch.dispatch(self.schedule, self.logs, NOON + minute * MINUTE, self.start)

    def run_turns(self, *turns: dict[str, Any]) -> None:
        """Note what the occurrence's process does, and end it."""
        held = self.started.pop()
        occurrence = state.read(self.logs, "t", NOON).occurrence
        assert occurrence
        for turn in turns:
            state.add_note(held, occurrence, **turn)
        os.close(held)


@pytest.fixture
def machine(logs: Logs) -> Machine:
    machine = Machine(logs)
    assert machine.heartbeat(1) == (state.read(logs, "t", NOON), False)
    return machine


def turn(number: int, minute: float = 60) -> dict[str, Any]:
    return {"turn": number, "at": NOON + minute * MINUTE}


def done(number: int, refused: str | None = None) -> dict[str, Any]:
    return {"done": number, "code": 0, "refused": refused}


WELL = (turn(0), done(0), turn(1), done(1))


def test_an_occurrence_from_its_start_to_its_end(machine: Machine) -> None:
    found, started = machine.heartbeat(60)
    assert started and found.occurrence and found.occurrence.chains == ("a", "b")
    assert state.lock(machine.logs, "t") is None
    assert machine.heartbeat(61) == (found, False)
    machine.run_turns(*WELL)
    found, started = machine.heartbeat(62)
    assert (found.occurrence, found.unreported, started) == (None, (), False)
    assert machine.heartbeat(120)[1]


def test_busy(machine: Machine) -> None:
    machine.heartbeat(60)
    found, started = machine.heartbeat(120)
    assert not started
    assert [(event.kind, event.message) for event in found.unreported] == [
        ("busy", "the start of 2026-02-19T14:00Z: the last one, of 2026-02-19T13:00Z, still goes on")
    ]


def test_waiting(logs: Logs) -> None:
    machine = Machine(logs, overlap="wait")
    machine.heartbeat(1)
    machine.heartbeat(60)
    assert not machine.heartbeat(120)[1]
    found, _ = machine.heartbeat(180)
    assert [event.message for event in found.unreported] == [
        "the start of 2026-02-19T14:00Z: a later one took its place while it waited"
    ]
    machine.run_turns(*WELL)
    found, started = machine.heartbeat(181)
    assert started and found.occurrence and found.occurrence.due == NOON + 180 * MINUTE


@pytest.mark.parametrize(
    ("turns", "agents", "why"),
    [
        ((), ("a", "b"), "its process was ended before this agent's turn"),
        ((turn(0), done(0)), ("b",), "its process was ended before this agent's turn"),
        ((turn(0), done(0), turn(1)), ("b",), "its process was ended before this agent's turn"),
        ((turn(0), done(0), turn(1), done(1, "no such agent")), ("b",), "the agent could not be run: no such agent"),
    ],
)
def test_what_an_occurrence_left_undone(
    machine: Machine, turns: tuple[dict[str, Any], ...], agents: tuple[str, ...], why: str
) -> None:
    machine.heartbeat(60)
    machine.run_turns(*turns)
    found, _ = machine.heartbeat(62)
    assert found.occurrence is None
    assert [(event.kind, event.agents) for event in found.unreported] == [("missed", agents)]
    assert found.unreported[0].message == f"the start of 2026-02-19T13:00Z: {why}"


def test_a_turn_that_claimed_an_id_was_run(machine: Machine) -> None:
    machine.heartbeat(60)
    machine.run_turns(turn(0), done(0), turn(1))
    claim = machine.logs.claim("20260219_130005", "t", "b")
    assert claim is not None
    machine.logs.release(claim, keep_id=True)
    assert machine.heartbeat(62)[0].unreported == ()


def test_a_turn_that_may_still_claim_one_is_not_judged_yet(machine: Machine) -> None:
    machine.heartbeat(60)
    machine.run_turns(turn(0), done(0), turn(1))
    found, _ = machine.heartbeat(60.1)
    assert found.occurrence is not None
    assert found.unreported == ()
    assert machine.heartbeat(60.2)[0].unreported[0].agents == ("b",)


def test_a_heartbeat_that_is_killed_before_its_process_starts(machine: Machine) -> None:
    def broken(name: str, held: int) -> None:
        raise OSError("no more processes")

    with pytest.raises(OSError, match="no more"):
        dispatch.dispatch(machine.schedule, machine.logs, NOON + 60 * MINUTE, broken)
    found, started = machine.heartbeat(61)
    assert not started
    assert [event.agents for event in found.unreported] == [("a", "b")]


def test_what_an_earlier_occurrence_noted_says_nothing_of_this_one(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heartbeat is killed when the state is written, and the notes are not yet cleared."""
    machine.heartbeat(60)
    machine.run_turns(*WELL)

    def ended(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(state, "clear_notes", ended)
        with pytest.raises(KeyboardInterrupt):
            machine.heartbeat(120)
    assert machine.started == []
    assert [event.agents for event in machine.heartbeat(121)[0].unreported] == [("a", "b")]


def test_a_state_that_cannot_be_written_starts_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(state, "write", full)
        with pytest.raises(OSError, match="No space"):
            machine.heartbeat(60)
    assert machine.started == []
    assert machine.heartbeat(61)[1]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"state": {}}', '{"state": null, "occurrence": {"due": "x"}, "untold": []}', "\xff"],
)
def test_a_damaged_state_starts_over(machine: Machine, text: str) -> None:
    path = state.path(machine.logs, "t")
    with open(path, "w", encoding="latin-1") as file:
        file.write(text)
    found, started = machine.heartbeat(60)
    assert started and found.progress is not None
    with open(machine.logs.path("runner.log"), encoding="utf-8") as file:
        assert "cannot be read, so it starts over" in file.read()


def test_a_lock_without_a_state_is_an_occurrence_all_the_same(machine: Machine) -> None:
    machine.heartbeat(60)
    os.unlink(state.path(machine.logs, "t"))
    found, started = machine.heartbeat(120)
    assert not started
    assert [event.message for event in found.unreported] == [
        "the start of 2026-02-19T14:00Z: the last one still goes on"
    ]


def test_a_state_comes_back_as_it_was_written(machine: Machine) -> None:
    machine.heartbeat(60)
    found, _ = machine.heartbeat(400)
    assert len(found.unreported) == 1 and found.unreported[0].count == 5
    assert state.read(machine.logs, "t", NOON) == found


def test_a_schedule_that_is_gone(machine: Machine) -> None:
    machine.heartbeat(60)
    assert dispatch.drop(machine.logs, [], NOON) == {}  # it lives
    machine.run_turns(turn(0), done(0))
    found = dispatch.drop(machine.logs, [], NOON + 3700)
    assert [event.agents for event in found["t"].unreported] == [("b",)]
    state.write(machine.logs, "t", ScheduleState())
    assert dispatch.drop(machine.logs, ["u"], NOON + 3700) == {"t": ScheduleState()}
    assert os.listdir(machine.logs.path("state", "schedules")) == []


def test_a_start_that_waits_for_a_schedule_that_is_gone(logs: Logs) -> None:
    machine = Machine(logs, overlap="wait")
    for minute in (1, 60, 120):
        machine.heartbeat(minute)
    machine.run_turns(*WELL)
    assert dispatch.drop(logs, [], NOON) == {"t": ScheduleState()}
    with open(logs.path("runner.log"), encoding="utf-8") as file:
        assert "the schedule t is gone; its start of 2026-02-19T14:00Z waited, and is dropped" in file.read()


MISSED = Event("missed", "t", ("a", "b"), "3 starts: no heartbeat came in time", NOON, NOON + 7200, 3)


def feed(logs: Logs) -> list[dict[str, Any]]:
    with open(logs.path("runs.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def test_a_line_for_each_gap_and_agent(logs: Logs) -> None:
    events = [
        MISSED,
        Event("busy", "u", ("c",), "…", NOON, NOON),
        Event("coalesced", "t", ("a",), "made up for", NOON, NOON),
    ]
    missed.record(events, logs, NOON)
    assert [
        (line["run_id"][-2:], line["task"], line["agent"], line["status"], line["reason"]) for line in feed(logs)
    ] == [
        ("00", "t", "a", "missed", "missed"),
        ("02", "t", "b", "missed", "missed"),
        ("03", "u", "c", "skipped", "busy"),
    ]
    assert feed(logs)[0]["exit_code"] is None
    assert os.listdir(logs.path("live")) == []
    with open(logs.path("t", "task.log"), encoding="utf-8") as file:
        assert file.read().splitlines()[-1].endswith("made up for")


def test_more_lines_than_a_second_has_ids_for_one_search(logs: Logs) -> None:
    many = [Event("missed", f"t{number}", ("a",), "…", NOON, NOON) for number in range(250)]
    missed.record(many, logs, NOON)
    assert len({line["run_id"] for line in feed(logs)}) == 250


NTFY, OTHER = {"kind": "ntfy", "topic": "a"}, {"kind": "ntfy", "topic": "b"}
POLICIES = {
    "t": Policy((NTFY,)),
    "u": Policy((NTFY,)),
    "v": Policy((OTHER,), statuses=frozenset(("missed",))),
    "quiet": Policy(),
    "deaf": Policy((NTFY,), statuses=frozenset(("success",))),
}


@pytest.mark.parametrize(
    ("tasks", "titles"),
    [
        (["t"], ["t: missed"]),
        (["t", "u"], ["2 tasks: missed"]),
        (["t", "v", "u"], ["2 tasks: missed", "v: missed"]),
        (["quiet", "deaf"], []),
        (["t"] * 30, ["t: missed"]),
    ],
)
def test_one_message_for_each_set_of_targets(logs: Logs, tasks: list[str], titles: list[str]) -> None:
    outbox = Outbox(logs)
    events = [Event("missed", task, ("a",), "no heartbeat", NOON, NOON) for task in tasks]
    events.append(Event("busy", "t", ("a",), "…", NOON, NOON))
    assert missed.notify(events, outbox, POLICIES.__getitem__, NOON) == len(titles)
    found = [pending for name in outbox.ids() if (pending := outbox.read(name))]
    assert [pending.message.title for pending in found] == titles
    for pending in found:
        assert (pending.message.priority, pending.message.tags) == (4, ("x",))
        assert pending.message.body.endswith("cron runs `runner heartbeat` each minute")
        assert len(pending.message.body.splitlines()) <= 22
