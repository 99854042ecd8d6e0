"""What is kept of each schedule between two heartbeats, in logs/state/schedules:

NAME.json   how far it has got, the occurrence that was started last, and what is not told yet; the heartbeat's own
NAME.lock   held while an occurrence lives, which adds to it what it has done, a JSON object a line
NAME.err    what the last `runner run` of it said on stderr
"""

from __future__ import annotations

import json
import os

from runner import files
from runner.records.folder import candidate_ids
from runner.schedule.due import State
from runner.values import asdict, dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.model import JsonObject
    from runner.records.folder import Logs

_END = ".json"


@dataclass(frozen=True)
class Occurrence:
    """A due time that was started; `chains` are the agents of its turns, `patient` waits for a checkout in use."""

    due: float
    task: str
    chains: tuple[str, ...]
    patient: bool = False


@dataclass(frozen=True)
class Event:
    """Due times that were not started: `kind` is missed, busy or folded. `message` is for people.

    `recorded`: the feed has it, and only its message is not in the outbox yet.
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
class Ledger:
    """`untold` are the events that are not in the feed, or whose message is not in the outbox."""

    state: State | None = None
    occurrence: Occurrence | None = None
    untold: tuple[Event, ...] = ()


def path(logs: Logs, name: str, end: str = _END) -> str:
    return logs.path("state", "schedules", name + end)


def names(logs: Logs) -> list[str]:
    """The schedules of which something is kept."""
    try:
        found = os.listdir(logs.path("state", "schedules"))
    except FileNotFoundError:
        return []
    return sorted(name.removesuffix(_END) for name in found if name.endswith(_END))


def read(logs: Logs, name: str, now: float) -> Ledger:
    """Empty where there is none; a damaged one is as good as none, and the runner's log says so."""
    try:
        with open(path(logs, name), encoding="utf-8") as file:
            return _from_json(json.load(file))
    except FileNotFoundError:
        return Ledger()
    except (OSError, ValueError, TypeError, KeyError) as error:
        logs.note(f"what was kept of the schedule {name} cannot be read, so it begins anew: {error!r}", now)
        return Ledger()


def write(logs: Logs, name: str, ledger: Ledger) -> None:
    """On the disk before it returns. Raises OSError."""
    files.make_folders(logs.path("state", "schedules"))
    files.write_json(path(logs, name), asdict(ledger))


def lock(logs: Logs, name: str) -> int | None:
    """The descriptor that holds it; None while an occurrence lives. Raises OSError."""
    files.make_folders(logs.path("state", "schedules"))
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
    """What its process noted; a line that it did not finish is none, and those of an earlier one may still be there."""
    found = []
    for line in os.pread(held, 1 << 20, 0).split(b"\n"):
        try:
            note = json.loads(line)
        except ValueError:
            continue
        if note["due"] == occurrence.due:
            found.append(note)
    return found


def left_a_trace(logs: Logs, task: str, since: float) -> bool:
    """Whether a run of the task has claimed an id since: then its record, or whoever closes lost runs, tells of it."""
    first = next(candidate_ids(since))
    try:
        claimed = [run_id for run_id in os.listdir(logs.path("ids")) if run_id >= first]
    except OSError:
        return False
    return any((logs.place_of(run_id) or "").startswith(f"{task}/") for run_id in claimed)


def last_beat(logs: Logs) -> float | None:
    """When the last heartbeat ended; None when there was none."""
    try:
        return os.stat(logs.path("heartbeat", "task.log")).st_mtime
    except OSError:
        return None


def _from_json(found: Any) -> Ledger:
    """Raises ValueError, TypeError or KeyError for what `write` has not written."""
    return Ledger(
        state=None if found["state"] is None else _state(found["state"]),
        occurrence=None if found["occurrence"] is None else _occurrence(found["occurrence"]),
        untold=tuple(_event(event) for event in found["untold"]),
    )


def _state(found: JsonObject) -> State:
    return State(
        fingerprint=str(found["fingerprint"]),
        handled=float(found["handled"]),
        next_due=_optional(found["next_due"]),
        next_start=_optional(found["next_start"]),
        waiting=_optional(found["waiting"]),
        gaps=_stretches(found["gaps"]),
        ahead=_stretches(found["ahead"]),
    )


def _stretches(found: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(begin), float(end)) for begin, end in found)


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


def _occurrence(found: JsonObject) -> Occurrence:
    return Occurrence(**{**found, "due": float(found["due"]), "chains": tuple(map(str, found["chains"]))})


def _event(found: JsonObject) -> Event:
    times = {key: float(found[key]) for key in ("first", "last")}
    return Event(**{**found, **times, "agents": tuple(map(str, found["agents"])), "count": int(found["count"])})
