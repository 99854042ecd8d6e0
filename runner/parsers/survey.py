"""All output of a run again, rule by rule: what each was tried on, and what came nearest where it gave nothing. Pure.

Slower than the reader by far, and without a part in the reply: for a person who asks why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from runner.model import JsonObject
from runner.parsers.lines import MAX_LINE, LineScanner, events_in, events_on, looks_like_object
from runner.parsers.patterns import Budget, OutOfTime, Pattern
from runner.parsers.rules import FaultRule, FieldRule, Probe, Rules, TerminalRule
from runner.parsers.scalars import decoded, ends_of, one_line, scalar_text
from runner.parsers.selectors import Condition

Rule = TerminalRule | FieldRule | FaultRule
Place = tuple[str, int]
"""A source, and the offset of a line in it."""

SAMPLES = 1000
_PATHS = 2000
_DEPTH = 6
_LONG = 60
_SURVEYED = 200  # events whose paths are noted, for each rule
_SECONDS = 1.0


class Near:
    """The events that came nearest to a `when`: which condition they failed, by what values; what paths they have."""

    def __init__(self) -> None:
        self.rank = (-1, -1)
        self.events = 0
        self.condition: Condition | None = None
        self.values: Counter[str] = Counter()
        self.paths: Counter[str] = Counter()

    def add(self, event: JsonObject, conditions: tuple[Condition, ...], failing: list[Condition]) -> None:
        rank = len(conditions) - len(failing), conditions.index(failing[0])
        if rank > self.rank:
            self.__init__()  # type: ignore[misc]  # all that came before was further away
            self.rank, self.condition = rank, failing[0]
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

    `places` are where it fitted; `passed_over` counts what it fits on lines that the parser's needles leave out.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.tried = self.fitted = self.hits = self.passed_over = 0
        self.places: list[Place] = []
        self.last: Any = None
        self.near = Near()
        self.paths: Counter[str] = Counter()
        self.samples: list[tuple[str, Place]] = []

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

    def line(self, text: str, place: Place) -> None:
        self.tried += 1
        pattern = self.rule.probe.pattern
        if pattern is None or self._matches(pattern, [text], place):
            self._hit(place, text)

    def _matches(self, pattern: Pattern, texts: list[str], place: Place) -> bool:
        if any(fits(pattern, text) for text in texts):
            return True
        if len(self.samples) < SAMPLES:
            self.samples += [(text, place) for text in texts]
        return False

    def _hit(self, place: Place, value: Any, *, passed_over: bool = False) -> None:
        if passed_over:
            self.passed_over += 1
            return
        self.hits += 1
        self.last = value
        self.places.append(place)


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


class Lines:
    """How many lines of a source there were, and which are no event: reason → its count and first line."""

    def __init__(self) -> None:
        self.count = self.blank = self.events = 0
        self.skipped: dict[str, tuple[int, int]] = {}
        self.samples: list[str] = []

    def skip(self, why: str, number: int) -> None:
        count, first = self.skipped.get(why, (0, number))
        self.skipped[why] = count + 1, first


class Survey:
    """Takes the streams in pieces and files as a whole; `finish` before it is asked. `lines` is by source."""

    def __init__(self, rules: Rules, *, needles: bool = False) -> None:
        self._rules = rules
        self._needles = rules.groups if needles else ()
        self.tracks = [
            Track(rule) for part in (rules.terminals, rules.fields, rules.errors, rules.watches) for rule in part
        ]
        self._of_events = [
            track
            for track in self._of(lambda probe: probe.where == "event")
            if not (isinstance(track.rule, TerminalRule) and track.rule.folded)
        ]
        self.lines: dict[str, Lines] = {}
        self._document = bytearray()
        self._scanners = {source: self._scanner(source) for source in ("stdout", "stderr")}

    def _scanner(self, source: str) -> _Counted:
        self.lines[source] = Lines()
        return _Counted(lambda raw, offset: self._line(source, raw, offset))

    def feed(self, source: str, data: bytes, position: int) -> None:
        self._scanners[source].feed(data, position)
        if source == "stdout" and self._rules.format == "json":
            self._document += data[: MAX_LINE + 1 - len(self._document)]

    def finish(self) -> None:
        for scanner in self._scanners.values():
            scanner.close()
        if self._rules.format == "json":
            for event, offset in events_in(bytes(self._document)):
                self.lines["stdout"].events += 1
                self._event(event, ("stdout", offset))

    def file(self, template: str, content: bytes) -> None:
        self.lines[template] = Lines()
        for event, offset in events_in(content):
            for track in self._of(lambda probe: probe.reads_events_of(template)):
                track.event(event, (template, offset))
        offset = 0
        for raw in content.split(b"\n"):
            self._text(template, "file", raw, offset)
            offset += len(raw) + 1

    def _of(self, wanted: Callable[[Probe], bool]) -> list[Track]:
        return [track for track in self.tracks if wanted(track.rule.probe)]

    def _line(self, source: str, raw: bytes, offset: int) -> None:
        if source == "stdout" and self._rules.format == "jsonl":
            self._json_line(raw, offset)
        else:
            self._text(source, source, raw, offset)

    def _json_line(self, raw: bytes, offset: int) -> None:
        events = events_on(raw) if len(raw) <= MAX_LINE else []
        if not events:
            self._text("stdout", "stdout", raw, offset, tried=not looks_like_object(raw))
            if raw.strip():
                lines = self.lines["stdout"]
                lines.skip(_why_no_event(raw), lines.count)
            return
        lines = self._count("stdout", raw)
        lines.events += 1
        left_out = bool(self._needles) and not any(all(word in raw for word in group) for group in self._needles)
        if left_out:
            lines.skip("JSON that holds none of the `needles`", lines.count)
        for event in events:
            self._event(event, ("stdout", offset), passed_over=left_out)

    def _event(self, event: JsonObject, place: Place, *, passed_over: bool = False) -> None:
        for track in self._of_events:
            track.event(event, place, passed_over=passed_over)

    def _count(self, source: str, raw: bytes) -> Lines:
        lines = self.lines[source]
        lines.count += 1
        lines.blank += not raw.strip()
        if raw.strip() and len(lines.samples) < SAMPLES:
            lines.samples.append(one_line(ends_of(decoded(raw))))
        return lines

    def _text(self, source: str, where: str, raw: bytes, offset: int, *, tried: bool = True) -> None:
        self._count(source, raw)
        if not (raw.strip() and tried):
            return
        text = one_line(ends_of(decoded(raw)))
        file = source if where == "file" else None
        for track in self._of(lambda probe: probe.reads_lines(where, file)):  # type: ignore[arg-type]  # a word of Where
            track.line(text, (source, offset))


class _Counted(LineScanner):
    """Hands out blank lines and those that are too long, too: they count."""

    def close(self) -> None:
        if self._overlong:
            self._carry[:] = bytes(MAX_LINE + 1)
            self._overlong = False
        super().close()

    def _hand_out(self, data: bytes | bytearray, start: int, stop: int, position: int) -> None:
        self._take(bytes(data[start : min(stop, start + MAX_LINE + 1)]), position + start)


def _why_no_event(raw: bytes) -> str:
    if len(raw) > MAX_LINE:
        return f"longer than {MAX_LINE >> 20} MiB"
    if looks_like_object(raw):
        return "broken JSON"
    beginning = raw.lstrip()[:1]
    return "JSON, but no object" if beginning in (b"[", b'"') or raw.strip().isdigit() else "no JSON"
