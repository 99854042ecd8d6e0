"""Whether an agent's output still fits its parser: compares what was parsed with what the server sent. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator

from runner.records.metadata import Record
from runner.units import format_count
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

_NO_TERMINAL = "no_terminal_event"


@dataclass(frozen=True)
class Expected:
    """What the scripted server sent; `tokens` by the record's names."""

    text: str
    tokens: JsonObject


@dataclass(frozen=True)
class Breach:
    """`field` is a field of the reply, or `terminal event`, or `verdict`."""

    field: str
    found: str


def breaches(
    parser: JsonObject, without: Collection[str], record: Record, model: str | None, expected: Expected
) -> list[Breach]:
    """Compare the record with what was sent; fields that `parser` has no rule for, or in `without`, are not expected.

    `model` is the one that the output names: where it names none, the record holds the one that was asked for.
    """
    found = list(_of_verdict(parser, record))
    fields = {name for name in parser.get("fields") or {} if name not in without}
    if "text" in fields or parser["format"] == "text":
        found += _of_text(record, expected)
    usage: JsonObject = dict(record["usage"])
    for name, sent in expected.tokens.items():
        if f"usage.{name}" in fields:
            found += _of_number(f"usage.{name}", usage[name], sent)
    if "tool_calls" in fields:
        found += _of_number("tool_calls", record["tool_calls"], 0)
    for name, value in (("session_id", record["session_id"]), ("model", model), ("cost_usd", record["cost_usd"])):
        if name in fields and value is None:
            found.append(Breach(name, f"`{name}` is missing"))
    return found


def _of_verdict(parser: JsonObject, record: Record) -> Iterator[Breach]:
    if record["reason"] == _NO_TERMINAL:
        wanted = parser.get("success")
        yield Breach("terminal event", f"the terminal event is missing: no {_shown(wanted)}")
    elif record["status"] != "success":
        message = record["error"]["message"] if record["error"] else ""
        yield Breach("verdict", f"the server answered well, and the run is {record['reason']}: {message}")


def _shown(rule: object) -> str:
    """`type: result, is_error: false` of a success rule."""
    when = rule.get("when") if isinstance(rule, dict) else None
    if not isinstance(when, dict):
        return "event that fits `success`"
    shown = {path: value if isinstance(value, str) else json.dumps(value) for path, value in when.items()}
    return "event with " + ", ".join(f"`{path}: {value}`" for path, value in shown.items())


def _of_text(record: Record, expected: Expected) -> Iterator[Breach]:
    text = (record["text"] or "").strip()
    if not text:
        yield Breach("text", "`text` is missing")
    elif text != expected.text.strip():
        yield Breach("text", f"`text` is {text!r:.60}, and the server said {expected.text!r:.60}")


def _of_number(name: str, value: int | None, sent: int) -> Iterator[Breach]:
    if value is None:
        yield Breach(name, f"`{name}` is missing")
    elif value != sent:
        yield Breach(name, f"`{name}` is {format_count(value)}, and the server said {format_count(sent)}")
