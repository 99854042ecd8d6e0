"""All output of a run again, rule by rule: what each was tried on, and what came nearest where it gave nothing. Pure.

Slower than the reader by far, and without a part in the reply: for a person who asks why.
"""

from __future__ import annotations

from collections.abc import Callable

from runner.model import JsonObject
from runner.parsers.lines import MAX_LINE, HeadAndTail, LineScanner, events_in, events_on, looks_like_object
from runner.parsers.patterns import Budget, OutOfTime
from runner.parsers.reader import rooms_of
from runner.parsers.rules import Probe, Rules, TerminalRule
from runner.parsers.scalars import decoded, ends_of, one_line, plain
from runner.parsers.tracks import SAMPLES, Place, Track, rule_of_lines
from runner.parsers.window import Window

_SECONDS = 1.0


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
        quiet = [rule_of_lines(pattern, "quiet", number) for number, pattern in enumerate(rules.quiet)]
        parts = (rules.terminals, rules.fields, rules.errors, rules.watches, quiet)
        self._prefix = None if rules.prefix is None else Track(rule_of_lines(rules.prefix, "prefix"))
        self._tried = [Track(rule) for part in parts for rule in part]
        self.tracks = [*self._tried, *([self._prefix] if self._prefix else [])]
        self._of_events = [
            track
            for track in self._of(lambda probe: probe.where == "event")
            if not (isinstance(track.rule, TerminalRule) and track.rule.folded)
        ]
        self._windows: dict[str, Window] = {}
        self.lines: dict[str, Lines] = {}
        self._document = bytearray()
        self._kept = {str(source): HeadAndTail(room) for source, room in rooms_of(rules).items()}
        self._scanners = {source: self._scanner(source) for source in ("stdout", "stderr")}

    @property
    def is_text(self) -> bool:
        return self._rules.format == "text"

    def _scanner(self, source: str) -> _Counted:
        self.lines[source] = Lines()
        return _Counted(lambda raw, offset: self._line(source, raw, offset))

    def feed(self, source: str, data: bytes, position: int) -> None:
        self._scanners[source].feed(data, position)
        if source in self._kept:
            self._kept[source].feed(data)
        if source == "stdout" and self._rules.format == "json":
            self._document += data[: MAX_LINE + 1 - len(self._document)]

    def finish(self) -> None:
        for scanner in self._scanners.values():
            scanner.close()
        if self._rules.format == "json":
            for event, offset in events_in(bytes(self._document)):
                self.lines["stdout"].events += 1
                self._event(event, ("stdout", offset))
        for source, kept in self._kept.items():
            self._whole(source, self._of_lines(source, None), kept.content(), kept.offset)

    def file(self, template: str, content: bytes) -> None:
        self.lines[template] = Lines()
        for event, offset in events_in(content):
            for track in self._of(lambda probe: probe.reads_events_of(template)):
                track.event(event, (template, offset))
        offset = 0
        for raw in content.split(b"\n"):
            self._text(template, raw, offset, self._of_lines("file", template))
            offset += len(raw) + 1
        self._whole(template, self._of_lines("file", template), content, int)

    def _of(self, wanted: Callable[[Probe], bool]) -> list[Track]:
        return [track for track in self._tried if wanted(track.rule.probe)]

    def _of_lines(self, where: str, file: str | None) -> list[Track]:
        return self._of(lambda probe: probe.reads_lines(where, file))  # type: ignore[arg-type]  # a word of Where

    def _line(self, source: str, raw: bytes, offset: int) -> None:
        if source == "stdout" and self._rules.format == "jsonl":
            self._json_line(raw, offset)
        else:
            self._text(source, raw, offset, self._of_lines(source, None) if len(raw) <= MAX_LINE else [])

    def _json_line(self, raw: bytes, offset: int) -> None:
        bare = self._bare(raw, offset)
        events = events_on(bare) if len(raw) <= MAX_LINE else []
        tracks = self._of_lines("stdout", None)
        if events or looks_like_object(bare):  # never on what was meant as an event, but for fields
            tracks = [track for track in tracks if track.takes_whole_texts]
        lines = self._text("stdout", raw, offset, tracks)
        if not events:
            if raw.strip():
                lines.skip(_why_no_event(bare), lines.count)
            return
        lines.events += 1
        left_out = bool(self._needles) and not any(all(word in raw for word in group) for group in self._needles)
        if left_out:
            lines.skip("JSON that holds none of the `needles`", lines.count)
        for event in events:
            self._event(event, ("stdout", offset), passed_over=left_out)

    def _bare(self, raw: bytes, offset: int) -> bytes:
        """Return a line of JSON without its prefix."""
        if self._prefix is None or self._rules.prefix is None or not raw.strip() or len(raw) > MAX_LINE:
            return raw
        text = plain(decoded(raw))
        try:
            rest = self._rules.prefix.without_prefix(text, Budget(_SECONDS))
        except OutOfTime:
            return raw
        self._prefix.prefix(text, rest, ("stdout", offset))
        return rest.encode()

    def _event(self, event: JsonObject, place: Place, *, passed_over: bool = False) -> None:
        for track in self._of_events:
            track.event(event, place, passed_over=passed_over)

    def _text(self, source: str, raw: bytes, offset: int, tracks: list[Track]) -> Lines:
        """Count a line, and try the rules that look at lines."""
        lines = self.lines[source]
        lines.count += 1
        if not raw.strip():
            lines.blank += 1
            return lines
        text = one_line(ends_of(decoded(raw)))
        if len(lines.samples) < SAMPLES:
            lines.samples.append(text)
        window = self._windows.setdefault(source, Window())
        if any(not track.takes_whole_texts for track in tracks):
            window.add(text, None)
        watched = False
        for track in tracks:
            hit = track.window(window, (source, offset)) if track.spans else track.line(text, (source, offset))
            watched = watched or (hit and track.rule.trail[0] == "watch")
        if watched:
            del self._windows[source]  # as the reader does: the next retry begins behind this one
        return lines

    def _whole(self, source: str, tracks: list[Track], content: bytes, offset: Callable[[int], int]) -> None:
        places: dict[str, list[int]] = {}

        def place_of(text: str, start: int) -> Place:
            if not places:
                places.update(_lines_in(content))
            begin = text.rfind("\n", 0, start) + 1
            line = one_line(text[begin:].partition("\n")[0])
            same = sum(one_line(other) == line for other in text[:begin].split("\n")) if begin else 0
            there = places.get(line, [])[same:] or [0]
            return source, offset(there[0])

        for track in tracks:
            if track.takes_whole_texts:
                track.whole(decoded(content), place_of)


def _lines_in(content: bytes) -> dict[str, list[int]]:
    """Return where each line stands, by its text as a pattern sees it."""
    found: dict[str, list[int]] = {}
    offset = 0
    for raw in content.split(b"\n"):
        found.setdefault(one_line(decoded(raw)), []).append(offset)
        offset += len(raw) + 1
    return found


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
