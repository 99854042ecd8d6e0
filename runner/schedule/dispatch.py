"""The schedules' part of a heartbeat: what is due is started, each occurrence as one process that outlives the beat.

What is decided is on the disk before it is done, and the process is born with the schedule's lock: so whoever is ended
where, no due time is started twice, and what was not run is seen by the next heartbeat.
"""

from __future__ import annotations

import os

from runner.schedule import due, state
from runner.schedule.state import Event, Ledger, Occurrence
from runner.text import one_line, rfc3339
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Protocol

    from runner.model import JsonObject
    from runner.records.folder import Logs
    from runner.schedule.due import Decision, Schedule

    class Start(Protocol):
        """Start the process of a schedule's occurrence, which keeps the descriptor `held`. Raises OSError."""

        def __call__(self, name: str, held: int) -> None: ...


_SETTLE = 10.0  # seconds in which a `runner run` that lost its parent has claimed its id, or never will
_SAID = 300
_TOLD = ("missed", "busy", "folded")


def advance(schedule: Schedule, logs: Logs, now: float, start: Start) -> tuple[Ledger, bool]:
    """One schedule: what its last occurrence left undone, and what is due; whether it was started. Raises OSError."""
    before = state.read(logs, schedule.name, now)
    if not _concerned(schedule, before, now):
        return before, False
    held = state.lock(logs, schedule.name)
    try:
        settled = before if held is None else _settled(logs, before, held, now)
        alive = held is None or settled.occurrence is not None
        reached, decisions = due.step(schedule, before.state, now, alive=alive)
        occurrence = settled.occurrence
        for decision in decisions:
            if decision.kind == "start":
                occurrence = Occurrence(decision.first, schedule.task, schedule.chains, schedule.overlap == "wait")
        events = [_event(schedule, decision, occurrence) for decision in decisions if decision.kind in _TOLD]
        after = Ledger(reached, occurrence, (*settled.untold, *events))
        if after != before:
            state.write(logs, schedule.name, after)
        started = occurrence is not settled.occurrence
        if started and held is not None:
            state.clear_notes(held)
            start(schedule.name, held)
        return after, started
    finally:
        if held is not None:
            os.close(held)


def _concerned(schedule: Schedule, found: Ledger, now: float) -> bool:
    if found.state is None or found.state.fingerprint != schedule.fingerprint:
        return True
    return found.occurrence is not None or due.is_due(found.state, now, alive=False)


def _settled(logs: Logs, found: Ledger, held: int, now: float) -> Ledger:
    """When no process holds the lock: without the last occurrence, but with what it left undone as events."""
    if found.occurrence is None:
        return found
    undone = _undone(logs, found.occurrence, state.notes(held, found.occurrence), now)
    return found if undone is None else replace(found, occurrence=None, untold=(*found.untold, *undone))


def _undone(logs: Logs, last: Occurrence, notes: Sequence[JsonObject], now: float) -> list[Event] | None:
    """Turns without a run; None while that is not clear."""
    begun = {note["turn"]: float(note["at"]) for note in notes if "turn" in note}
    done = {note["done"]: note["refused"] for note in notes if "done" in note}
    events, left = [], []
    for turn, chain in enumerate(last.chains):
        agent = chain.partition(",")[0]
        if done.get(turn):
            events.append(_cut(last, [agent], f"the agent could not be run: {one_line(done[turn], _SAID)}"))
        elif turn not in begun:
            left.append(agent)
        elif turn not in done and not state.left_a_trace(logs, last.task, begun[turn]):
            if 0 <= now - begun[turn] < _SETTLE:
                return None
            left.append(agent)
    return [*events, *([_cut(last, left, "its process was ended before this agent's turn")] if left else [])]


def _cut(last: Occurrence, agents: list[str], why: str) -> Event:
    return Event("missed", last.task, tuple(agents), f"the start of {_clock(last.due)}: {why}", last.due, last.due)


def _event(schedule: Schedule, found: Decision, occurrence: Occurrence | None) -> Event:
    begin, end = _clock(found.first), _clock(found.last)
    more = "at least " if found.count >= due.MOST else ""
    times = f"the start of {begin}" if found.count == 1 else f"{more}{found.count:,} starts from {begin} to {end}"
    if found.kind == "missed":
        message = f"{times}: no heartbeat came in time"
    elif found.kind == "folded":
        message = f"{times}: made up for by one later start"
    elif schedule.overlap == "wait":
        message = f"{times}: a later one took its place while it waited"
    else:
        message = f"{times}: the last one{f', of {_clock(occurrence.due)},' if occurrence else ''} still goes on"
    return Event(found.kind, schedule.task, schedule.agents, message, found.first, found.last, found.count)


def _clock(when: float) -> str:
    """`2026-02-19T03:00Z`."""
    return f"{rfc3339(when)[:16]}Z"


def retire(logs: Logs, configured: Iterable[str], now: float) -> dict[str, Ledger]:
    """Schedules that are configured no more: what they left undone, then nothing is kept of them. Raises OSError."""
    found = {}
    for name in set(state.names(logs)) - set(configured):
        held = state.lock(logs, name)
        if held is None:
            continue
        try:
            before = state.read(logs, name, now)
            after = replace(_settled(logs, before, held, now), state=None)
            if after == Ledger():
                state.remove(logs, name)
            elif after != before:
                state.write(logs, name, after)
            if before.state is not None and before.state.waiting is not None:
                waited = _clock(before.state.waiting)
                logs.note(f"the schedule {name} is gone; its start of {waited} waited, and is not made", now)
            found[name] = after
        finally:
            os.close(held)
    return found
