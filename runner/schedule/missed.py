"""Report due times that were not started: a line in runs.jsonl for each agent, and one message for all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from runner.mask import mask_known_tokens
from runner.model import JsonObject, Skip
from runner.notify.channels.base import Message
from runner.notify.notifier import shaping
from runner.notify.outbox import Outbox, Pending, Target
from runner.notify.policy import Policy, Streak, route
from runner.reasons import reason_of
from runner.records import metadata
from runner.records.folder import Claim, Logs, candidate_ids
from runner.records.metadata import Record
from runner.schedule.state import Event
from runner.text import one_line, rfc3339

_MAX_SCHEDULES = 20  # in a message
_MAX_LINE = 300
_MAX_IDS = 100  # of one second: the search for a free one always begins with the first


def record(events: Iterable[Event], logs: Logs, now: float) -> None:
    """Append one line to runs.jsonl for each event and agent. Raises OSError and RecordError."""
    number = 0
    for event in events:
        if event.kind in ("coalesced", "folded"):  # the second is how older versions called it
            logs.append_line((event.task, "task.log"), f"{rfc3339(now)} - - {event.message}")
            continue
        for agent in event.agents:
            claim = _claim(logs, event.task, agent, now + number // _MAX_IDS)
            try:
                logs.append_run(line(event, agent, claim.run_id, now))
            finally:
                logs.release(claim, keep_id=True)
            number += 1


def _claim(logs: Logs, task: str, agent: str, when: float) -> Claim:
    for run_id in candidate_ids(when):
        claim = logs.claim(run_id, task, agent)
        if claim is not None:
            return claim
    raise AssertionError("candidate_ids ends by raising")


def line(event: Event, agent: str, run_id: str, now: float) -> Record:
    """The record of a run that was not started, as of a skipped one."""
    identity = {"run_id": run_id, "agent": agent, "task": event.task, "model": None, "trigger": "schedule"}
    return metadata.skipped(Skip(event.kind, event.message), identity, now)


def notify(events: Sequence[Event], outbox: Outbox, policy_of: Callable[[str], Policy], now: float) -> int:
    """Put one message for all that was missed into the outbox, or one for each set of targets; return how many.

    The next flush sends them. Raises OSError, and ConfigError for a policy that cannot be read.
    """
    groups: dict[str, tuple[tuple[JsonObject, ...], int, list[Event]]] = {}
    for event in events:
        if event.kind == "missed":
            found = route(policy_of(event.task), line(event, "", "", now), Streak(), now)
            if found.targets:
                key = json.dumps(found.targets, sort_keys=True)
                groups.setdefault(key, (found.targets, found.priority or 0, []))[2].append(event)
    for number, (targets, priority, missed) in enumerate(groups.values(), 1):
        name = f"missed_{now:.0f}" + (f"_{number}" if number > 1 else "")
        message = _message(name, missed, priority, targets)
        outbox.write(Pending(message, now, tuple(Target(target) for target in targets)))
    return len(groups)


def _message(name: str, missed: list[Event], priority: int, targets: tuple[JsonObject, ...]) -> Message:
    row = reason_of("missed")
    tasks = list(dict.fromkeys(event.task for event in missed))
    lines = [f"{event.task} ({', '.join(event.agents)}): {one_line(event.message, _MAX_LINE)}" for event in missed]
    more = [f"… {len(lines) - _MAX_SCHEDULES} more"] if len(lines) > _MAX_SCHEDULES else []
    settings = shaping(targets)
    return Message(
        title=f"{tasks[0]}: missed" if len(tasks) == 1 else f"{len(tasks)} tasks: missed",
        body=mask_known_tokens("\n".join([*lines[:_MAX_SCHEDULES], *more, f"do: {row.advice}"])),
        tags=(row.tag,),
        priority=priority or row.priority,
        click=settings.get("click"),
        actions=tuple(settings.get("actions") or ()),
        message_id=name,
        record={"run_id": name, "status": row.status, "reason": "missed", "missed": [_portable(one) for one in missed]},
    )


def _portable(event: Event) -> JsonObject:
    return {
        "task": event.task,
        "agents": list(event.agents),
        "count": event.count,
        "first": rfc3339(event.first),
        "last": rfc3339(event.last),
        "message": mask_known_tokens(event.message),
    }
