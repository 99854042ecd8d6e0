"""What the rules found in one run: its terminal event, its fields, its faults; at the end, the reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.model import Evidence, JsonObject, Reply, Usage
from runner.parsers.faults import EXCERPT_BYTES, FaultTracker, Line
from runner.parsers.folds import FIELDS, LIMITS, Fold
from runner.parsers.lines import events_in
from runner.parsers.rules import LIVE, Dispatch, FaultRule, FieldRule, Rules, TerminalRule, Trail, Where
from runner.parsers.scalars import PATTERN_REACH, collapsed, decoded, formed, one_line, scalar_text
from runner.parsers.timed import Timed
from runner.parsers.window import Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo
    from typing import Any

    from runner.model import Terminal


class Findings:
    def __init__(self, rules: Rules, dispatch: Dispatch, clock: Callable[[], float], zone: tzinfo | None) -> None:
        self._rules = rules
        self._dispatch = dispatch
        self._folds = tuple(
            Fold(rule.take, LIMITS.get(rule.name.removeprefix(LIVE)), collapse=rule.collapse is True)
            for rule in rules.fields
        )
        self._of_field: dict[str, list[Fold]] = {}
        for rule, fold in zip(rules.fields, self._folds, strict=True):
            self._of_field.setdefault(rule.name, []).append(fold)
        self._last_event: tuple[bool, Evidence, Trail] | None = None
        self._texts_found: dict[str, tuple[bool, Evidence, Trail]] = {}
        self._windows: dict[str, Window] = {}
        self._timed = Timed()
        self._is_text = rules.format == "text"
        self.faults = FaultTracker(rules.errors, clock, zone)

    @property
    def ended(self) -> bool:
        """Whether a terminal event came."""
        return self._last_event is not None

    def value(self, name: str) -> Any:
        """Return a field as far as it is known, by the first of its rules that found anything; else None."""
        fold = self._deciding(name)
        return FIELDS[name.removeprefix(LIVE)](fold.value) if fold else None

    def _deciding(self, name: str) -> Fold | None:
        folds, made = self._of_field.get(name, ()), FIELDS[name.removeprefix(LIVE)]
        return next((fold for fold in folds if made(fold.value) is not None), None)

    def event(self, event: JsonObject, line: Line) -> None:
        bucket = self._dispatch.bucket(event)
        fitting = [rule for rule in bucket.terminals if self._timed.in_event(rule, event)]
        if fitting:
            rule = min(fitting, key=lambda rule: rule.good)  # an event that fits both is a failure
            self._last_event = rule.good, line.evidence, rule.trail
            if rule.good:
                self.faults.recovered()
        for number, when in bucket.resets:
            if when.fits(event):
                self._folds[number].reset()
        for number, field in bucket.fields:
            fold, values = self._folds[number], self._values(field, event)
            fold.add(values if field.by is None else fold.increase(field.by(event), values), line)
        for number, error in bucket.errors:
            hit = self._timed.in_event(error, event)
            if hit:
                self.faults.error(number, hit, event, line)
        for watch in bucket.watches:
            hit = self._timed.in_event(watch, event)
            if hit:
                self.faults.retry(watch, hit, event, line)
                return
        self.faults.went_on()

    def text_line(self, where: Where, line: Line, *, file: str | None = None) -> bool:
        """Read one line of a text source; return whether it is no progress: a retry, an error, a quiet line."""
        bucket = self._dispatch.lines(where, file)
        waits = self.faults.stalled is not None and where == "stdout"
        if not bucket.reads_lines and not waits:
            return False
        text = one_line(decoded(line.ends(PATTERN_REACH)))
        fitting = [rule for rule in bucket.terminals if self._timed.in_text(rule, text)]
        if fitting:
            self._signal(file or where, min(fitting, key=lambda rule: rule.good), line)
        errors = [(number, hit) for number, error in bucket.errors if (hit := self._timed.in_text(error, text))]
        for number, hit in errors:
            self.faults.error(number, hit, None, line, names_retries=self._is_text and hit is errors[0][1])
        return (
            self._retries(bucket.watches, where, text, line)
            or bool(errors)
            or (waits and self._timed.is_quiet(self._rules.quiet, text))
        )

    def _signal(self, source: str, rule: TerminalRule, line: Line) -> None:
        """Note a line that says how the run went: of each source the last decides. The first of equal ones shows it."""
        if source not in self._texts_found or self._texts_found[source][0] is not rule.good:
            self._texts_found[source] = rule.good, line.evidence, rule.trail
        if rule.good:
            self.faults.said = None

    def _retries(self, watches: list[FaultRule], where: Where, text: str, line: Line) -> bool:
        """Note the retry that a line is, or that it ends."""
        window = self._windows.setdefault(where, Window()) if any(watch.spans for watch in watches) else None
        if window:
            window.add(text, self.faults.state())
        for watch in watches:
            if window and watch.spans:
                hit, begin = self._timed.in_window(watch, window)
                if hit and self._is_text and where == "stdout":
                    self.faults.restore(window.state_at(begin))  # none of its lines was progress
            else:
                hit = self._timed.in_text(watch, text)
            if hit:
                self._windows.pop(where, None)
                self.faults.retry(watch, hit, None, line)
                return True
        return False

    def bare(self, raw: bytes) -> bytes:
        """Return a line of JSON without its prefix."""
        return raw if self._rules.prefix is None else self._timed.without_prefix(self._rules.prefix, raw)

    def whole_text(self, where: Where, content: bytes, *, file: str | None = None) -> None:
        """Read a text source as a whole, for the fields that look there."""
        line = Line(file or where, content[:EXCERPT_BYTES], 0)
        for rule, fold in zip(self._rules.fields, self._folds, strict=True):
            if rule.probe.reads_lines(where, file):
                pattern, text = rule.probe.pattern, decoded(content)
                text = collapsed(text) if rule.sees_collapsed else formed(text)
                values = self._timed.matched(rule, [text]) if pattern else [text]
                fold.add([formed(value) for value in values] if rule.keeps_form else values, line)

    def file(self, template: str, content: bytes) -> None:
        """Read a file that the agent wrote: its events, its lines, its whole text."""
        for event, offset in events_in(content):
            line = Line(template, content[offset : offset + EXCERPT_BYTES], offset)
            for rule, fold in zip(self._rules.fields, self._folds, strict=True):
                if rule.probe.reads_events_of(template):
                    fold.add(self._values(rule, event), line)
            for number, error in enumerate(self._rules.errors):
                hit = self._timed.in_event(error, event) if error.probe.reads_events_of(template) else None
                if hit:
                    self.faults.error(number, hit, event, line)
        offset = 0
        for raw in content.split(b"\n"):
            if raw.strip():
                self.text_line("file", Line(template, raw, offset), file=template)
            offset += len(raw) + 1
        self.whole_text("file", content, file=template)

    def output_ended(self) -> None:
        """From here on the patterns have one budget for all that is left to read."""
        self._timed.output_ended()

    def _values(self, rule: FieldRule, event: Mapping[str, Any]) -> list[Any]:
        if not rule.probe.when.fits(event):
            return []
        if rule.probe.at is None:
            return [True]  # the event itself, to be counted
        found = rule.probe.at(event)
        return found if rule.probe.pattern is None else self._timed.matched(rule, found)

    def _doubts(self) -> list[str]:
        """Say which numbers were none, or not to be believed."""
        return [
            f"the agent reported {fold.absurd!r} as {rule.name}, which cannot be; it counts as not reported"
            for rule, fold in zip(self._rules.fields, self._folds, strict=True)
            if fold.absurd is not None
        ]

    def reply(self, *, skipped_lines: int, stderr_end: Evidence | None) -> Reply:
        terminal, evidence = self._terminal()
        text = self.value("text") or ""
        for number, pattern in enumerate(self._rules.strip):
            text = self._timed.stripped(number, pattern, text)
        return Reply(
            text=text,
            session_id=self.value("session_id"),
            model=self.value("model"),
            usage=self._usage(terminal),
            cost_usd=self.value("cost_usd"),
            tool_calls=self._amount("tool_calls", terminal),
            terminal=terminal,
            terminal_evidence=evidence,
            failure=self.faults.failing(ended_well=terminal == "good"),
            fault=self.faults.worst(ended_badly=terminal == "bad"),
            stalled=self.faults.last_retry(),
            ignore_exit_code=self._rules.ignore_exit_code,
            skipped_lines=skipped_lines,
            exit_classes=self._rules.exit_classes,
            stderr_end=stderr_end,
            denials=self.value("denials"),
            output=self.value("output"),
            doubts=(*self.faults.doubts.values(), *self._doubts()),
            slow_rules=tuple(self._timed.slow.items()),
        )

    def origins(self) -> list[tuple[Trail, str, Evidence | None]]:
        """Return which rules found something, what, and at which line."""
        folds = zip(self._rules.fields, self._folds, strict=True)
        found = [
            (rule.trail, scalar_text(fold.value) or "", fold.evidence) for rule, fold in folds if fold.value is not None
        ]
        decided = [*self._fields_found(), *self._texts_found.values()]
        for good, evidence, trail in [*decided, *([self._last_event] if self._last_event else [])]:
            found.append((trail, "good" if good else "bad", evidence))
        for rule, fault in self.faults.fitted():
            found.append((rule.trail, f"{fault.kind}: {fault.message}", fault.evidence))
        return found

    def _terminal(self) -> tuple[Terminal, Evidence | None]:
        """Decide by a failing text or folded field, else by the last event, else by a good text or folded field.

        A text fails where the last of its lines that says anything says so.
        """
        if not self._rules.terminals:
            return "undeclared", None
        decided: dict[bool, Evidence | None] = {}
        for good, evidence, _ in (*self._fields_found(), *self._texts_found.values()):
            decided.setdefault(good, evidence)
        if False in decided:
            return "bad", decided[False]
        if self._last_event:
            return ("good" if self._last_event[0] else "bad"), self._last_event[1]
        if True in decided:
            return "good", decided[True]
        return ("absent" if any(rule.good for rule in self._rules.terminals) else "undeclared"), None

    def _fields_found(self) -> list[tuple[bool, Evidence | None, Trail]]:
        found = []
        for rule in self._rules.terminals:
            if rule.folded is None:
                continue
            name, condition = rule.folded
            fold = next((fold for fold in self._of_field[name] if fold.value is not None), None)
            if fold is not None and condition.accepts([fold.value]):
                found.append((rule.good, fold.evidence, rule.trail))
        return found

    def _usage(self, terminal: Terminal) -> Usage:
        folds = (self._deciding(f"usage.{name}") for name in _USAGE)
        return Usage(
            **{name: self._amount(f"usage.{name}", terminal) for name in _USAGE},
            approximate=any(fold.approximate for fold in folds if fold),
        )

    def _amount(self, name: str, terminal: Terminal) -> int | None:
        """Return an amount. A count of events is known only after a terminal event; then nothing counted is 0."""
        found: int | None = self.value(name)
        if not any(fold.counts for fold in self._of_field.get(name, ())):
            return found
        if terminal == "absent":
            return None
        return 0 if found is None and terminal != "undeclared" else found


_USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
