"""A parser's table → its rules, with every problem that its JSON Schema cannot see, at once.

A table comes here after its schema: keys, types and words are right. What is left are paths, regular expressions, and
what one key says of another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from runner.errors import did_you_mean
from runner.parsers.folds import FIELDS
from runner.parsers.patterns import Pattern, problem_of
from runner.parsers.prefilter import groups_of
from runner.parsers.reader import Parser
from runner.parsers.resets import KINDS
from runner.parsers.rules import LIVE, FaultRule, FieldRule, Probe, Rules, TerminalRule, Trail, Where
from runner.parsers.scalars import scalar_text
from runner.parsers.selectors import Condition, Path, Pick, When, at, first_of, minus, sum_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Table: TypeAlias = Mapping[str, Any]

GROUPS = (*KINDS, "zone", "value")
ONLY_FOR = {"needles": "jsonl", "prefix": "jsonl", "quiet": "text"}
"""Keys that mean nothing in another format."""


class RuleError(Exception):
    """`problems`: (path in the table, message), such as `(("fields", "text", "at"), "bad path `a..b`")`."""

    def __init__(self, problems: list[tuple[Trail, str]]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, trail))}: {message}" for trail, message in problems))
        self.problems = tuple(problems)


def compile_parser(table: Table, *, strict: bool = False, live: bool = False) -> Parser:
    """Return the parser that a rule table describes.

    `strict` compiles every regular expression now instead of at first use. `live` is for a run with a budget: the rules
    under that key are read, too. Raise RuleError with all problems found.
    """
    compiler = _Compiler(strict=strict)
    rules = compiler.rules(_with_live(table) if live or strict else table)
    if compiler.problems:
        raise RuleError(compiler.problems)
    return Parser(rules)


def _with_live(table: Table) -> Table:
    """Return the table with the rules under `live` among its fields."""
    ours = {f"{LIVE}{name}": rule for name, rule in table.get("live", {}).items()}
    return {**table, "fields": {**table.get("fields", {}), **ours}} if ours else table


class _Compiler:
    """Adds what is wrong to `problems`; when `strict`, also of regular expressions."""

    def __init__(self, *, strict: bool) -> None:
        self.problems: list[tuple[Trail, str]] = []
        self._strict = strict

    def _add(self, trail: Trail, message: str) -> None:
        self.problems.append((trail, message))

    def rules(self, table: Table) -> Rules:
        form = table["format"]
        for key, wanted in ONLY_FOR.items():
            if table.get(key) and form != wanted:
                self._add((key,), f"only a {wanted} parser has {key}, this one is `{form}`")
        terminals = [*self._terminals(table, "failure", good=False), *self._terminals(table, "success", good=True)]
        fields = self._fields(table.get("fields", {}), {rule.folded[0] for rule in terminals if rule.folded})
        names = {*(field.name for field in fields), *table.get("fields", {})}
        for rule in terminals:
            if rule.folded and rule.folded[0] not in names:
                self._add(rule.trail, f"no field `{rule.folded[0]}` under `fields`")
        if form == "text" and "text" not in names:
            whole = Probe("stdout", None, When(), None, None)
            fields.append(FieldRule("text", whole, "last", None, ("format",)))
        return Rules(
            format=form,
            groups=self._groups(table),
            terminals=tuple(terminals),
            fields=tuple(fields),
            errors=tuple(self._fault(rule, ("errors", at)) for at, rule in _rules(table.get("errors", ()))),
            watches=tuple(self._watch(rule, ("watch", at)) for at, rule in _rules(table.get("watch", ()))),
            exit_classes={int(code): kind for code, kind in table.get("exit", {}).items()},
            strip=self._patterns(table, "strip"),
            ignore_exit_code=table.get("ignore_exit_code", False),
            quiet=self._patterns(table, "quiet"),
            prefix=self._pattern(table["prefix"], ("prefix",), groups=False) if "prefix" in table else None,
        )

    def _groups(self, table: Table) -> tuple[tuple[bytes, ...], ...]:
        return groups_of(table) if table["format"] == "jsonl" else ()

    def _patterns(self, table: Table, key: str) -> tuple[Pattern, ...]:
        given = _rules(table.get(key, ()))
        return tuple(self._pattern(source, (key, at), groups=False) for at, source in given)

    def _terminals(self, table: Table, key: str, *, good: bool) -> list[TerminalRule]:
        given = table.get(key, [])
        if isinstance(given, list):
            return [self._terminal(rule, (key, at), good=good) for at, rule in _rules(given)]
        return [self._terminal(given, (key,), good=good)]

    def _terminal(self, rule: Table, trail: Trail, *, good: bool) -> TerminalRule:
        if "field" not in rule:
            return TerminalRule(good, self._probe(rule, trail), None, trail)
        for key in ("in", "when", "at", "match"):
            if key in rule:
                self._add((*trail, key), f"`{key}` and `field` exclude each other")
        if "is" not in rule:
            self._add(trail, "`field` needs an `is`: the value that decides")
        condition = self._condition("value", rule.get("is"), (*trail, "is"))
        return TerminalRule(good, Probe("event", None, When(), None, None), (rule["field"], condition), trail)

    def _fields(self, table: Table, named: set[str]) -> list[FieldRule]:
        """Compile the fields; one may have a list of rules, of which the first that found anything counts."""
        known = (*FIELDS, *sorted(named.difference(FIELDS)))
        fields = []
        for name, rule in table.items():
            is_live = name.startswith(LIVE)
            trail = ("live", name.removeprefix(LIVE)) if is_live else ("fields", name)
            # Else `validate` says that nobody uses it.
            if name not in known and not is_live and (hint := did_you_mean(name, known)):
                self._add(trail, f"unknown key `{name}`, {hint}")
            if isinstance(rule, list):
                fields += [self._field(name, each, (*trail, at)) for at, each in _rules(rule)]
            else:
                fields.append(self._field(name, rule, trail))
        return fields

    def _field(self, name: str, rule: Table, trail: Trail) -> FieldRule:
        take = rule.get("take", "last")
        probe = self._probe(rule, trail, take=take, whole_text=True)
        reset = self._when(rule["reset"]["when"], (*trail, "reset", "when")) if "reset" in rule else None
        by = self._pick(rule["by"], (*trail, "by")) if "by" in rule else None
        if by is not None and take != "sum":
            self._add((*trail, "by"), f"only `take: sum` has `by`, this is `{take}`")
        return FieldRule(name, probe, take, reset, trail, rule.get("collapse"), by)

    def _watch(self, rule: Table, trail: Trail) -> FaultRule:
        fault = self._fault(rule, trail)
        if fault.probe.where == "file":
            self._add((*trail, "in"), "a file is read after the run, so it cannot be watched")
        return fault

    def _fault(self, rule: Table, trail: Trail) -> FaultRule:
        probe = self._probe(rule, trail)
        reset_at, reset_kind = None, "seconds"
        if "reset" in rule:
            reset_at = self._pick(rule["reset"]["at"], (*trail, "reset", "at"))
            reset_kind = rule["reset"]["kind"]
        return FaultRule(rule["class"], probe, rule.get("fails", False), reset_at, reset_kind, trail)

    def _probe(self, rule: Table, trail: Trail, *, take: str = "last", whole_text: bool = False) -> Probe:
        """Compile where a rule looks; with `whole_text`, a text source without `match` is a value itself."""
        where, file, inner = _source(rule.get("in"))
        wanted, wanted_trail = (inner, (*trail, "in")) if inner else (rule, trail)
        when, at, pattern = When(), None, None
        if "when" in wanted:
            when = self._when(wanted["when"], (*wanted_trail, "when"))
        if "at" in wanted:
            whole = take in ("count", "keys") or trail[:2] == ("fields", "output")
            at = self._pick(wanted["at"], (*wanted_trail, "at"), containers=whole)
        if "match" in rule:
            pattern = self._pattern(rule["match"], (*trail, "match"))
        probe = Probe(where, file, when, at, pattern)
        self._check_probe(probe, trail, take=take, whole_text=whole_text)
        return probe

    def _check_probe(self, probe: Probe, trail: Trail, *, take: str, whole_text: bool) -> None:
        events = probe.at is not None or bool(probe.when.conditions)
        if probe.where in ("stdout", "stderr") and events:
            self._add(trail, f"`{probe.where}` is text: it has no `when` and no `at`")
        elif probe.where == "event" and not events:
            self._add(trail, "a rule on events needs `when` or `at`")
        elif events and probe.pattern is not None and probe.at is None:
            self._add((*trail, "match"), "`match` needs an `at`: the field that it is run on")
        elif events and whole_text and probe.at is None and take != "count":
            self._add(trail, f"`take: {take}` needs an `at`: the field to take")
        elif not events and not whole_text and probe.pattern is None:
            self._add(trail, "a rule on text needs `match`")

    def _when(self, given: Mapping[str, Any], trail: Trail) -> When:
        return When(tuple(self._condition(path, wanted, (*trail, path)) for path, wanted in given.items()))

    def _condition(self, path: str, wanted: Any, trail: Trail) -> Condition:
        compiled = self._path(path, trail)
        if not isinstance(wanted, dict):
            return Condition(compiled, _texts(wanted))
        if "exists" in wanted:
            return Condition(compiled, frozenset(), exists=wanted["exists"])
        return Condition(compiled, _texts(wanted["not"]), negated=True)

    def _pick(self, given: Any, trail: Trail, *, containers: bool = False) -> Pick:
        if isinstance(given, str):
            return at(self._path(given, trail), containers=containers)
        if isinstance(given, list):
            return first_of(self._picks(given, trail, containers=containers))
        (name, parts), *_ = given.items()
        picks = self._picks(parts, (*trail, name), containers=False)
        return sum_of(picks) if name == "sum" else minus(picks)

    def _pattern(self, source: str, trail: Trail, *, groups: bool = True) -> Pattern:
        """Compile a regular expression; with `groups`, a named group without a meaning is a problem."""
        pattern = Pattern(source)
        if self._strict:
            problem = problem_of(pattern)
            if problem:
                self._add(trail, problem)
            elif groups:
                self._check_groups(pattern, trail)
        return pattern

    def _check_groups(self, pattern: Pattern, trail: Trail) -> None:
        for name in pattern.compiled.groupindex:
            if name not in GROUPS:
                hint = did_you_mean(name, GROUPS) or f"known are {', '.join(f'`{known}`' for known in GROUPS)}"
                self._add(trail, f"unknown named group `{name}`, {hint}")

    def _picks(self, parts: list[Any], trail: Trail, *, containers: bool) -> tuple[Pick, ...]:
        return tuple(self._pick(part, (*trail, at), containers=containers) for at, part in enumerate(parts))

    def _path(self, text: str, trail: Trail) -> Path:
        try:
            return Path(text)
        except ValueError as error:
            self._add(trail, str(error))
            return Path("unknown")


def _rules(given: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Yield each rule with its number; None is one that `validate` has told about already."""
    return ((at, rule) for at, rule in enumerate(given) if rule is not None)


def _source(given: Any) -> tuple[Where, str | None, Table | None]:
    """Return where a rule looks, the file, and the `when` and `at` that stand inside `in`."""
    if not isinstance(given, dict):
        return given or "event", None, None
    inner = given if "when" in given or "at" in given else None
    return ("file" if "file" in given else "event"), given.get("file"), inner


def _texts(wanted: Any) -> frozenset[str]:
    texts = (scalar_text(value) for value in (wanted if isinstance(wanted, list) else [wanted]))
    return frozenset(text for text in texts if text is not None)
