"""A simulated year of heartbeats, a minute apart, for 200 schedules: nothing is lost, and nothing starts twice.

Time is an argument. What the steps decide is held against a second reckoning, which knows the due times from one list for
each schedule and never looks at a state.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import groupby, pairwise, takewhile
from random import Random
from zoneinfo import ZoneInfo

from cronsim import CronSim

from runner.schedule import due as module
from runner.schedule.due import MISFIRE_GRACE_TIME, Progress, Schedule, decide, is_due

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago")
EXPRESSIONS = (
    "30 2 * * *",
    "0 3 * * *",
    "15 1,2,3 * * *",
    "0 */4 * * *",
    "45 22 * * mon-fri",
    "@daily",
    "@weekly",
    "20 5 L * *",
    "0 0 1,15 * *",
    "*/20 1-3 * * sun",
    "5 8,9,10 * * sat",
    "0 12 * * 1-5",
)
BEGIN, END = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2026, 2027))
MINUTE, HOUR = 60.0, 3600.0
BEFORE = BEGIN + 7 * MINUTE  # when the first heartbeat comes, two seconds after a full minute


def schedules() -> list[Schedule]:
    pick = Random(7).choice
    return [
        Schedule(
            f"t{number}",
            f"t{number}",
            pick(EXPRESSIONS),
            ZONES[number % len(ZONES)],
            ("a",),
            jitter=pick((0.0, 0.0, 240.0, 3 * HOUR)),
            catch_up=pick(("skip", "once")),
            overlap=pick(("skip", "wait")),
        )
        for number in range(200)
    ]


def waking_beats() -> list[float]:
    """Each minute but for sleeps: some minutes, hours, and days."""
    chance = Random(8)
    sleeps: list[tuple[float, float]] = []
    for longest, times in ((8 * MINUTE, 60), (12 * HOUR, 40), (120 * HOUR, 6)):
        for _ in range(times):
            began = chance.uniform(BEFORE, END)
            sleeps.append((began, began + chance.uniform(0, longest)))
    beats = [BEFORE + 2 + number * MINUTE for number in range(int((END - BEFORE) // MINUTE))]
    asleep = {number for began, ended in sleeps for number in range(*_numbers(began, ended))}
    return [beat for number, beat in enumerate(beats) if number not in asleep]


def _numbers(began: float, ended: float) -> tuple[int, int]:
    return int((began - BEFORE) // MINUTE), int((ended - BEFORE) // MINUTE) + 1


def duration(schedule: Schedule, due: float) -> float:
    """Mostly minutes, sometimes most of a day."""
    chance = Random(f"{schedule.name} {due}").random()
    return 24 * HOUR * chance**12 + MINUTE


def awake(beats: list[float], when: float) -> float:
    """The first heartbeat from then on."""
    at = bisect_left(beats, when)
    return beats[at] if at < len(beats) else END


Fates = dict[float, list[str]]


def simulated(schedule: Schedule, beats: list[float]) -> tuple[Fates, list[tuple[float, float]], int]:
    """Fates by due time in the order in which they were decided, the occurrences, and how many steps it took."""
    fates: Fates = defaultdict(list)
    occurrences: list[tuple[float, float]] = []
    state: Progress | None = None
    steps, at = 0, 0
    while at < len(beats):
        now = beats[at]
        alive = bool(occurrences) and now < occurrences[-1][1]
        state, decisions = decide(schedule, state, now, alive=alive)
        steps += 1
        for found in decisions:
            if found.kind in ("missed", "coalesced"):
                times = due_times(schedule)
                lost = times[bisect_left(times, found.first) : bisect_left(times, found.last) + 1]
                assert len(lost) == found.count
                for when in lost:
                    fates[when].append(found.kind)
            else:
                fates[found.first].append(found.kind)
            if found.kind == "start":
                assert not alive
                occurrences.append((now, now + duration(schedule, found.first)))
        wakes = [state.next_start] if state.next_start is not None else []
        wakes += [occurrences[-1][1]] if state.waiting is not None else []
        upcoming = bisect_left(beats, min(wakes, default=END))
        assert not any(is_due(state, beat, alive=True) for beat in beats[at + 1 : min(upcoming, at + 3)])
        at = max(at + 1, upcoming)
    return fates, occurrences, steps


_DUE: dict[str, list[float]] = {}


def due_times(schedule: Schedule) -> list[float]:
    """All of the year, by one iterator of the package."""
    if schedule.name not in _DUE:
        cron = {"@daily": "0 0 * * *", "@weekly": "0 0 * * 0"}.get(schedule.cron, schedule.cron)
        moments = CronSim(cron.upper(), datetime.fromtimestamp(BEFORE - 1, ZoneInfo(schedule.timezone or "")))
        _DUE[schedule.name] = list(takewhile(lambda when: when < END, (moment.timestamp() for moment in moments)))
    return _DUE[schedule.name]


def reckoned(schedule: Schedule, beats: list[float]) -> dict[float, str]:
    """The fate of each due time by the rule, from the list of all due times."""
    times = due_times(schedule)
    following = [*times[1:], times[-1] + 100 * 86400]
    starts = [
        (due, due + min(schedule.jitter, after - due) * (module._chance(schedule.name, due) if schedule.jitter else 0))
        for due, after in zip(times, following, strict=True)
    ]
    seen = [(bisect_left(beats, start), due, start) for due, start in starts if start <= beats[-1]]
    fates: dict[float, str] = {}
    busy_until, waiting = 0.0, None

    def start(due: float, beat: float) -> float:
        fates[due] = "start"
        return beat + duration(schedule, due)

    for at, group in groupby(seen, key=lambda item: item[0]):
        beat = beats[at]
        if waiting is not None and (free := awake(beats, busy_until)) <= beat:
            busy_until, waiting = start(waiting, free), None
        found = list(group)
        late = [due for _, due, begin in found if beat - begin > MISFIRE_GRACE_TIME]
        timely = [due for _, due, begin in found if beat - begin <= MISFIRE_GRACE_TIME]
        if schedule.catch_up == "once" and not timely:
            timely = [late.pop()]
        fates.update(dict.fromkeys(late, "missed" if schedule.catch_up == "skip" else "coalesced"))
        for due in timely:
            if beat >= busy_until and waiting is None:
                busy_until = start(due, beat)
            elif schedule.overlap == "skip":
                fates[due] = "busy"
            else:
                if waiting is not None:
                    fates[waiting] = "busy"
                waiting = due
    if waiting is not None:
        fates[waiting] = "wait" if awake(beats, busy_until) == END else "start"
    return fates


def test_a_year_of_200_schedules() -> None:
    beats = waking_beats()
    decided: Counter[str] = Counter()
    total = steps = 0
    for schedule in schedules():
        fates, occurrences, stepped = simulated(schedule, beats)
        steps += stepped
        final = {due: [kind for kind in kinds if kind != "wait"] or ["wait"] for due, kinds in fates.items()}
        assert all(len(kinds) == 1 for kinds in final.values()), "decided twice"
        assert {due: kinds[0] for due, kinds in final.items()} == reckoned(schedule, beats), schedule
        assert all(before[1] <= after[0] for before, after in pairwise(occurrences)), "two at once"
        decided.update(kinds[0] for kinds in final.values())
        total += len(due_times(schedule))
    # All but those whose jitter or wait ends after the year.
    assert total - 200 <= decided.total() <= total
    assert steps < 2 * total
    assert {"start", "busy", "missed", "coalesced"} <= set(decided)
    assert decided["start"] > total * 0.6, decided
