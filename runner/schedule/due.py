"""Pure: when schedules are due, and what becomes of each due time. Times are seconds since the epoch.

A due time is decided once: it is started, skipped because the last occurrence still runs (busy), left waiting for its
end, missed because no heartbeat came in time, or coalesced into a later one that stands for it (`catch_up: once`).

A clock that is set back starts nothing again. But while a clock is wrong, and ahead, due times look missed that are
still to come; so a schedule keeps the last stretches of due times of which none was started, and when the clock is set
back into one they are due again. The time before the schedule was first seen is such a stretch as well.
"""

from __future__ import annotations

import time
from _blake2 import blake2b  # hashlib brings OpenSSL, which costs two milliseconds
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from runner.model import JsonObject
from runner.units import parse_duration
from runner.values import dataclass, replace

MISFIRE_GRACE_TIME = 300.0  # seconds after which a start that no heartbeat saw is late
MAX_TIMES = 10_000  # due times in a row that are looked at; a clock can be wrong by decades
_MINUTE = 60.0
_MAX_GAPS = 16
Stretch = tuple[float, float]  # after the first time, up to the second


class BrokenScheduleError(Exception):
    """A schedule that can never start: by its expression, its zone, or because it names no agent."""


@dataclass(frozen=True)
class Schedule:
    """One entry of a task's `schedule`; `name` is the task's, from the second entry on with `#2`.

    `timezone` None is the machine's; `jitter` is in seconds; `fallback` gives the next agents of an agent.
    """

    name: str
    task: str
    cron: str
    timezone: str | None = None
    agents: tuple[str, ...] = ()
    fallback: Mapping[str, tuple[str, ...]] | None = None
    jitter: float = 0.0
    catch_up: str = "skip"
    overlap: str = "skip"

    @property
    def chains(self) -> tuple[str, ...]:
        """Each agent with its fallbacks, as `runner run` reads them: `first,second`."""
        more = self.fallback or {}
        return tuple(",".join(dict.fromkeys((agent, *more.get(agent, ())))) for agent in self.agents)

    @property
    def fingerprint(self) -> str:
        """What its due times depend on."""
        zone = self.timezone or f"{time.tzname} {time.timezone} {time.altzone}"
        return f"{self.cron} | {zone} | {self.jitter:g}"


@dataclass(frozen=True)
class Progress:
    """Up to where a schedule is decided: every due time up to `handled` is.

    `next_due` starts at `next_start`, later by its jitter; None: never again. `waiting` is the due time that waits.
    In `gaps`, before `handled`, no due time was started; those in `ahead`, after it, are decided already.
    """

    fingerprint: str
    handled: float
    next_due: float | None = None
    next_start: float | None = None
    waiting: float | None = None
    gaps: tuple[tuple[float, float], ...] = ()
    ahead: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Decision:
    """What becomes of the due times from `first` to `last`; a `count` of MAX_TIMES or more is a lower bound.

    `kind` is start, busy, wait, missed or coalesced.
    """

    kind: str
    first: float
    last: float
    count: int = 1


def schedules_of(tasks: Mapping[str, JsonObject]) -> list[Schedule]:
    """The schedules of the configuration's tasks."""
    return [
        _schedule(task if number == 1 else f"{task}#{number}", task, entry, schedule)
        for task, entry in tasks.items()
        for number, schedule in enumerate(entry.get("schedule") or (), 1)
    ]


def _schedule(name: str, task: str, entry: JsonObject, schedule: JsonObject) -> Schedule:
    agents = tuple(schedule.get("agents") or entry.get("agents") or ())
    return Schedule(
        name=name,
        task=task,
        cron=schedule["cron"],
        timezone=schedule.get("timezone"),
        agents=agents,
        fallback=_fallback(schedule.get("fallback"), agents),
        jitter=parse_duration(schedule.get("jitter")) or 0.0,
        catch_up=schedule.get("catch_up", "skip"),
        overlap=schedule.get("overlap", "skip"),
    )


def _fallback(
    given: Sequence[str] | Mapping[str, Sequence[str]] | None, agents: tuple[str, ...]
) -> dict[str, tuple[str, ...]] | None:
    """By agent; None where the schedule has none, and the task's own counts."""
    if given is None:
        return None
    by_agent = given if isinstance(given, dict) else dict.fromkeys(agents, given)
    return {agent: (others,) if isinstance(others, str) else tuple(others) for agent, others in by_agent.items()}


def next_times(schedule: Schedule, after: float, count: int) -> list[float]:
    """The next due times, without jitter; fewer where there are no more."""
    return list(islice(_times(schedule, after), count))


def _times(schedule: Schedule, after: float) -> Iterator[float]:
    from runner import crontimes  # noqa: PLC0415 - calendars are 30 ms of import, and few heartbeats start anything

    try:
        yield from crontimes.times(schedule.cron, schedule.timezone, after)
    except crontimes.BadScheduleError:
        raise BrokenScheduleError from None


