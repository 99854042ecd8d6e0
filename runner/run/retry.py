"""Pure: which agent tries next, and when; the table of which failures another agent helps against is in reasons.py."""

from __future__ import annotations

from runner.reasons import reason_of
from runner.text import from_rfc3339
from runner.units import format_duration, parse_duration
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.model import JsonObject
    from runner.records.metadata import Record

BACKOFF, RESET = "backoff", "reset"
PASSING = frozenset(("overloaded", "server", "network", "rate_limit"))
"""The classes that pass by themselves."""

_FIRST_BACKOFF = 15.0  # seconds, doubled from try to try
_SPREAD = 0.2  # of a backoff, up and down, so that many do not come back at once
_LONGEST_RESET = 6 * 3600.0  # where `max_wait` says nothing: as long as a cooldown lasts
_LONGEST = 600.0


@dataclass(frozen=True)
class Retry:
    """`count` is how many more times one agent is tried; `wait` is seconds, BACKOFF or RESET, `longest` seconds."""

    count: int = 0
    classes: frozenset[str] = PASSING
    wait: float | str = BACKOFF
    longest: float = _LONGEST


@dataclass(frozen=True)
class NextAttempt:
    """The try that follows: by which agent, and after how many seconds."""

    agent: str
    wait: float = 0.0
    again: bool = False

    def __str__(self) -> str:
        again = " again" if self.again else ""
        return f"next: {self.agent}{again}" + (f" in {format_duration(self.wait)}" if self.wait else "")


def read_retry(entry: JsonObject | None) -> Retry:
    """A task's `retry` as the configuration gives it. Raises ValueError for what the schema would not let pass."""
    if not entry:
        return Retry()
    said = entry.get("wait", BACKOFF)
    wait = said if said in (BACKOFF, RESET) else parse_duration(said) or 0.0
    usual = _LONGEST_RESET if wait == RESET else _LONGEST if wait == BACKOFF else max(wait, _LONGEST)
    longest = parse_duration(entry["max_wait"]) if "max_wait" in entry else usual
    return Retry(
        count=entry.get("count", 1),
        classes=frozenset(entry.get("classes") or PASSING),
        wait=wait,
        longest=_LONGEST_RESET if longest is None else longest,
    )


def chain_of(agent: str, fallback: list[str] | dict[str, list[str]] | None) -> tuple[str, ...]:
    """An agent and those that a task's `fallback` names for it, each once."""
    others = fallback.get(agent, []) if isinstance(fallback, dict) else fallback or []
    return tuple(dict.fromkeys((agent, *others)))


def next_attempt(
    agents: Sequence[str], retry: Retry, records: Sequence[Record], now: float, random: float
) -> NextAttempt | None:
    """What is tried after `records`, one of each try so far, oldest first; None when that is all.

    `random` is from 0 to 1. The same agent comes first, while `retry` allows it; then the next of `agents` that was not
    tried, where another agent helps.
    """
    last = records[-1]
    agent, reason = last["agent"], last["reason"]
    tries = sum(record["agent"] == agent for record in records)
    if reason in retry.classes and tries <= retry.count:
        wait = _wait(retry, tries, _reset_in(last, now), random)
        if wait is not None:
            return NextAttempt(agent, wait, again=True)
    if not reason_of(reason).next_agent_helps:
        return None
    tried = {record["agent"] for record in records}
    return next((NextAttempt(name) for name in agents if name not in tried), None)


def _wait(retry: Retry, tries: int, reset: float | None, random: float) -> float | None:
    """Seconds until the next try of the same agent; None where its limit holds for longer than anybody waits."""
    if reset is not None and reset > retry.longest:
        return None
    if isinstance(retry.wait, str):
        doubled = _FIRST_BACKOFF * 2 ** min(tries - 1, 20) * (1 + _SPREAD * (2 * random - 1))
        wait = 0.0 if retry.wait == RESET and reset is not None else doubled
    else:
        wait = retry.wait
    return max(min(wait, retry.longest), reset or 0.0)


def _reset_in(record: Record, now: float) -> float | None:
    """Seconds until the announced end of a limit: a try before it is in vain."""
    error = record.get("error")
    announced = error["retry_at"] if error else None
    return None if announced is None else max(0.0, from_rfc3339(announced) - now)
