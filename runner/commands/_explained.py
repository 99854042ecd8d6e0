"""What each rule of a parser did, for people."""

from __future__ import annotations

from runner.commands._show import short_place
from runner.commands._table import table
from runner.recordings.judged import Judged, Rules, place_of
from runner.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.parsers.rules import Trail

_WIDTH = 120


def explained(rules: Rules, judged: Judged) -> str:
    """Return a line for each rule that gave a value: the rule, its place, the line of output, the value."""
    rows = [
        (".".join(map(str, trail)), rule_place(rules, trail), place_of(evidence, judged.output.paths) or "-", value)
        for trail, value, evidence in judged.reader.origins()
    ]
    return "\n" + table(("RULE", "WRITTEN IN", "FROM", "GAVE"), [tuple(map(one_line, row)) for row in rows], _WIDTH)


def rule_place(rules: Rules, trail: Trail) -> str:
    try:
        file, line, _ = rules.locate("parsers", rules.name, *trail)
    except LookupError:  # the parser that no file needs to define
        return "built in"
    return short_place(f"{file}:{line}") if line else file
