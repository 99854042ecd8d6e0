"""The schedules' part of a heartbeat: start what is due, each occurrence as one process that outlives the heartbeat.

What is decided is on the disk before it is done, and the process inherits the schedule's lock: so wherever a process is
killed, no due time is started twice, and the next heartbeat sees what was not run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from runner.model import JsonObject
from runner.records.folder import Logs
from runner.schedule import due, state
from runner.schedule.due import Decision, Schedule
from runner.schedule.state import Event, Occurrence, ScheduleState
from runner.text import one_line, rfc3339
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Start(Protocol):
        """Start the process of a schedule's occurrence, which keeps the descriptor `held`. Raises OSError."""

        def __call__(self, name: str, held: int) -> None: ...


_CLAIM_TIME = 10.0  # seconds in which a `runner run` that lost its parent has claimed its id, or never will
_MAX_TEXT = 300
_REPORTED = ("missed", "busy", "coalesced")


def dispatch(schedule: Schedule, logs: Logs, now: float, start: Start) -> tuple[ScheduleState, bool]:
    """See what the last occurrence left undone and start what is due; return whether one started.

    Raises OSError and due.BrokenScheduleError.
    """
    if not schedule.agents:
        raise due.BrokenScheduleError
    before = state.read(logs, schedule.name, now)
    if not _needs_attention(schedule, before, now):
        return before, False
    held = state.lock(logs, schedule.name)
    try:
        current = before if held is None else _without_ended(logs, before, held, now)
        alive = held is None or current.occurrence is not None
        progress, decisions = due.decide(schedule, before.progress, now, alive=alive)
        occurrence = current.occurrence
        for decision in decisions:
            if decision.kind == "start":
                occurrence = Occurrence(decision.first, schedule.task, schedule.chains, schedule.overlap == "wait")
        events = [_event(schedule, decision, occurrence) for decision in decisions if decision.kind in _REPORTED]
        after = ScheduleState(progress, occurrence, (*current.unreported, *events))
        if after != before:
            state.write(logs, schedule.name, after)
        started = occurrence is not current.occurrence
        if started and held is not None:
            state.clear_notes(held)
            start(schedule.name, held)
        return after, started
    finally:
        if held is not None:
            os.close(held)


def _needs_attention(schedule: Schedule, found: ScheduleState, now: float) -> bool:
    if found.progress is None or found.progress.fingerprint != schedule.fingerprint:
        return True
    return found.occurrence is not None or due.is_due(found.progress, now, alive=False)


def _without_ended(logs: Logs, found: ScheduleState, held: int, now: float) -> ScheduleState:
    """Replace the last occurrence, which holds its lock no longer, by what it left undone as events."""
    if found.occurrence is None:
        return found
    undone = _undone(logs, found.occurrence, state.notes(held, found.occurrence), now)
    return found if undone is None else replace(found, occurrence=None, unreported=(*found.unreported, *undone))


def _undone(logs: Logs, last: Occurrence, notes: Sequence[JsonObject], now: float) -> list[Event] | None:
    """The turns without a run; None while that is not clear yet."""
    started = {note["turn"]: float(note["at"]) for note in notes if "turn" in note}
    done = {note["done"]: note["refused"] for note in notes if "done" in note}
    events, left = [], []
    for turn, chain in enumerate(last.chains):
        agent = chain.partition(",")[0]
        if done.get(turn):
            events.append(
                _undone_event(last, [agent], f"the agent could not be run: {one_line(done[turn], _MAX_TEXT)}")
            )
        elif turn not in started:
            left.append(agent)
        elif turn not in done and not state.claimed_since(logs, last.task, started[turn]):
            if 0 <= now - started[turn] < _CLAIM_TIME:
                return None
            left.append(agent)
    return [*events, *([_undone_event(last, left, "its process was ended before this agent's turn")] if left else [])]


def _undone_event(last: Occurrence, agents: list[str], why: str) -> Event:
    return Event("missed", last.task, tuple(agents), f"the start of {_clock(last.due)}: {why}", last.due, last.due)


def _event(schedule: Schedule, found: Decision, occurrence: Occurrence | None) -> Event:
    begin, end = _clock(found.first), _clock(found.last)
    more = "at least " if found.count >= due.MAX_TIMES else ""
    times = f"the start of {begin}" if found.count == 1 else f"{more}{found.count:,} starts from {begin} to {end}"
    if found.kind == "missed":
        message = f"{times}: no heartbeat came in time"
    elif found.kind == "coalesced":
        message = f"{times}: made up for by one later start"
    elif schedule.overlap == "wait":
        message = f"{times}: a later one took its place while it waited"
    else:
        message = f"{times}: the last one{f', of {_clock(occurrence.due)},' if occurrence else ''} still goes on"
    return Event(found.kind, schedule.task, schedule.agents, message, found.first, found.last, found.count)


def _clock(when: float) -> str:
    """`2026-02-19T03:00Z`."""
    return f"{rfc3339(when)[:16]}Z"


def drop(logs: Logs, configured: Iterable[str], now: float) -> dict[str, ScheduleState]:
    """Remove schedules that are no longer configured, once what they left undone is reported. Raises OSError."""
    found = {}
    for name in set(state.names(logs)) - set(configured):
        held = state.lock(logs, name)
        if held is None:
            continue
        try:
            before = state.read(logs, name, now)
            after = replace(_without_ended(logs, before, held, now), progress=None)
            if after == ScheduleState():
                state.remove(logs, name)
            elif after != before:
                state.write(logs, name, after)
            if before.progress is not None and before.progress.waiting is not None:
                waited = _clock(before.progress.waiting)
                logs.note(f"the schedule {name} is gone; its start of {waited} waited, and is dropped", now)
            found[name] = after
        finally:
            os.close(held)
    return found
