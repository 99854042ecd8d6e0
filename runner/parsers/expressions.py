"""The small expressions inside a rule: `when`, `at`, a value to compare with, a pattern."""

from __future__ import annotations

from runner.errors import did_you_mean
from runner.parsers.paths import FORM, Path
from runner.parsers.patterns import Pattern, problem_of
from runner.parsers.problems import Problems, shown
from runner.parsers.resets import KINDS
from runner.parsers.scalars import scalar_text
from runner.parsers.selectors import (
    At,
    Condition,
    FirstOf,
    Minus,
    Sum,
    When,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.parsers.problems import Trail
    from runner.parsers.selectors import Pick

GROUPS = (*KINDS, "zone", "value")


class Expressions:
    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def when(self, raw: object, trail: Trail) -> When:
        if not isinstance(raw, dict) or not raw:
            self._problems.add(trail, f"expected a mapping of paths to values, got {shown(raw)}")
            return When()
        return When(tuple(self.condition(path, wanted, (*trail, path)) for path, wanted in raw.items()))

    def condition(self, path: object, raw: object, trail: Trail) -> Condition:
        compiled = self._path(path, trail)
        if not isinstance(raw, dict):
            return Condition(compiled, self._texts(raw, trail))
        if set(raw) == {"exists"}:
            return Condition(compiled, frozenset(), exists=self._problems.flag(raw["exists"], (*trail, "exists")))
        if set(raw) == {"not"}:
            return Condition(compiled, self._texts(raw["not"], (*trail, "not")), negated=True)
        self._problems.add(trail, "expected a value, a list of values, `{not: ...}` or `{exists: true}`, got a mapping")
        return Condition(compiled, frozenset())

    def pick(self, raw: object, trail: Trail, *, containers: bool = False) -> Pick:
        if isinstance(raw, str):
            return At(self._path(raw, trail), containers=containers)
        if isinstance(raw, list) and raw:
            return FirstOf(self._picks(raw, trail, containers=containers))
        if isinstance(raw, dict) and len(raw) == 1 and next(iter(raw)) in ("sum", "minus"):
            name, parts = next(iter(raw.items()))
            if isinstance(parts, list) and len(parts) > (1 if name == "minus" else 0):
                picks = self._picks(parts, (*trail, name), containers=False)
                return Sum(picks) if name == "sum" else Minus(picks)
        self._problems.add(
            trail, f"expected {FORM}, a list of them, `{{sum: [...]}}` or `{{minus: [a, b]}}`, got {shown(raw)}"
        )
        return FirstOf(())

    def pattern(self, raw: object, trail: Trail, *, groups: bool = True) -> Pattern:
        """`groups`: its named groups are taken; one that has no meaning is a problem."""
        if not isinstance(raw, str) or not raw:
            self._problems.add(trail, f"expected a regular expression, got {shown(raw)}")
            return Pattern("")
        pattern = Pattern(raw)
        if self._problems.strict:
            problem = problem_of(pattern)
            if problem:
                self._problems.add(trail, problem)
            elif groups:
                self._check_groups(pattern, trail)
        return pattern

    def _check_groups(self, pattern: Pattern, trail: Trail) -> None:
        for name in pattern.compiled.groupindex:
            if name not in GROUPS:
                hint = did_you_mean(name, GROUPS) or f"known are {', '.join(f'`{known}`' for known in GROUPS)}"
                self._problems.add(trail, f"unknown named group `{name}`, {hint}")

    def _picks(self, raw: list[object], trail: Trail, *, containers: bool) -> tuple[Pick, ...]:
        return tuple(self.pick(part, (*trail, number), containers=containers) for number, part in enumerate(raw))

    def _path(self, raw: object, trail: Trail) -> Path:
        try:
            return Path(str(raw))
        except ValueError as error:
            self._problems.add(trail, str(error))
            return Path("unknown")

    def _texts(self, raw: object, trail: Trail) -> frozenset[str]:
        texts = [scalar_text(value) for value in (raw if isinstance(raw, list) else [raw])]
        if not texts or None in texts:
            self._problems.add(trail, f"expected a value or a list of values, got {shown(raw)}")
        return frozenset(text for text in texts if text is not None)
