"""A parser's YAML → its rules, with every problem of the table at once."""

from __future__ import annotations

from runner.parsers.expressions import Expressions
from runner.parsers.folds import FIELDS, TAKES
from runner.parsers.parser import Parser
from runner.parsers.problems import Problems, RuleError, shown
from runner.parsers.resets import KINDS
from runner.parsers.rules import FaultRule, FieldRule, Probe, Rules, TerminalRule
from runner.parsers.selectors import When
from runner.reasons import FAULT_CLASSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from runner.parsers.patterns import Pattern
    from runner.parsers.problems import Trail
    from runner.parsers.rules import Where
    from runner.parsers.selectors import Condition

FORMATS = ("jsonl", "json", "text")
KEYS = (
    "description",
    "extends",
    "format",
    "needles",
    "success",
    "failure",
    "fields",
    "errors",
    "watch",
    "exit",
    "strip",
    "ignore_exit_code",
)

_SOURCE_FORM = "`stdout`, `stderr`, `{file: ...}` or `{when: ..., at: ...}`"

_PROBE_KEYS = ("in", "when", "at", "match")
_TERMINAL_KEYS = (*_PROBE_KEYS, "field", "is")
_FIELD_KEYS = (*_PROBE_KEYS, "take", "reset")
_FAULT_KEYS = ("in", "match", "class", "fails", "reset")
_WATCH_KEYS = ("in", "match", "class", "reset")


def compile_parser(raw: Mapping[str, Any], *, strict: bool = False) -> Parser:
    """The parser that a rule table describes.

    `strict` compiles every regular expression now instead of at first use. Raises RuleError with all problems found.
    """
    problems = Problems(strict=strict)
    rules = _Table(problems).rules(raw)
    if problems.found:
        raise RuleError(problems.found)
    return Parser(rules)


