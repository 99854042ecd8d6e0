"""Which events say that a run succeeded or failed: all good outputs have them, and the bad ones others or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.learn.fields import Found, place
from runner.learn.paths import Selector, When, chosen, kind_of, kind_path, leaves, whens
from runner.learn.sample import Event, Output
from runner.learn.shapes import last_key, shapes
from runner.parsers.scalars import scalar_text
from runner.parsers.selectors import Path
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True)
class Endings:
    success: tuple[Found, ...]
    failure: tuple[Found, ...]


@dataclass(frozen=True)
class _Mark:
    """Events of the form `when`, of which the last one tells by a value at `path`, or without a path by being there."""

    when: When
    path: str | None
    good: frozenset[str]
    bad: frozenset[str]
    place: str
    lateness: float

    @property
    def rank(self) -> tuple[int, bool, float, int]:
        key = last_key(self.path) if self.path else None
        verdicts = shapes().verdicts
        named = verdicts.index(key) if key in verdicts else len(verdicts) if key else -1
        # What stands for each step in a list says nothing about the end.
        of_all = "[*]" in (self.path or "")
        return named >= len(verdicts), of_all, -self.lateness, len(self.when) + (named >= 0)


def endings_of(outputs: Sequence[Output]) -> Endings:
    good = [output for output in outputs if output.sample.is_good and output.events]
    bad = [output for output in outputs if not output.sample.is_good]
    marks = sorted(_marks(good, bad), key=lambda mark: mark.rank) if good else []
    success: tuple[Found, ...] = ()
    failure: tuple[Found, ...] = ()
    if marks:
        best = marks[0]
        success = (Found(_rule(best, best.good), best.place),)
        failure = (Found(_rule(best, best.bad), _place_of(best, bad)),) if best.path and best.bad else ()
    return Endings(success, failure or _alarms(good, bad))


def _rule(mark: _Mark, values: frozenset[str]) -> dict[str, Any]:
    rule = Selector(mark.when, None).rule()
    if mark.path is not None and values:
        texts = sorted(values)
        rule.setdefault("when", {})[mark.path] = _typed(texts[0]) if len(texts) == 1 else [_typed(one) for one in texts]
    return rule


def _typed(text: str) -> Any:
    return {"true": True, "false": False}.get(text, text)


def _marks(good: Sequence[Output], bad: Sequence[Output]) -> Iterator[_Mark]:
    """Candidates: kinds of events in the last part of every good output."""
    main = kind_path(good)
    for when in _common(good, main):
        last = [chosen(output, when)[-1] for output in good]
        lateness = min(_lateness(event, output) for event, output in zip(last, good, strict=True))
        if lateness < 0.5:
            continue
        there = [found[-1] for output in bad if (found := chosen(output, when))]
        seen = place(good[0], last[0].line)
        if not there:
            if not when and main is None:
                continue  # any event at all says nothing
            if _closes(good, when, last, main):
                yield _Mark(when, None, frozenset(), frozenset(), seen, lateness)
            continue
        for path in _paths(last, there):
            of_good, of_bad = (frozenset(_text_at(event, path) for event in events) for events in (last, there))
            if not of_good & of_bad and len(of_good) == 1 and "" not in of_good:
                yield _Mark(when, path, of_good, of_bad - {""}, seen, lateness)


def _closes(good: Sequence[Output], when: When, last: Sequence[Event], main: str | None) -> bool:
    """Whether such an event comes once at the end: what comes all the time says nothing about it."""
    word = " ".join(value for _, value in when)
    once = all(len(chosen(output, when)) == 1 for output in good)
    late = all(event is output.events[-1] for event, output in zip(last, good, strict=True))
    return main is not None and (late or (once and shapes().has_word("ends", word)))


def _common(good: Sequence[Output], main: str | None) -> list[When]:
    """The forms of events that every good output has."""
    every = [{when for event in output.events for when in whens(event.data, main)} for output in good]
    return sorted(set.intersection(*every), key=lambda when: (len(when), when)) if every else []


def _lateness(event: Event, output: Output) -> float:
    return (output.events.index(event) + 1) / len(output.events)


def _paths(good: Sequence[Event], bad: Sequence[Event]) -> list[str]:
    """Short scalars that an end may be told by, and what is there in a bad one alone."""
    paths = {
        path
        for event in (*good, *bad)
        for path, value in leaves(event.data)
        if len(str(value)) <= 40 and last_key(path) in shapes().verdicts
    }
    return sorted(paths, key=lambda path: (shapes().verdicts.index(last_key(path)), path.count("."), path))


def _text_at(event: Event, path: str) -> str:
    values = Path(path).values(event.data)
    return scalar_text(values[-1]) or "" if values else ""


def _place_of(mark: _Mark, bad: Sequence[Output]) -> str:
    for output in bad:
        if found := chosen(output, mark.when):
            return place(output, found[-1].line)
    return mark.place


def _alarms(good: Sequence[Output], bad: Sequence[Output]) -> tuple[Found, ...]:
    """Kinds of events that only bad outputs have, and that are named like a failure."""
    main = kind_path([*good, *bad])
    calm = {kind_of(event.data, main) for output in good for event in output.events}
    found: dict[str, Found] = {}
    for output in bad:
        for event in output.events:
            kind = kind_of(event.data, main)
            if main and kind and kind not in calm and shapes().has_word("fails", kind):
                found.setdefault(kind, Found({"when": {main: kind}}, place(output, event.line)))
    return tuple(found.values())
