"""The state of each schedule between two heartbeats, in logs/state/schedules:

NAME.json   its progress, the last occurrence, and what is not reported yet; written by the heartbeat alone
NAME.lock   locked while an occurrence is alive, which appends to it what it has done, a JSON object a line
NAME.err    stderr of its last `runner run`
"""

from __future__ import annotations

import json
import os
import re

from runner import files
from runner.codec import from_json, to_json
from runner.model import JsonObject
from runner.records.folder import Logs, candidate_ids
from runner.schedule.due import Progress
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_END = ".json"
_STATE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.#-]{0,199}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True)
class Occurrence:
    """A due time that was started; `chains` are the agents of its turns, each with its fallbacks."""

    due: float
    task: str
    chains: tuple[str, ...]
    waits_for_checkout: bool = False

    json_keys = (("waits_for_checkout", "patient"),)


@dataclass(frozen=True)
class Event:
    """Due times that were not started: `kind` is missed, busy or coalesced. `message` is for people.

    `recorded`: it is in runs.jsonl, and only its message is not in the outbox yet.
    """

    kind: str
    task: str
    agents: tuple[str, ...]
    message: str
    first: float
    last: float
    count: int = 1
    recorded: bool = False


@dataclass(frozen=True)
class ScheduleState:
    """`unreported` are the events that are not in runs.jsonl, or whose message is not in the outbox."""

    progress: Progress | None = None
    occurrence: Occurrence | None = None
    unreported: tuple[Event, ...] = ()

    json_keys = (("progress", "state"), ("unreported", "untold"))


def path(logs: Logs, name: str, end: str = _END) -> str:
    return logs.path("state", "schedules", name + end)


def names(logs: Logs) -> list[str]:
    """The schedules that have a state."""
    try:
        found = os.listdir(logs.path("state", "schedules"))
    except OSError:
        return []
    names = (name.removesuffix(_END) for name in found if name.endswith(_END))
    return sorted(name for name in names if _STATE.fullmatch(name))


def read(logs: Logs, name: str, now: float) -> ScheduleState:
    """Empty where there is none, or a damaged one, which is noted in the runner's log."""
    try:
        return _checked(from_json(ScheduleState, files.read_json(path(logs, name))))
    except FileNotFoundError:
        return ScheduleState()
    except (OSError, ValueError) as error:
        logs.note(f"the state of the schedule {name} cannot be read, so it starts over: {error!r}", now)
        return ScheduleState()


def _checked(found: ScheduleState) -> ScheduleState:
    """Names as an entry has them, as they become words of a command and parts of paths. Raises ValueError."""
    occurrence = found.occurrence
    names = [occurrence.task, *occurrence.chains] if occurrence else []
    names += [name for event in found.unreported for name in (event.task, *event.agents)]
    for name in names:
        if not all(_NAME.fullmatch(part) for part in name.split(",")):
            raise ValueError(f"a name of {name[:80]!r}")
    return found


def write(logs: Logs, name: str, state: ScheduleState) -> None:
    """On the disk before it returns. Raises OSError."""
    files.own_folder(logs.path("state", "schedules"))
    files.write_json(path(logs, name), to_json(state))


def lock(logs: Logs, name: str) -> int | None:
    """The descriptor that holds the lock; None while an occurrence is alive. Raises OSError."""
    files.own_folder(logs.path("state", "schedules"))
    return files.lock(path(logs, name, ".lock"))


def remove(logs: Logs, name: str) -> None:
    """The caller holds the lock."""
    for end in (_END, ".err", ".lock"):
        files.unlink(path(logs, name, end))


def clear_notes(held: int) -> None:
    """Before a new occurrence writes."""
    os.ftruncate(held, 0)
    os.lseek(held, 0, os.SEEK_SET)


def add_note(held: int, occurrence: Occurrence, **facts: Any) -> None:
    files.write_all(held, (json.dumps({"due": occurrence.due, **facts}) + "\n").encode())


def notes(held: int, occurrence: Occurrence) -> list[JsonObject]:
    """What its process noted, without a line that it did not finish and without those of an earlier occurrence."""
    found = []
    for line in os.pread(held, 1 << 20, 0).split(b"\n"):
        try:
            note = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(note, dict) and note.get("due") == occurrence.due:
            found.append(note)
    return found


def claimed_since(logs: Logs, task: str, since: float) -> bool:
    """Whether a run of the task has claimed an id since: then it has a record, or is closed as lost."""
    first = next(candidate_ids(since))
    try:
        claimed = [run_id for run_id in os.listdir(logs.path("ids")) if run_id >= first]
    except OSError:
        return False
    return any((logs.place_of(run_id) or "").startswith(f"{task}/") for run_id in claimed)


def last_heartbeat(logs: Logs) -> float | None:
    """When the last heartbeat ended; None when there was none."""
    try:
        return os.stat(logs.path("heartbeat", "task.log")).st_mtime
    except OSError:
        return None


def last_look(logs: Logs) -> float:
    """When the heartbeat last looked for old runs, seconds since the epoch; 0 if never."""
    try:
        return float(files.read_bytes(logs.path("state", "pruned"), 1000).split(b"\n")[0])
    except (OSError, ValueError):
        return 0.0
