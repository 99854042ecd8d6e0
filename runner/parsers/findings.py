"""What the rules found in one run: its terminal event, its fields, its faults; at the end, the reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.model import Evidence, JsonObject, Reply, Usage
from runner.parsers.faults import EXCERPT_BYTES, FaultTracker, Line
from runner.parsers.folds import FIELDS, LIMITS, Fold
from runner.parsers.lines import events_in
from runner.parsers.patterns import END_SECONDS, LINE_SECONDS, STREAM_SECONDS, Budget, Hit, OutOfTime
from runner.parsers.rules import Dispatch, FaultRule, FieldRule, Rules, TerminalRule, Trail, Where
from runner.parsers.scalars import (
    PATTERN_REACH,
    collapsed,
    decoded,
    one_line,
    plain,
    scalar_text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo
    from typing import Any

    from runner.model import Terminal


class Findings:
    def __init__(self, rules: Rules, dispatch: Dispatch, clock: Callable[[], float], zone: tzinfo | None) -> None:
        self._rules = rules
        self._dispatch = dispatch
        self._folds = tuple(Fold(rule.take, LIMITS.get(rule.name)) for rule in rules.fields)
        self._of_field: dict[str, list[Fold]] = {}
        for rule, fold in zip(rules.fields, self._folds, strict=True):
            self._of_field.setdefault(rule.name, []).append(fold)
        self._last_event: tuple[bool, Evidence, Trail] | None = None
        self._texts_found: dict[bool, tuple[Evidence, Trail]] = {}
        self._budget = Budget(STREAM_SECONDS, LINE_SECONDS)
        self._slow: dict[Trail, bool] = {}
        self.faults = FaultTracker(rules.errors, clock, zone)

    @property
    def ended(self) -> bool:
        """Whether a terminal event came."""
        return self._last_event is not None

    def value(self, name: str) -> Any:
        """Return a field as far as it is known, by the first of its rules that found anything; else None."""
        found = (FIELDS[name](fold.value) for fold in self._of_field.get(name, ()))
        return next((value for value in found if value is not None), None)

    def event(self, event: JsonObject, line: Line) -> None:
        bucket = self._dispatch.bucket(event)
        fitting = [rule for rule in bucket.terminals if self._in_event(rule, event)]
        if fitting:
            rule = min(fitting, key=lambda rule: rule.good)  # an event that fits both is a failure
            self._last_event = rule.good, line.evidence, rule.trail
            if rule.good:
                self.faults.recovered()
        for number, when in bucket.resets:
            if when.fits(event):
                self._folds[number].reset()
        for number, field in bucket.fields:
            self._folds[number].add(self._values(field, event), line)
        for number, error in bucket.errors:
            hit = self._in_event(error, event)
            if hit:
                self.faults.error(number, hit, event, line)
        for watch in bucket.watches:
            hit = self._in_event(watch, event)
            if hit:
                self.faults.retry(watch, hit, event, line)
                return
        self.faults.went_on()

    def text_line(self, where: Where, line: Line, *, file: str | None = None) -> bool:
        """Read one line of a text source; return whether it is a retry."""
        bucket = self._dispatch.lines(where, file)
        if not bucket.reads_lines:
            return False
        text = one_line(decoded(line.ends(PATTERN_REACH)))
        for rule in bucket.terminals:
            if self._in_text(rule, text):
                self._texts_found.setdefault(rule.good, (line.evidence, rule.trail))
        for number, error in bucket.errors:
            hit = self._in_text(error, text)
            if hit:
                self.faults.error(number, hit, None, line)
        for watch in bucket.watches:
            hit = self._in_text(watch, text)
            if hit:
                self.faults.retry(watch, hit, None, line)
                return True
        return False

    def whole_text(self, where: Where, content: bytes, *, file: str | None = None) -> None:
        """Read a text source as a whole, for the fields that look there."""
        line = Line(file or where, content[:EXCERPT_BYTES], 0)
        for rule, fold in zip(self._rules.fields, self._folds, strict=True):
            if rule.probe.reads_lines(where, file):
                text = decoded(content)
                fold.add(self._matched(rule, [collapsed(text)]) if rule.probe.pattern else [plain(text).strip()], line)

    def file(self, template: str, content: bytes) -> None:
        """Read a file that the agent wrote: its events, its lines, its whole text."""
        for event, offset in events_in(content):
            line = Line(template, content[offset : offset + EXCERPT_BYTES], offset)
            for rule, fold in zip(self._rules.fields, self._folds, strict=True):
                if rule.probe.reads_events_of(template):
                    fold.add(self._values(rule, event), line)
            for number, error in enumerate(self._rules.errors):
                hit = self._in_event(error, event) if error.probe.reads_events_of(template) else None
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
        self._budget = Budget(END_SECONDS)

    def _in_event(self, rule: TerminalRule | FaultRule, event: JsonObject) -> Hit | None:
        try:
            return rule.probe.in_event(event, self._budget)
        except OutOfTime:
            self._ran_out(rule)
            return None

    def _in_text(self, rule: TerminalRule | FaultRule, text: str) -> Hit | None:
        try:
            return rule.probe.in_text(text, self._budget)
        except OutOfTime:
            self._ran_out(rule)
            return None

    def _values(self, rule: FieldRule, event: Mapping[str, Any]) -> list[Any]:
        if not rule.probe.when.fits(event):
            return []
        if rule.probe.at is None:
            return [True]  # the event itself, to be counted
        found = rule.probe.at(event)
        return found if rule.probe.pattern is None else self._matched(rule, found)

    def _matched(self, rule: FieldRule, found: list[Any]) -> list[str]:
        pattern = rule.probe.pattern
        try:
            texts = [scalar_text(item) or "" for item in found] if pattern else []
            return [value for text in texts if pattern for value in pattern.values(text, self._budget)]
        except OutOfTime:
            self._ran_out(rule)
            return []

    def _ran_out(self, rule: TerminalRule | FaultRule | FieldRule) -> None:
        """Count a rule as not matched; one that could have failed the run fails it instead: text switches none off."""
        self._slow[rule.trail] = rule.can_fail

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
            try:
                text = pattern.cleaned(text, self._budget).strip()
            except OutOfTime:
                self._slow["strip", number] = False
        return Reply(
            text=text,
            session_id=self.value("session_id"),
            model=self.value("model"),
            usage=Usage(**{name: self._amount(f"usage.{name}", terminal) for name in _USAGE}),
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
            doubts=(*self.faults.doubts.values(), *self._doubts()),
            slow_rules=tuple(self._slow.items()),
        )

    def origins(self) -> list[tuple[Trail, str, Evidence | None]]:
        """Return which rules found something, what, and at which line."""
        folds = zip(self._rules.fields, self._folds, strict=True)
        found = [
            (rule.trail, scalar_text(fold.value) or "", fold.evidence) for rule, fold in folds if fold.value is not None
        ]
        decided = [*((good, *where) for good, where in self._texts_found.items()), *self._fields_found()]
        for good, evidence, trail in [*decided, *([self._last_event] if self._last_event else [])]:
            found.append((trail, "good" if good else "bad", evidence))
        for rule, fault in self.faults.fitted():
            found.append((rule.trail, f"{fault.kind}: {fault.message}", fault.evidence))
        return found

    def _terminal(self) -> tuple[Terminal, Evidence | None]:
        """Decide by a failing text or folded field, else by the last event, else by a good text or folded field."""
        if not self._rules.terminals:
            return "undeclared", None
        decided = self._texts_found | {good: (evidence, trail) for good, evidence, trail in self._fields_found()}
        if False in decided:
            return "bad", decided[False][0]
        if self._last_event:
            return ("good" if self._last_event[0] else "bad"), self._last_event[1]
        if True in decided:
            return "good", decided[True][0]
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

    def _amount(self, name: str, terminal: Terminal) -> int | None:
        """Return an amount. A count of events is known only after a terminal event; then nothing counted is 0."""
        found: int | None = self.value(name)
        if not any(fold.counts for fold in self._of_field.get(name, ())):
            return found
        if terminal == "absent":
            return None
        return 0 if found is None and terminal != "undeclared" else found


_USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
