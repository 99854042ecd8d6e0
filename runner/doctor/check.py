"""A finding of the doctor, as text and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from runner.text import one_line
from runner.values import asdict, dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    from runner.model import JsonObject

    Level: TypeAlias = Literal["ok", "warn", "fail"]

WIDTH = 80
_MARGIN = 20  # columns for level and name
_MAX_TEXT = 1000
_COLOURS = {"ok": "32", "warn": "33", "fail": "31"}


@dataclass(frozen=True)
class Check:
    """`found` is one clause, `advice` what to do about it, `field` the field of the reply that it is about."""

    name: str
    level: Level
    found: str
    advice: str | None = None
    field: str | None = None


@dataclass(frozen=True)
class AgentReport:
    agent: str
    asked: bool
    binary: str | None
    version: str | None
    checks: tuple[Check, ...]

    @property
    def can_run(self) -> bool:
        return all(check.level != "fail" for check in self.checks)


def to_json(runner_version: str, reports: Sequence[AgentReport], machine: Sequence[Check]) -> JsonObject:
    """schema/doctor.schema.json."""
    return {
        "schema_version": 1,
        "runner_version": runner_version,
        "agents": [{**asdict(report), "can_run": report.can_run} for report in reports],
        "machine": [asdict(check) for check in machine],
    }


def to_text(reports: Sequence[AgentReport], machine: Sequence[Check], *, colour: bool) -> str:
    """One check a line, at most 80 columns where words allow it."""
    blocks = [(report.agent, report.checks) for report in reports]
    shown = [_block(title, checks, colour=colour) for title, checks in [*blocks, ("this machine", tuple(machine))]]
    return "\n".join([*shown, _total([*(check for _, checks in blocks for check in checks), *machine])])


def _block(title: str, checks: Iterable[Check], *, colour: bool) -> str:
    return "".join([f"{title}\n", *(_lines(check, colour=colour) for check in checks)])


def _lines(check: Check, *, colour: bool) -> str:
    text = f"{check.found}; {check.advice}" if check.advice else check.found
    pieces = wrap(one_line(text, _MAX_TEXT), WIDTH - _MARGIN, break_long_words=False, break_on_hyphens=False)
    level = f"{check.level:<4}"
    if colour:
        level = f"\x1b[{_COLOURS[check.level]}m{level}\x1b[0m"
    first, *more = pieces or [""]
    return "".join([f"  {level}  {check.name:<12}{first}\n", *(f"{' ' * _MARGIN}{piece}\n" for piece in more)])


def _total(checks: Iterable[Check]) -> str:
    """`all is well`, or `1 failure, 2 warnings`."""
    levels = [check.level for check in checks]
    counts = [(levels.count("fail"), "failure"), (levels.count("warn"), "warning")]
    return ", ".join(f"{count} {noun}{'s' if count > 1 else ''}" for count, noun in counts if count) or "all is well"
