"""The patterns of a table run on one agent's text: within their budget, and what ran out of it is remembered."""

from __future__ import annotations

from runner.parsers.patterns import END_SECONDS, LINE_SECONDS, STREAM_SECONDS, Budget, OutOfTime
from runner.parsers.scalars import decoded, plain, scalar_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.model import JsonObject
    from runner.parsers.patterns import Hit, Pattern
    from runner.parsers.rules import FaultRule, FieldRule, TerminalRule, Trail
    from runner.parsers.window import Window


class Timed:
    """`slow`: the rules that took too long, and whether each could have failed the run.

    Such a rule counts as not matched; one that could have failed the run fails it instead: text switches none off.
    """

    def __init__(self) -> None:
        self._budget = Budget(STREAM_SECONDS, LINE_SECONDS)
        self.slow: dict[Trail, bool] = {}

    def output_ended(self) -> None:
        self._budget = Budget(END_SECONDS)

    def in_event(self, rule: TerminalRule | FaultRule, event: JsonObject) -> Hit | None:
        try:
            return rule.probe.in_event(event, self._budget)
        except OutOfTime:
            self.slow[rule.trail] = rule.can_fail
            return None

    def in_text(self, rule: TerminalRule | FaultRule, text: str) -> Hit | None:
        try:
            return rule.probe.in_text(text, self._budget)
        except OutOfTime:
            self.slow[rule.trail] = rule.can_fail
            return None

    def in_window(self, rule: FaultRule, window: Window) -> tuple[Hit | None, int]:
        """Return what fits at the end of the window, and where its first line begins."""
        pattern, found = rule.probe.pattern, None
        try:
            if pattern is not None:
                found = pattern.hit_behind(window.text, window.last, self._budget)
        except OutOfTime:
            self.slow[rule.trail] = rule.can_fail
        return found or (None, window.last)

    def matched(self, rule: FieldRule, found: list[Any]) -> list[str]:
        pattern = rule.probe.pattern
        try:
            texts = [scalar_text(item) or "" for item in found] if pattern else []
            return [value for text in texts if pattern for value in pattern.values(text, self._budget)]
        except OutOfTime:
            self.slow[rule.trail] = rule.can_fail
            return []

    def stripped(self, number: int, pattern: Pattern, text: str) -> str:
        try:
            return pattern.cleaned(text, self._budget).strip()
        except OutOfTime:
            self.slow["strip", number] = False
            return text

    def is_quiet(self, patterns: tuple[Pattern, ...], text: str) -> bool:
        """Whether a line is no progress: nothing but escapes, or one of these fits."""
        for number, pattern in enumerate(patterns if text else ()):
            try:
                if pattern.hit(text, self._budget):
                    return True
            except OutOfTime:
                self.slow["quiet", number] = False
        return not text

    def without_prefix(self, pattern: Pattern, raw: bytes) -> bytes:
        try:
            return pattern.without_prefix(plain(decoded(raw)), self._budget).encode()
        except OutOfTime:
            self.slow[("prefix",)] = True  # the line may have been the one that says that the run failed
            return raw
