"""An agent that is left alone until its limit resets, then tried by one run: a file an agent in logs/state/cooldowns.

After `until` the file stays: the first run that heeds cooldowns is a probe, and others are turned away while it lasts,
which is as long as it holds a lock. A success of any run of the agent removes the file, a limit sets it anew; a probe
that ends otherwise says nothing about the limit, and the next run is one again.
"""

from __future__ import annotations

import os

from runner import files
from runner.codec import from_json
from runner.errors import RunnerError
from runner.model import Skipped
from runner.reasons import REASONS, reason_of
from runner.text import from_rfc3339, rfc3339
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.records.folder import Logs
    from runner.records.metadata import Record

LONGEST = 6 * 3600.0
_CLOCK_STEP = 60.0  # by which a clock may be set back without ending a cooldown
_MAX_BYTES = 4096
# The agent did its work, though the task asked for something else.
_ANSWERED = ("no_commits", "uncommitted_changes")


@dataclass(frozen=True)
class Cooldown:
    """`run_id` is the run that met the limit, `reason` how it ended; times are seconds since the epoch."""

    agent: str
    reason: str
    since: float
    until: float
    run_id: str

    def blocks(self, now: float) -> bool:
        """Whether the agent is left alone; one that would last longer than any is none, for a clock was set back."""
        return now < self.until <= now + LONGEST + _CLOCK_STEP

    def __str__(self) -> str:
        return f"in cooldown until {short_time(self.until)} ({self.reason} in run {self.run_id})"


class Probe:
    """The right to be the one run that tries whether a limit is over; it ends with the process that holds it."""

    def __init__(self, path: str, lock: int) -> None:
        self._path = path
        self._lock = lock

    def close(self) -> None:
        files.unlink(self._path)
        os.close(self._lock)


def read(logs: Logs, agent: str) -> Cooldown | None:
    """None where there is none, or a file that says nothing sensible."""
    try:
        found = files.read_json(_path(logs, agent), _MAX_BYTES)
        times = {key: from_rfc3339(found[key]) for key in ("since", "until")}
        cooldown = from_json(Cooldown, {**found, **times})
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return cooldown if cooldown.agent == agent and cooldown.reason in REASONS else None


def all_of(logs: Logs) -> list[Cooldown]:
    """By the agents' names."""
    try:
        names = sorted(os.listdir(logs.path("state", "cooldowns")))
    except OSError:
        return []
    found = (read(logs, name.removesuffix(".json")) for name in names if name.endswith(".json"))
    return [cooldown for cooldown in found if cooldown is not None]


def clear(logs: Logs, agent: str) -> bool:
    """Whether there was a file to remove. Raises OSError."""
    try:
        os.unlink(_path(logs, agent))
    except FileNotFoundError:
        return False
    return True


def settle(logs: Logs, record: Record, now: float) -> list[str]:
    """Set or end an agent's cooldown by its closed run; what is to be said of it in the record."""
    agent, reason = record["agent"], record["reason"]
    try:
        if record["status"] == "success" or reason in _ANSWERED:
            clear(logs, agent)
            return []
        until = _until(record, now)
        if until is None or until <= now:
            return []
        logs.check_place("state", "cooldowns")
        files.make_folders(logs.path("state", "cooldowns"))
        said = {"agent": agent, "reason": reason, "since": rfc3339(now), "until": rfc3339(until)}
        files.write_json(_path(logs, agent), {**said, "run_id": record["run_id"]})
    except OSError as error:
        return [f"the cooldown of `{agent}` cannot be kept: {files.reason(error)}"]
    except RunnerError as error:
        return [f"the cooldown of `{agent}` cannot be kept: {error.message}"]
    return [f"in cooldown until {short_time(until)}: unattended runs leave `{agent}` alone"]


def _until(record: Record, now: float) -> float | None:
    """The announced reset of a limit, else as long as its reason says; None where nobody need wait."""
    row = reason_of(record["reason"], record["status"])
    if row.cooldown is None:
        return None
    announced = record["error"] and record["error"]["retry_at"] if row.status == "rate_limited" else None
    until = now + row.cooldown if announced is None else from_rfc3339(announced)
    return min(until, now + LONGEST)


def probe(logs: Logs, agent: str, now: float) -> Probe | None:
    """The right to try an agent whose cooldown is over; None where it has none. Raises Skipped while it lasts."""
    found = read(logs, agent)
    if found is None:
        return None
    if found.blocks(now):
        raise _left_alone(found)
    path = logs.path("state", "cooldowns", f"{agent}.probe")
    try:
        lock = files.lock(path)
    except OSError:
        return None  # two probes at once are better than none
    if lock is None:
        raise Skipped("cooldown", f"agent `{agent}` was {found}, and a run that tries it goes on")
    taken = Probe(path, lock)
    # A probe may have ended between the look and the lock.
    now_there = read(logs, agent)
    if now_there is not None and now_there.blocks(now):
        taken.close()
        raise _left_alone(now_there)
    return taken


def _left_alone(found: Cooldown) -> Skipped:
    return Skipped("cooldown", f"agent `{found.agent}` is {found}")


def short_time(when: float) -> str:
    """`2026-02-19T19:50Z`."""
    return f"{rfc3339(when)[:16]}Z"


def _path(logs: Logs, agent: str) -> str:
    return logs.path("state", "cooldowns", f"{agent}.json")
