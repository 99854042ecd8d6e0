"""The small expressions inside a rule: `when`, `at`, a value to compare with, a pattern."""

from __future__ import annotations

from collections.abc import Mapping

from runner.errors import did_you_mean
from runner.parsers.paths import Path
from runner.parsers.patterns import Pattern, problem_of
from runner.parsers.resets import KINDS
from runner.parsers.scalars import scalar_text
from runner.parsers.selectors import At, Condition, FirstOf, Minus, Sum, When

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.parsers.rules import Trail
    from runner.parsers.selectors import Pick

GROUPS = (*KINDS, "zone", "value")


class Expressions:
    """Compiles expressions and adds what is wrong to `problems`; when `strict`, also of regular expressions."""

    def __init__(self, problems: list[tuple[Trail, str]], *, strict: bool) -> None:
        self._problems = problems
        self._strict = strict

    def when(self, given: Mapping[str, Any], trail: Trail) -> When:
        return When(tuple(self.condition(path, wanted, (*trail, path)) for path, wanted in given.items()))

    def condition(self, path: str, wanted: Any, trail: Trail) -> Condition:
        compiled = self._path(path, trail)
        if not isinstance(wanted, dict):
            return Condition(compiled, _texts(wanted))
        if "exists" in wanted:
            return Condition(compiled, frozenset(), exists=wanted["exists"])
        return Condition(compiled, _texts(wanted["not"]), negated=True)

    def pick(self, given: Any, trail: Trail, *, containers: bool = False) -> Pick:
        if isinstance(given, str):
            return At(self._path(given, trail), containers=containers)
        if isinstance(given, list):
            return FirstOf(self._picks(given, trail, containers=containers))
        (name, parts), *_ = given.items()
        picks = self._picks(parts, (*trail, name), containers=False)
        return Sum(picks) if name == "sum" else Minus(picks)

    def pattern(self, source: str, trail: Trail, *, groups: bool = True) -> Pattern:
        """Compile a regular expression; with `groups`, a named group without a meaning is a problem."""
        pattern = Pattern(source)
        if self._strict:
            problem = problem_of(pattern)
            if problem:
                self._problems.append((trail, problem))
            elif groups:
                self._check_groups(pattern, trail)
        return pattern

    def _check_groups(self, pattern: Pattern, trail: Trail) -> None:
        for name in pattern.compiled.groupindex:
            if name not in GROUPS:
                hint = did_you_mean(name, GROUPS) or f"known are {', '.join(f'`{known}`' for known in GROUPS)}"
                self._problems.append((trail, f"unknown named group `{name}`, {hint}"))

    def _picks(self, parts: list[Any], trail: Trail, *, containers: bool) -> tuple[Pick, ...]:
        return tuple(self.pick(part, (*trail, at), containers=containers) for at, part in enumerate(parts))

    def _path(self, text: str, trail: Trail) -> Path:
        try:
            return Path(text)
        except ValueError as error:
            self._problems.append((trail, str(error)))
            return Path("unknown")


def _texts(wanted: Any) -> frozenset[str]:
    texts = (scalar_text(value) for value in (wanted if isinstance(wanted, list) else [wanted]))
    return frozenset(text for text in texts if text is not None)
