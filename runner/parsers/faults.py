"""The errors and retries that a run has shown so far."""

from __future__ import annotations

from collections.abc import Callable

from runner.model import Evidence, Fault, JsonObject
from runner.parsers.patterns import Hit
from runner.parsers.resets import DoubtfulError, announced_in, reset_of
from runner.parsers.rules import FaultRule
from runner.parsers.scalars import decoded, scalar_text
from runner.reasons import REASONS
from runner.text import one_line
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo


MAX_MESSAGE = 2000
MAX_EXCERPT = 200


EXCERPT_BYTES = 4 * MAX_EXCERPT


class Line:
    """A line of output, or its beginning, and its place; its evidence is made when it is first needed."""

    __slots__ = ("_evidence", "_offset", "_raw", "_source")

    def __init__(self, source: str, raw: bytes, offset: int) -> None:
        self._source = source
        self._raw = raw
        self._offset = offset
        self._evidence: Evidence | None = None

    def ends(self, room: int) -> bytes:
        """Return the line, or its first and last bytes when it is long."""
        return self._raw if len(self._raw) <= 2 * room else self._raw[:room] + b"\n" + self._raw[-room:]

    @property
    def evidence(self) -> Evidence:
        if self._evidence is None:
            beginning = decoded(self._raw[:EXCERPT_BYTES])
            self._evidence = Evidence(self._source, self._offset, one_line(beginning, MAX_EXCERPT))
        return self._evidence


class FaultTracker:
    """Which error rules fitted (the last fit of each), and what the agent is retrying now.

    `clock` gives the time at which output is read, in seconds since the epoch: announced delays count from it.
    """

    def __init__(self, rules: tuple[FaultRule, ...], clock: Callable[[], float], zone: tzinfo | None) -> None:
        self._rules = rules
        self._clock = clock
        self._zone = zone
        self._errors: dict[int, Fault] = {}
        self._forgiven: dict[int, Fault] = {}
        self._class_known = False
        self._attempting = False
        self._held: Fault | None = None
        self.stalled: Fault | None = None
        self.retries = 0
        self.doubts: dict[str, str] = {}
        self.said: Fault | None = None

    @property
    def waiting(self) -> Fault | None:
        """What the agent waits for now; None while an attempt runs, however long."""
        return None if self._attempting else self.stalled

    def error(
        self, number: int, hit: Hit, event: JsonObject | None, line: Line, *, names_retries: bool = False
    ) -> None:
        """Note an error; with `names_retries` also as what a retry that says no reason is about."""
        rule = self._rules[number]
        self._errors[number] = fault = self._fault(rule, rule.kind, hit, event, line)
        if names_retries:
            self.said = fault

    def recovered(self) -> None:
        """Forget the errors of stdout before a success event: the agent recovered from them."""
        for number in [number for number in self._errors if self._rules[number].probe.where in ("event", "stdout")]:
            self._forgiven[number] = self._errors.pop(number)

    def retry(self, rule: FaultRule, hit: Hit, event: JsonObject | None, line: Line) -> None:
        """Note a retry; where its class is not known, it is that of the error or the retry before it.

        An `attempt` ends the wait but not the series of retries: whether it succeeds is not known yet.
        """
        self._attempting = rule.kind == "attempt"
        if self._attempting:
            return
        known = rule.kind != "retry"
        fault = self._fault(rule, rule.kind if known else "network", hit, event, line)
        before = self.said or (self.stalled if self._class_known else None)
        if known:
            self.said = None
        elif before:
            fault = replace(fault, kind=before.kind, message=before.message)
        self._class_known = known or before is not None
        self.stalled = fault
        self.retries += 1

    def went_on(self) -> None:
        self.stalled = None
        self._class_known = False
        self._attempting = False
        self.retries = 0

    def state(self) -> tuple[Fault | None, bool, bool, int]:
        return self.stalled, self._class_known, self._attempting, self.retries

    def restore(self, state: tuple[Fault | None, bool, bool, int]) -> None:
        """Go back: what came since then was a part of a retry."""
        self.stalled, self._class_known, self._attempting, self.retries = state

    def hold(self) -> None:
        """Keep what is retried now: an agent that is being ended may print more."""
        self._held = self.stalled

    def worst(self, *, ended_badly: bool = False) -> Fault | None:
        """Return the fault of the first rule that fitted, in the order of the table.

        A run that ended badly after a success event was forgiven too early.
        """
        if ended_badly and not self._errors:
            self._errors.update(self._forgiven)
        return self._first(list(self._errors))

    def failing(self, *, ended_well: bool) -> Fault | None:
        """Return the first fault with `fails`; stderr and files cannot fail a run that ended well."""
        return self._first(
            [
                number
                for number in self._errors
                if self._rules[number].fails
                and not (ended_well and self._rules[number].probe.where in ("stderr", "file"))
            ]
        )

    def last_retry(self) -> Fault | None:
        """Return what was retried when the output ended, or when `hold` was called."""
        stalled = self._held or self.stalled
        return self._with_reset(stalled) if stalled else None

    def fitted(self) -> list[tuple[FaultRule, Fault]]:
        return [(self._rules[number], self._errors[number]) for number in sorted(self._errors)]

    def _first(self, numbers: list[int]) -> Fault | None:
        return self._with_reset(self._errors[min(numbers)]) if numbers else None

    def _with_reset(self, fault: Fault) -> Fault:
        """Give `fault` the reset of the next rule of its class when it announces none itself."""
        if fault.retry_at is not None:
            return fault
        resets = (other.retry_at for _, other in self.fitted() if other.kind == fault.kind)
        return replace(fault, retry_at=next((reset for reset in resets if reset is not None), None))

    def _fault(self, rule: FaultRule, kind: str, hit: Hit, event: JsonObject | None, line: Line) -> Fault:
        text, groups = hit
        message = one_line(text[: 4 * MAX_MESSAGE], MAX_MESSAGE) or REASONS[kind].meaning
        announced = announced_in(groups)
        if rule.reset_at is not None and event is not None:
            found = [scalar_text(value) or "" for value in rule.reset_at(event)]
            announced = (rule.reset_kind, found[0]) if found else announced
        return Fault(kind, message, self._reset(*announced) if announced else None, line.evidence)

    def _reset(self, kind: str, text: str) -> float | None:
        try:
            return reset_of(kind, text, self._clock(), self._zone)
        except DoubtfulError as error:
            shown = one_line(text, 80)
            self.doubts[shown] = f"the announced reset `{shown}` is not believed: {error}"
            return None
