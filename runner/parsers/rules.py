"""A compiled rule table: what to look at, what to make of it, and which rules an event concerns."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.model import JsonObject
from runner.parsers.patterns import Budget, Hit, Pattern
from runner.parsers.scalars import scalar_text
from runner.parsers.selectors import Condition, Pick, When
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    Trail: TypeAlias = tuple[str | int, ...]
    Where: TypeAlias = Literal["event", "stdout", "stderr", "file"]
else:
    Trail = Where = object  # so that an import of them need not be hidden


LIVE = "live."
"""What the names of the fields under `live` begin with, once they are among the others."""
CAPS = ("turn_limit", "budget", "timeout")
"""The classes of the caps that a CLI has itself."""


# The rules compare by identity and are never shown: without eq and repr their classes are made in a third of the time,
# and every start of the runner makes them.
@dataclass(frozen=True, eq=False, repr=False)
class Probe:
    """Where a rule looks: events (`when`, `at`), lines of a text source, or a file that the agent wrote.

    `file` is the template of the file's path, also for events read from it.
    """

    where: Where
    file: str | None
    when: When
    at: Pick | None
    pattern: Pattern | None

    def reads_lines(self, where: Where, file: str | None = None) -> bool:
        return self.where == where and self.file == file and not self._takes_events

    def reads_events_of(self, file: str) -> bool:
        return self.file == file and self._takes_events

    @property
    def _takes_events(self) -> bool:
        return self.at is not None or bool(self.when.conditions)

    def in_event(self, event: JsonObject, budget: Budget) -> Hit | None:
        """Return the text that fits and the pattern's named groups. Raises OutOfTime."""
        if not self.when.fits(event):
            return None
        if self.at is None:
            return "", {}
        for value in self.at(event):
            hit = self.in_text(scalar_text(value) or "", budget)
            if hit:
                return hit
        return None

    def in_text(self, text: str, budget: Budget) -> Hit | None:
        return (text, {}) if self.pattern is None else self.pattern.hit(text, budget)


@dataclass(frozen=True, eq=False, repr=False)
class TerminalRule:
    """An event, a text or a folded field (`folded`: its name, the values it must have) that says how the run went."""

    good: bool
    probe: Probe
    folded: tuple[str, Condition] | None
    trail: Trail

    @property
    def can_fail(self) -> bool:
        return not self.good


@dataclass(frozen=True, eq=False, repr=False)
class FieldRule:
    name: str
    probe: Probe
    take: str
    reset: When | None
    trail: Trail
    collapse: bool | None = None
    by: Pick | None = None

    @property
    def can_fail(self) -> bool:
        return self.name == "denials"

    @property
    def keeps_form(self) -> bool:
        """Whether each value is a whole text, of which blank lines around it are no part."""
        return self.name == "text" and not self.collapse and self.take != "join"

    @property
    def collapses_text(self) -> bool:
        """Whether its pattern sees a text source without its white space: by default for all but the reply's text."""
        return self.name != "text" if self.collapse is None else self.collapse

    @property
    def sees_collapsed(self) -> bool:
        """The same with no pattern, too: then only what is to be collapsed is."""
        return self.collapses_text if self.probe.pattern else bool(self.collapse)


@dataclass(frozen=True, eq=False, repr=False)
class FaultRule:
    """`kind`: a reason, `retry` or `attempt` (a watch rule's); `reset_at`, `reset_kind`: where the reset stands."""

    kind: str
    probe: Probe
    fails: bool
    reset_at: Pick | None
    reset_kind: str
    trail: Trail

    @property
    def spans(self) -> bool:
        """Whether its pattern speaks of line breaks, so that it sees the lines before, too."""
        return self.probe.pattern is not None and self.probe.pattern.spans

    @property
    def can_fail(self) -> bool:
        return self.fails or (self.trail[0] == "errors" and self.kind in CAPS)


@dataclass(frozen=True, eq=False, repr=False)
class Rules:
    format: str
    groups: tuple[tuple[bytes, ...], ...]
    terminals: tuple[TerminalRule, ...]
    fields: tuple[FieldRule, ...]
    errors: tuple[FaultRule, ...]
    watches: tuple[FaultRule, ...]
    exit_classes: Mapping[int, str]
    strip: tuple[Pattern, ...]
    ignore_exit_code: bool
    quiet: tuple[Pattern, ...] = ()
    prefix: Pattern | None = None

    @property
    def probes(self) -> list[Probe]:
        return [rule.probe for rules in (self.terminals, self.fields, self.errors, self.watches) for rule in rules]


class Bucket:
    """The rules that one kind of event, or a line of one source, can concern; fields and errors with their number."""

    __slots__ = ("errors", "fields", "resets", "terminals", "watches")

    def __init__(self, rules: Rules, concerned: Callable[[Probe], bool], resets: Callable[[When], bool]) -> None:
        self.terminals = [rule for rule in rules.terminals if rule.folded is None and concerned(rule.probe)]
        self.fields = [(number, rule) for number, rule in enumerate(rules.fields) if concerned(rule.probe)]
        self.resets = [
            (number, rule.reset)
            for number, rule in enumerate(rules.fields)
            if rule.reset is not None and rule.probe.where == "event" and resets(rule.reset)
        ]
        self.errors = [(number, rule) for number, rule in enumerate(rules.errors) if concerned(rule.probe)]
        self.watches = [rule for rule in rules.watches if concerned(rule.probe)]

    @property
    def reads_lines(self) -> bool:
        """Whether there is any rule but those of fields, which take a text as a whole."""
        return bool(self.terminals or self.errors or self.watches)


class Dispatch:
    """Event → its bucket, by the one key that most rules ask for (`type`, as a rule): most events cost one look-up."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._key, self._kinds = _discriminator(rules)
        self._buckets: dict[str | None, Bucket] = {}
        self._lines: dict[tuple[Where, str | None], Bucket] = {}

    def bucket(self, event: JsonObject) -> Bucket:
        kind = scalar_text(event.get(self._key)) if self._key else None
        if kind not in self._kinds:
            kind = None
        found = self._buckets.get(kind)
        if found is None:
            found = self._buckets[kind] = Bucket(
                self._rules,
                lambda probe: probe.where == "event" and self._concerns(probe.when, kind),
                lambda when: self._concerns(when, kind),
            )
        return found

    def lines(self, where: Where, file: str | None = None) -> Bucket:
        """Return the rules on the lines of a text source."""
        found = self._lines.get((where, file))
        if found is None:
            found = self._lines[where, file] = Bucket(
                self._rules, lambda probe: probe.reads_lines(where, file), lambda _: False
            )
        return found

    def _concerns(self, when: When, kind: str | None) -> bool:
        """Whether an event of that kind can fit; None stands for every kind that no rule names."""
        return all(
            kind in condition.texts
            for condition in when.conditions
            if condition.literal and self._key and condition.path.key == self._key
        )


def _discriminator(rules: Rules) -> tuple[str | None, frozenset[str]]:
    asked: dict[str, list[frozenset[str]]] = {}
    resets = [rule.reset for rule in rules.fields if rule.reset is not None]
    for when in [*(probe.when for probe in rules.probes if probe.where == "event"), *resets]:
        for condition in when.conditions:
            if condition.literal and condition.path.key:
                asked.setdefault(condition.path.key, []).append(condition.texts)
    if not asked:
        return None, frozenset()
    key = max(asked, key=lambda name: len(asked[name]))
    return key, frozenset().union(*asked[key])
