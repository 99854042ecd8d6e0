"""One rule of a parser, tried on all output of a run: where it fitted, and what came nearest where it did not. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from runner.model import JsonObject
from runner.parsers.patterns import Budget, OutOfTime, Pattern
from runner.parsers.rules import FaultRule, FieldRule, Probe, TerminalRule
from runner.parsers.scalars import collapsed, ends_of, formed, one_line, scalar_text
from runner.parsers.selectors import Condition, When
from runner.parsers.window import Window

Rule = TerminalRule | FieldRule | FaultRule
Place = tuple[str, int]
"""A source, and the offset of a line in it."""

SAMPLES = 1000
_PATHS = 2000
_DEPTH = 6
_LONG = 60
_SURVEYED = 200  # events whose paths are noted, for each rule
_SECONDS = 1.0


def rule_of_lines(pattern: Pattern, *trail: str | int) -> Rule:
    """Return `quiet` and `prefix` in the form of the other rules."""
    return FaultRule(str(trail[0]), Probe("stdout", None, When(()), None, pattern), False, None, "", trail)


class Near:
    """The events that came nearest to a `when`: which condition they failed, by what values; what paths they have."""

    def __init__(self) -> None:
        self._begin((-1, -1), None)

    def _begin(self, rank: tuple[int, int], condition: Condition | None) -> None:
        """Forget all that was further away."""
        self.rank = rank
        self.condition = condition
        self.events = 0
        self.values: Counter[str] = Counter()
        self.paths: Counter[str] = Counter()

    def add(self, event: JsonObject, conditions: tuple[Condition, ...], failing: list[Condition]) -> None:
        rank = len(conditions) - len(failing), conditions.index(failing[0])
        if rank > self.rank:
            self._begin(rank, failing[0])
        if rank == self.rank:
            self.events += 1
            values = failing[0].path.values(event)
            for text in dict.fromkeys(map(_shown, values)):
                if text is not None:
                    self.values[text] += 1
            if not values and self.events <= _SURVEYED:
                note_paths(self.paths, event)


def _shown(value: Any) -> str | None:
    text = scalar_text(value)
    return text if text is None or (len(text) < _LONG and text.isalnum()) else one_line(text[: 2 * _LONG])[:_LONG]


class Track:
    """What became of one rule. `tried` counts events or lines, `fitted` events whose `when` holds, `hits` what it gave.

    `places` are where it fitted; `passed_over` counts what it fits on lines that the parser's needles leave out. A
    field is tried on a text as a whole: `wholes` are those that it did not fit as it saw them, `formed` as they
    were printed, `samples` their lines.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.tried = self.fitted = self.hits = self.passed_over = 0
        self.places: list[Place] = []
        self.last: Any = None
        self.near = Near()
        self.paths: Counter[str] = Counter()
        self.samples: list[tuple[str, Place]] = []
        self.wholes: list[str] = []
        self.formed: list[str] = []

    @property
    def takes_whole_texts(self) -> bool:
        return isinstance(self.rule, FieldRule)

    @property
    def spans(self) -> bool:
        """Whether it sees the lines before the newest one, too."""
        return isinstance(self.rule, FaultRule) and self.rule.trail[0] == "watch" and self.rule.spans

    def event(self, event: JsonObject, place: Place, *, passed_over: bool = False) -> None:
        probe = self.rule.probe
        self.tried += 1
        failing = [condition for condition in probe.when.conditions if not condition.holds(event)]
        if failing:
            self.near.add(event, probe.when.conditions, failing)
            return
        self.fitted += 1
        values = [True] if probe.at is None else probe.at(event)
        if not values:
            note_paths(self.paths, event)
        elif probe.pattern is None or self._matches(
            probe.pattern, [scalar_text(value) or "" for value in values], place
        ):
            self._hit(place, values[-1], passed_over=passed_over)

    def line(self, text: str, place: Place) -> bool:
        """Try it on a line; return whether it fits."""
        self.tried += 1
        pattern = self.rule.probe.pattern
        if self.takes_whole_texts:
            self._sample(text, place)
            return False
        if pattern is not None and not self._matches(pattern, [text], place):
            return False
        self._hit(place, text)
        return True

    def window(self, window: Window, place: Place) -> bool:
        """Try a pattern that speaks of line breaks where the newest line ends; return whether it fits."""
        self.tried += 1
        text = window.text
        if not fits_at_end(self.rule.probe.pattern, text):
            self._sample(text, place)
            return False
        self._hit(place, text)
        return True

    def prefix(self, text: str, rest: str, place: Place) -> None:
        """Note a line, and what is left of it without its prefix."""
        self.tried += 1
        if len(rest) < len(text):
            self._hit(place, text)
        else:
            self._sample(text, place)

    def whole(self, text: str, place_of: Callable[[str, int], Place]) -> None:
        """Try a field on a text source as a whole; `place_of` finds the place of an offset in a text."""
        pattern = self.rule.probe.pattern
        seen = ends_of(seen_by(self.rule, text))
        if pattern is None:
            self.hits += bool(seen)
            return
        starts = starts_of(pattern, seen)
        if not starts:
            self.wholes.append(seen)
            self.formed.append(ends_of(formed(text)))
            return
        self.hits += len(starts)
        self.places += [place_of(seen, start) for start in dict.fromkeys((starts[0], starts[-1]))]
        self.last = seen[starts[-1] :].partition("\n")[0]

    def _matches(self, pattern: Pattern, texts: list[str], place: Place) -> bool:
        if any(fits(pattern, text) for text in texts):
            return True
        for text in texts:
            self._sample(text, place)
        return False

    def _sample(self, text: str, place: Place) -> None:
        if len(self.samples) < SAMPLES:
            self.samples.append((text, place))

    def _hit(self, place: Place, value: Any, *, passed_over: bool = False) -> None:
        if passed_over:
            self.passed_over += 1
            return
        self.hits += 1
        self.last = value
        self.places.append(place)


def seen_by(rule: Rule, text: str) -> str:
    """Return a text source as a field's rule sees it."""
    return collapsed(text) if isinstance(rule, FieldRule) and rule.sees_collapsed else formed(text)


def starts_of(pattern: Pattern, text: str) -> list[int]:
    """Return where each match begins."""
    try:
        return pattern.starts(text, Budget(_SECONDS))
    except OutOfTime:
        return []


def fits_at_end(pattern: Pattern | None, text: str) -> bool:
    """Whether a pattern fits so that it ends in the last line."""
    try:
        return pattern is not None and pattern.hit_behind(text, text.rfind("\n") + 1, Budget(_SECONDS)) is not None
    except OutOfTime:
        return False


def fits(pattern: Pattern, text: str) -> bool:
    try:
        return pattern.hit(text, Budget(_SECONDS)) is not None
    except OutOfTime:
        return False


def note_paths(paths: Counter[str], event: JsonObject) -> None:
    """Count the paths of an event."""
    if len(paths) < _PATHS:
        paths.update(list(dict.fromkeys(islice(_paths(event, "", 0), _PATHS))))


def _paths(value: Any, prefix: str, depth: int) -> Iterator[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, inner in items:
        if inner is None or depth >= _DEPTH:
            continue
        step = f"[{key}]" if isinstance(key, int) else key if key.replace("-", "_").isidentifier() else f'["{key}"]'
        path = f"{prefix}{'.' if prefix and step[0] != '[' else ''}{step}"
        yield path
        yield from _paths(inner, path, depth + 1)
