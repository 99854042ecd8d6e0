"""What each rule of a parser did, for people and as JSON."""

from __future__ import annotations

from runner.commands._show import short_place
from runner.commands._table import table
from runner.model import JsonObject
from runner.parsers.explain import Told
from runner.recordings.judged import Judged, Rules, explain_judged, place_at
from runner.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.parsers.rules import Trail

_WIDTH = 120
_SHOWN = 300  # characters of a value or a reason


def explained(rules: Rules, judged: Judged) -> str:
    """Return what decided, how many lines there were, and a line for each rule, in order of the table."""
    explanation = explain_judged(rules, judged)
    rows = [(*_columns(rules, judged, told), _said(told)) for told in explanation.rules]
    above = ("", f"decided  {explanation.decision}", *(f"read     {line}" for line in explanation.lines), "")
    columns = table(("RULE", "WRITTEN IN", "FROM"), [row[:3] for row in rows], _WIDTH).splitlines()
    room = max(map(len, columns))
    says = ("GAVE", *(one_line(row[3], _SHOWN) for row in rows))
    shown = (f"{column.ljust(room)}  {said}\n" for column, said in zip(columns, says, strict=True))
    return "".join((*(f"{line}\n" for line in above), *shown))


def explained_as_json(rules: Rules, judged: Judged) -> JsonObject:
    explanation = explain_judged(rules, judged)
    return {
        "decision": explanation.decision,
        "lines": list(explanation.lines),
        "rules": [_entry(rules, judged, told) for told in explanation.rules],
    }


def _entry(rules: Rules, judged: Judged, told: Told) -> JsonObject:
    name, written, place = _columns(rules, judged, told)
    return {
        "rule": name,
        "written": written,
        "state": told.state,
        "value": told.value,
        "place": None if place == "-" else place,
        "times": told.times,
        "why": told.why,
        "decided": told.decided,
    }


def _columns(rules: Rules, judged: Judged, told: Told) -> tuple[str, str, str]:
    paths = judged.output.paths
    place = place_at(told.place, paths) if told.place and told.place[0] in paths else "-"
    return ".".join(map(str, told.trail)), _written(rules, told.trail), place


def _said(told: Told) -> str:
    if told.state == "missed":
        return f"nothing: {told.why}"
    return f"{told.value} ({told.why})" if told.value and told.why else told.value or told.why or ""


def _written(rules: Rules, trail: Trail) -> str:
    try:
        file, line, _ = rules.locate("parsers", rules.name, *trail)
    except LookupError:  # the parser that no file needs to define
        return "built in"
    return short_place(f"{file}:{line}") if line else file