class _Table:
    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._expressions = Expressions(problems)

    def rules(self, raw: Mapping[str, Any]) -> Rules:
        table = self._problems.mapping(raw, KEYS, ())
        form = self._problems.one_of(table.get("format"), FORMATS, ("format",), "format")
        terminals = [*self._terminals(table, "failure", good=False), *self._terminals(table, "success", good=True)]
        named = {rule.folded[0] for rule in terminals if rule.folded}
        fields = self._fields(table.get("fields") or {}, named)
        for rule in terminals:
            if rule.folded and rule.folded[0] not in {field.name for field in fields}:
                self._problems.add(rule.trail, f"no field `{rule.folded[0]}` under `fields`")
        if form == "text" and not any(field.name == "text" for field in fields):
            whole = Probe("stdout", None, When(), None, None)
            fields.append(FieldRule("text", whole, "last", None, ("format",)))
        return Rules(
            format=form,
            needles=self._needles(table.get("needles"), form),
            terminals=tuple(terminals),
            fields=tuple(fields),
            errors=self._faults(table.get("errors"), ("errors",), _FAULT_KEYS),
            watches=self._faults(table.get("watch"), ("watch",), _WATCH_KEYS),
            exit_classes=self._exit_classes(table.get("exit") or {}),
            strip=self._strip(table.get("strip")),
            ignore_exit_code=self._problems.flag(table.get("ignore_exit_code", False), ("ignore_exit_code",)),
        )

    def _needles(self, raw: object, form: str) -> tuple[bytes, ...]:
        needles = self._problems.items(raw, ("needles",))
        if needles and form != "jsonl":
            self._problems.add(("needles",), f"only a jsonl parser has needles, this one is `{form}`")
        for number, needle in enumerate(needles):
            if not isinstance(needle, str) or not needle or "\n" in needle:
                self._problems.add(("needles", number), f"expected a word without line breaks, got {shown(needle)}")
        return tuple(needle.encode() for needle in needles if isinstance(needle, str))

    def _terminals(self, table: Mapping[str, Any], key: str, *, good: bool) -> list[TerminalRule]:
        raw = table.get(key)
        if isinstance(raw, list):
            return [self._terminal(item, (key, number), good=good) for number, item in enumerate(raw)]
        return [] if raw is None else [self._terminal(raw, (key,), good=good)]

    def _terminal(self, raw: object, trail: Trail, *, good: bool) -> TerminalRule:
        entry = self._problems.mapping(raw, _TERMINAL_KEYS, trail)
        if "field" not in entry:
            return TerminalRule(good, self._probe(entry, trail), None, trail)
        for key in _PROBE_KEYS:
            if key in entry:
                self._problems.add((*trail, key), f"`{key}` and `field` exclude each other")
        if "is" not in entry:
            self._problems.add(trail, "`field` needs an `is`: the value that decides")
        folded: tuple[str, Condition] = (
            str(entry["field"]),
            self._expressions.condition("value", entry.get("is"), (*trail, "is")),
        )
        return TerminalRule(good, Probe("event", None, When(), None, None), folded, trail)

    def _fields(self, raw: object, named: set[str]) -> list[FieldRule]:
        """A field may have a list of rules: the first that found anything counts."""
        fields = []
        for name, entry in self._problems.mapping(raw, (*FIELDS, *named), ("fields",)).items():
            if isinstance(entry, list):
                if not entry:
                    self._problems.add(("fields", name), "expected a rule or a list of them, got an empty list")
                fields += [self._field(name, item, ("fields", name, at)) for at, item in enumerate(entry)]
            else:
                fields.append(self._field(name, entry, ("fields", name)))
        return fields

    def _field(self, name: str, raw: object, trail: Trail) -> FieldRule:
        entry = self._problems.mapping(raw, _FIELD_KEYS, trail)
        take = self._problems.one_of(entry.get("take", "last"), TAKES, (*trail, "take"), "take")
        probe = self._probe(entry, trail, take=take, whole_text=True)
        reset = None
        if "reset" in entry:
            wanted = self._problems.mapping(entry["reset"], ("when",), (*trail, "reset"))
            reset = self._expressions.when(wanted.get("when"), (*trail, "reset", "when"))
        return FieldRule(name, probe, take, reset, trail)

    def _faults(self, raw: object, trail: Trail, keys: tuple[str, ...]) -> tuple[FaultRule, ...]:
        items = self._problems.items(raw, trail)
        return tuple(self._fault(item, (*trail, number), keys) for number, item in enumerate(items))

    def _fault(self, raw: object, trail: Trail, keys: tuple[str, ...]) -> FaultRule:
        entry = self._problems.mapping(raw, keys, trail)
        classes = FAULT_CLASSES | {"retry", "attempt"} if trail[0] == "watch" else FAULT_CLASSES
        kind = self._problems.one_of(entry.get("class"), classes, (*trail, "class"), "class")
        if "in" not in entry:
            self._problems.add(trail, f"missing key `in`: {_SOURCE_FORM}")
        probe = self._probe(entry, trail)
        if trail[0] == "watch" and probe.where == "file":
            self._problems.add((*trail, "in"), "a file is read after the run, so it cannot be watched")
        reset_at, reset_kind = None, "seconds"
        if "reset" in entry:
            reset = self._problems.mapping(entry["reset"], ("at", "kind"), (*trail, "reset"))
            reset_at = self._expressions.pick(reset.get("at"), (*trail, "reset", "at"))
            reset_kind = self._problems.one_of(reset.get("kind"), KINDS, (*trail, "reset", "kind"), "kind")
        fails = self._problems.flag(entry.get("fails", False), (*trail, "fails"))
        return FaultRule(kind, probe, fails, reset_at, reset_kind, trail)

    def _probe(self, entry: Mapping[str, Any], trail: Trail, *, take: str = "last", whole_text: bool = False) -> Probe:
        """`whole_text`: a text source without `match` is a value itself."""
        place, file, inner = self._source(entry.get("in"), (*trail, "in"))
        wanted, where_trail = (inner, (*trail, "in")) if inner else (entry, trail)
        when, at, pattern = When(), None, None
        if "when" in wanted:
            when = self._expressions.when(wanted["when"], (*where_trail, "when"))
        if "at" in wanted:
            at = self._expressions.pick(wanted["at"], (*where_trail, "at"), containers=take in ("count", "keys"))
        if "match" in entry:
            pattern = self._expressions.pattern(entry["match"], (*trail, "match"))
        self._check_probe(Probe(place, file, when, at, pattern), trail, take=take, whole_text=whole_text)
        return Probe(place, file, when, at, pattern)

    def _check_probe(self, probe: Probe, trail: Trail, *, take: str, whole_text: bool) -> None:
        events = probe.at is not None or bool(probe.when.conditions)
        if probe.where in ("stdout", "stderr") and events:
            self._problems.add(trail, f"`{probe.where}` is text: it has no `when` and no `at`")
        elif probe.where == "event" and not events:
            self._problems.add(trail, "a rule on events needs `when` or `at`")
        elif events and probe.pattern is not None and probe.at is None:
            self._problems.add((*trail, "match"), "`match` needs an `at`: the field that it is run on")
        elif events and whole_text and probe.at is None and take != "count":
            self._problems.add(trail, f"`take: {take}` needs an `at`: the field to take")
        elif not events and not whole_text and probe.pattern is None:
            self._problems.add(trail, "a rule on text needs `match`")

    def _source(self, raw: object, trail: Trail) -> tuple[Where, str | None, Mapping[str, Any] | None]:
        """Where to look, the file, and the `when` and `at` that stand inside `in`."""
        if raw is None:
            return "event", None, None
        if raw == "stdout":
            return "stdout", None, None
        if raw == "stderr":
            return "stderr", None, None
        if not isinstance(raw, dict):
            self._problems.add(trail, f"expected {_SOURCE_FORM}, got {shown(raw)}")
            return "stdout", None, None
        entry = self._problems.mapping(raw, ("file", "when", "at"), trail)
        inner = entry if "when" in entry or "at" in entry else None
        if "file" not in entry:
            return "event", None, inner
        if not isinstance(entry["file"], str) or not entry["file"]:
            self._problems.add((*trail, "file"), f"expected a path, got {shown(entry['file'])}")
        return "file", str(entry["file"]), inner

    def _exit_classes(self, raw: object) -> dict[int, str]:
        if not isinstance(raw, dict):
            self._problems.add(("exit",), f"expected a mapping of exit codes to classes, got {shown(raw)}")
            return {}
        classes = {}
        for code, kind in raw.items():
            known = self._problems.one_of(kind, FAULT_CLASSES, ("exit", code), "class")
            if str(code).isdecimal() and 1 <= int(code) <= 255:  # a cached table has its keys as text
                classes[int(code)] = known
            else:
                self._problems.add(("exit", code), f"expected an exit code from 1 to 255, got `{code}`")
        return classes

    def _strip(self, raw: object) -> tuple[Pattern, ...]:
        items = enumerate([raw] if isinstance(raw, str) else self._problems.items(raw, ("strip",)))
        return tuple(self._expressions.pattern(item, ("strip", number), groups=False) for number, item in items)