def decide(schedule: Schedule, state: Progress | None, now: float, *, alive: bool) -> tuple[Progress, list[Decision]]:
    """Decide what is due. `alive`: the schedule's last occurrence still runs. At most one decision is a start.

    Raises BrokenScheduleError.
    """
    if state is None or state.fingerprint != schedule.fingerprint:
        state = _first_seen(schedule, state, now)
    elif not is_due(state, now, alive=alive):
        return state, []
    elif _is_set_back(state, now):
        state = _set_back(state, now)
    decisions: list[Decision] = []
    waiting = state.waiting
    if waiting is not None and not alive:
        decisions.append(Decision("start", waiting, waiting))
        waiting, alive = None, True
    past, coming = _past(schedule, state, now)
    late = [due for due, start in past if now - start > MISFIRE_GRACE_TIME]
    timely = [due for due, _ in past[len(late) :]]
    if late and not timely and schedule.catch_up == "once":
        timely = [late.pop()]
    if late:
        kind = "coalesced" if schedule.catch_up == "once" else "missed"
        decisions.append(Decision(kind, late[0], late[-1], len(late)))
        gaps = (*state.gaps, *_without(state.ahead, (state.handled, late[-1])))
        state = replace(state, gaps=gaps[-_MAX_GAPS:])
    more, waiting = _timely(schedule, timely, waiting, alive=alive)
    handled = past[-1][0] if past else state.handled
    ahead = tuple(stretch for stretch in state.ahead if stretch[1] > handled)
    next_due, next_start = coming or (None, None)
    state = replace(state, handled=handled, ahead=ahead, waiting=waiting, next_due=next_due, next_start=next_start)
    return state, [*decisions, *more]


def _timely(
    schedule: Schedule, timely: list[float], waiting: float | None, *, alive: bool
) -> tuple[list[Decision], float | None]:
    """Decide due times that are not late, in their order; return also which one waits at the end."""
    decisions = []
    for due in timely:
        if not alive:
            decisions.append(Decision("start", due, due))
            alive = True
        elif schedule.overlap == "wait":
            decisions += [Decision("busy", waiting, waiting)] if waiting is not None else []
            decisions.append(Decision("wait", due, due))
            waiting = due
        else:
            decisions.append(Decision("busy", due, due))
    return decisions, waiting


def is_due(state: Progress, now: float, *, alive: bool) -> bool:
    """Whether there is anything to decide; cheap, as it is asked each minute."""
    if state.next_start is not None and now >= state.next_start:
        return True
    return (state.waiting is not None and not alive) or _is_set_back(state, now)


def _first_seen(schedule: Schedule, before: Progress | None, now: float) -> Progress:
    """Begin a schedule that is new, or was changed, with the current minute."""
    begin = _before_this_minute(now)
    if before is None:
        return Progress(schedule.fingerprint, begin, gaps=((0.0, begin),))
    return replace(before, fingerprint=schedule.fingerprint, handled=max(before.handled, begin))


def _before_this_minute(now: float) -> float:
    return now // _MINUTE * _MINUTE - 1.0


def _is_set_back(state: Progress, now: float) -> bool:
    return any(_before_this_minute(now) < end for _, end in state.gaps)


def _set_back(state: Progress, now: float) -> Progress:
    """Make due again what was missed from the current minute on; all else until `handled` stays decided."""
    handled = _before_this_minute(now)
    decided = _without(state.gaps, (handled, state.handled))
    gaps = tuple((begin, min(end, handled)) for begin, end in state.gaps if begin < handled)
    return replace(state, handled=handled, gaps=gaps, ahead=(*decided, *state.ahead))


def _without(stretches: Sequence[Stretch], whole: Stretch) -> list[Stretch]:
    """The parts of the whole outside of the stretches."""
    left = []
    at, last = whole
    for begin, end in sorted(stretches):
        if at < min(begin, last):
            left.append((at, min(begin, last)))
        at = max(at, end)
    return [*left, (at, last)] if at < last else left


def _past(
    schedule: Schedule, state: Progress, now: float
) -> tuple[list[tuple[float, float]], tuple[float, float] | None]:
    """Due times whose start has come, each with its start, and the one that follows."""
    past: list[tuple[float, float]] = []
    coming = _undecided(schedule, state)
    while (found := next(coming, None)) is not None and found[1] <= now:
        past.append(found)
        recent = now - MISFIRE_GRACE_TIME - schedule.jitter
        if len(past) == MAX_TIMES and found[0] < recent:
            coming = _undecided(schedule, replace(state, handled=recent))
    return past, found


def _undecided(schedule: Schedule, state: Progress) -> Iterator[tuple[float, float]]:
    """Due times in order, each with its start, which stays before the next due time."""
    times = (
        due for due in _times(schedule, state.handled) if not any(begin < due <= end for begin, end in state.ahead)
    )
    if not schedule.jitter:
        yield from ((due, due) for due in times)
        return
    due = next(times, None)
    while due is not None:
        following = next(times, None)
        span = schedule.jitter if following is None else min(schedule.jitter, following - due)
        yield due, due + span * _chance(schedule.name, due)
        due = following


def _chance(name: str, due: float) -> float:
    """From 0 to 1, and always the same for the same due time."""
    return float(int.from_bytes(blake2b(f"{name} {due:.0f}".encode(), digest_size=7).digest()) / 256**7)
