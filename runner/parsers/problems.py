"""What is wrong with a rule table: every problem at once, each with its path in the table."""

from __future__ import annotations

from runner.errors import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any, TypeAlias

    Trail: TypeAlias = tuple[str | int, ...]


class RuleError(Exception):
    """`problems`: (path in the table, message), such as `(("errors", 0, "class"), "unknown class `limit`")`."""

    def __init__(self, problems: list[tuple[Trail, str]]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, trail))}: {message}" for trail, message in problems))
        self.problems = tuple(problems)


class Problems:
    """Collects problems, so that a table is read to its end before anything is raised."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.found: list[tuple[Trail, str]] = []

    def add(self, trail: Trail, message: str) -> None:
        self.found.append((trail, message))

    def one_of(self, value: object, known: Collection[str], trail: Trail, what: str) -> str:
        """`value` when it is one of `known`, else a problem and some known value, so that reading goes on."""
        if isinstance(value, str) and value in known:
            return value
        self.add(trail, f"unknown {what} `{value}`{_hint(str(value), known)}")
        return next(iter(known))

    def mapping(self, value: object, known: Collection[str], trail: Trail) -> Mapping[str, Any]:
        """`value` as a mapping; unknown keys are problems, and anything but a mapping is an empty one."""
        if not isinstance(value, dict):
            self.add(trail, f"expected a mapping, got {shown(value)}")
            return {}
        for key in value:
            if key not in known:
                self.add((*trail, key), f"unknown key `{key}`{_hint(str(key), known)}")
        return value

    def items(self, value: object, trail: Trail) -> list[Any]:
        """`value` as a list; None is an empty one."""
        if value is None:
            return []
        if isinstance(value, list):
            return value
        self.add(trail, f"expected a list, got {shown(value)}")
        return []

    def flag(self, value: object, trail: Trail) -> bool:
        if isinstance(value, bool):
            return value
        self.add(trail, f"expected true or false, got {shown(value)}")
        return False


def shown(value: object) -> str:
    """A YAML value as a message names it."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f"`{value}`"


def _hint(name: str, known: Collection[str]) -> str:
    hint = did_you_mean(name, known)
    return f", {hint}" if hint else f", expected one of {', '.join(f'`{item}`' for item in sorted(known))}"
