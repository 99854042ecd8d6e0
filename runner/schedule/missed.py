"""Due times that were not started, told: a line in the feed for each agent, and one message for all that was missed."""

from __future__ import annotations

import json

from runner.mask import mask_known_tokens
from runner.model import Skip
from runner.notify.channels.base import Message
from runner.notify.outbox import Pending, Target
from runner.notify.policy import Streak, decide
from runner.reasons import reason_of
from runner.records import metadata
from runner.records.folder import candidate_ids
from runner.records.metadata import Record
from runner.text import one_line, rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runner.model import JsonObject
    from runner.notify.outbox import Outbox
    from runner.notify.policy import Policy
    from runner.records.folder import Claim, Logs
    from runner.schedule.state import Event

_SHOWN = 20  # schedules in a message
_LINE = 300
_IDS = 100  # of one second: each is looked for from the first one on


def record(events: Iterable[Event], logs: Logs, now: float) -> None:
    """One line in the feed for each event and agent. Raises OSError and RecordError."""
    number = 0
    for event in events:
        if event.kind == "folded":
            logs.append_line((event.task, "task.log"), f"{rfc3339(now)} - - {event.message}")
            continue
        for agent in event.agents:
            claim = _claim(logs, event.task, agent, now + number // _IDS)
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
    """As a skipped run has it."""
    identity = {"run_id": run_id, "agent": agent, "task": event.task, "model": None, "trigger": "schedule"}
    return metadata.skipped(Skip(event.kind, event.message), identity, now)


def tell(events: Sequence[Event], outbox: Outbox, policy_of: Callable[[str], Policy], now: float) -> int:
    """Put one message for all that was missed into the outbox, or one for each group of people who hear of it.

    How many; the next flush sends them. Raises OSError, and ConfigError for a policy that cannot be read.
    """
    groups: dict[str, tuple[tuple[JsonObject, ...], int, list[Event]]] = {}
    for event in events:
        if event.kind == "missed":
            decision = decide(policy_of(event.task), line(event, "", "", now), Streak(), now)
            if decision.targets:
                _, _, heard = groups.setdefault(
                    json.dumps(decision.targets, sort_keys=True), (decision.targets, decision.priority or 0, [])
                )
                heard.append(event)
    for number, (targets, priority, missed) in enumerate(groups.values(), 1):
        name = f"missed_{now:.0f}" + (f"_{number}" if number > 1 else "")
        message = _message(name, missed, priority, targets)
        outbox.write(Pending(message, now, tuple(Target(target) for target in targets)))
    return len(groups)


def _message(name: str, missed: list[Event], priority: int, targets: tuple[JsonObject, ...]) -> Message:
    row = reason_of("missed")
    tasks = list(dict.fromkeys(event.task for event in missed))
    lines = [f"{event.task} ({', '.join(event.agents)}): {one_line(event.message, _LINE)}" for event in missed]
    more = [f"… {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    settings = next((target for target in targets if target.get("click") or target.get("actions")), {})
    return Message(
        title=f"{tasks[0]}: missed" if len(tasks) == 1 else f"{len(tasks)} tasks: missed",
        body=mask_known_tokens("\n".join([*lines[:_SHOWN], *more, f"do: {row.advice}"])),
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
