"""The bytes of one run, in any chunks → its reply. Pure: bytes, a clock and a zone come in, values go out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.model import Evidence, Fault, JsonObject, Reply
from runner.parsers.faults import EXCERPT_BYTES, Line
from runner.parsers.findings import Findings
from runner.parsers.lines import MAX_DOCUMENT, HeadAndTail, LineScanner, events_in, events_on, looks_like_object
from runner.parsers.rules import LIVE, Dispatch, Rules, Trail
from runner.parsers.scalars import PATTERN_REACH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo
    from typing import Any, Literal, TypeAlias

    Source: TypeAlias = Literal["stdout", "stderr"]

REPLY_ROOM = 4 * 1024 * 1024
"""Bytes kept of each end of a text that is the reply itself."""


class Live:
    """A run as it looks while it runs: a view that is always up to date.

    `event` is the last type and subtype, `tokens` what was produced so far, `terminal` whether the terminal event came,
    `watch` what the agent waits for before it retries, `retries` how many of them came in a row.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._last: JsonObject = {}

    def saw(self, event: JsonObject) -> None:
        self._last = event

    @property
    def event(self) -> str | None:
        kind, detail = self._last.get("type"), self._last.get("subtype")
        if not isinstance(kind, str):
            return None
        return f"{kind}/{detail}" if isinstance(detail, str) else kind

    @property
    def tokens(self) -> int | None:
        found: int | None = self._findings.value("usage.output_tokens")
        return found

    def measured(self, name: str) -> Any:
        """A field of the reply as far as it is known, else what the rules under `live` know of it."""
        found = self._findings.value(name)
        return self._findings.value(f"{LIVE}{name}") if found is None else found

    @property
    def terminal(self) -> bool:
        return self._findings.ended

    @property
    def watch(self) -> Fault | None:
        return self._findings.faults.waiting

    @property
    def retries(self) -> int:
        return self._findings.faults.retries


class Reader:
    """Reads all output of one run; the reply is the same however it is chunked."""

    def __init__(self, rules: Rules, dispatch: Dispatch, clock: Callable[[], float], zone: tzinfo | None) -> None:
        self._findings = Findings(rules, dispatch, clock, zone)
        self.live = Live(self._findings)
        self._last_stderr: Line | None = None
        self._skipped = 0
        self._document = _Document() if rules.format == "json" else None
        self._stdout_rules = dispatch.lines("stdout").reads_lines
        self._scanners = {"stderr": LineScanner(self._on_stderr_line)}
        if rules.format == "jsonl":
            # Rules on stdout's plain lines concern every line.
            # While the agent retries, every line counts: the first event that is not a retry ends the stall, whether a
            # rule wants it or not, so the reply is the same with the prefilter and without.
            groups = () if self._stdout_rules else rules.groups
            self._scanners["stdout"] = LineScanner(self._on_json_line, groups, self._is_stalled)
        elif rules.format == "text" and (self._stdout_rules or rules.watches):
            self._scanners["stdout"] = LineScanner(self._on_text_line)
        self._kept = {source: HeadAndTail(room) for source, room in rooms_of(rules).items()}

    def feed(self, source: Source, data: bytes | bytearray | memoryview, position: int) -> None:
        """`position` is the offset of the first byte in the log that holds that source."""
        chunk = bytes(data) if isinstance(data, memoryview) else data
        if self._document is not None and source == "stdout":
            self._document.feed(chunk, position)
        if source in self._kept:
            self._kept[source].feed(chunk)
        if source in self._scanners:
            self._scanners[source].feed(chunk, position)

    def hold(self) -> None:
        """Keep what is retried now as `stalled`; call it before the runner ends the agent, which may print more."""
        self._findings.faults.hold()

    def finish(self, files: Mapping[str, bytes] | None = None) -> Reply:
        """Return the reply; call it once, after the last byte. `files`: path template → content."""
        for scanner in self._scanners.values():
            scanner.close()
        self._findings.output_ended()
        if self._document is not None:
            for event, line in self._document.events():
                self._findings.event(event, line)
        for source, kept in self._kept.items():
            self._findings.whole_text(source, kept.content())
        for template, content in (files or {}).items():
            self._findings.file(template, content)
        stderr_end = self._last_stderr.evidence if self._last_stderr else None
        return self._findings.reply(skipped_lines=self._skipped, stderr_end=stderr_end)

    def origins(self) -> list[tuple[Trail, str, Evidence | None]]:
        """Return, after `finish`, which rules found something, what, and at which line."""
        return self._findings.origins()

    def _is_stalled(self) -> bool:
        return self._findings.faults.stalled is not None

    def _on_json_line(self, raw: bytes, offset: int) -> None:
        bare = self._findings.bare(raw)
        events = events_on(bare)
        for event in events:
            self.live.saw(event)
            self._findings.event(event, Line("stdout", raw[:EXCERPT_BYTES], offset))
        if not events and raw.strip():
            self._skipped += 1
            # Never on a line that was meant as an event: a broken one may hold the model's words.
            if self._stdout_rules and not looks_like_object(bare):
                self._findings.text_line("stdout", Line("stdout", raw, offset))

    def _on_text_line(self, raw: bytes, offset: int) -> None:
        if raw.strip() and not self._findings.text_line("stdout", Line("stdout", raw, offset)):
            self._findings.faults.went_on()

    def _on_stderr_line(self, raw: bytes, offset: int) -> None:
        if raw.strip():
            self._last_stderr = Line("stderr", raw, offset)
            self._findings.text_line("stderr", self._last_stderr)


class _Document:
    """Stdout as one JSON document; one that is too large counts as none."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._offset = 0

    def feed(self, chunk: bytes | bytearray, position: int) -> None:
        if not self._content:
            self._offset = position
        self._content += chunk[: MAX_DOCUMENT + 1 - len(self._content)]

    def events(self) -> list[tuple[JsonObject, Line]]:
        content = bytes(self._content)
        return [
            (event, Line("stdout", content[start : start + EXCERPT_BYTES], self._offset + start))
            for event, start in events_in(content)
        ]


def rooms_of(rules: Rules) -> dict[Source, int]:
    """Return how much of which stream to keep: all of a text that is a value itself, else what patterns reach."""
    rooms: dict[Source, int] = {}
    for rule in rules.fields:
        for source in ("stdout", "stderr"):
            if rule.probe.reads_lines(source):
                room = PATTERN_REACH if rule.probe.pattern else REPLY_ROOM
                rooms[source] = max(room, rooms.get(source, 0))
    return rooms


class Parser:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._dispatch = Dispatch(rules)

    @property
    def rules(self) -> Rules:
        """For those who explain."""
        return self._rules

    @property
    def sources(self) -> tuple[str, ...]:
        """The path templates of the files to read after the run."""
        return tuple(dict.fromkeys(probe.file for probe in self._rules.probes if probe.file))

    def reader(self, clock: Callable[[], float], zone: tzinfo | None = None) -> Reader:
        """Return a reader for one run.

        `clock` gives the time of the output in seconds since the epoch; `zone` is the zone of clock times that name
        none, by default the machine's own.
        """
        return Reader(self._rules, self._dispatch, clock, zone)
