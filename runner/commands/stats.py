"""`runner stats`: add up runs."""

from __future__ import annotations

import sys
import time

from runner.commands._logs import open_logs
from runner.commands._table import table
from runner.commands.runs import known, read_moment, terminal_width
from runner.errors import UsageError
from runner.history.index import Index
from runner.history.queries import statistics
from runner.model import JsonObject
from runner.text import json_text, one_line
from runner.units import format_count, format_duration

_KINDS = ["agent", "day", "model", "task"]
_HEAD = ("RUNS", "OK", "MEDIAN", "P95", "TOKENS", "COST", "COMMITS", "")
_BARS = "▁▂▃▄▅▆▇█"
_DAYS = 14
_COLUMNS = (
    "name runs successes success_rate skipped median_seconds p95_seconds input_tokens output_tokens "
    "cache_read_tokens runs_without_tokens cost_usd runs_without_cost commits"
).split()


def stats(project: str | None, *, by: str | None, since: str | None, as_json: bool, as_csv: bool) -> int:
    """Raises UsageError."""
    kind = by or "agent"
    known(kind, "kind", _KINDS)
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other")
    found = statistics(Index(open_logs(project)), kind, read_moment(since, time.time()), None if as_json else _DAYS)
    if as_json:
        print(json_text({"by": kind, "since": since, "groups": found}, 2))
    elif as_csv:
        _print_csv(kind, found)
    elif found:
        print(table((kind.upper(), *_HEAD), _rows(kind, found), terminal_width()), end="")
    else:
        print("no runs yet" if since is None else "no run fits")
    return 0


def _print_csv(kind: str, found: list[JsonObject]) -> None:
    import csv  # noqa: PLC0415 - 4 ms of import, only for this form

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([kind, *_COLUMNS[1:]])
    writer.writerows([[_cell(group[name]) for name in _COLUMNS] for group in found])


def _cell(value: object) -> object:
    """Escape a text that a spreadsheet would take for a formula."""
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _rows(kind: str, found: list[JsonObject]) -> list[tuple[str, ...]]:
    days = sorted({day for group in found for day in group["days"]})[-_DAYS:]
    most = max(group["runs"] for group in found) or 1
    return [
        (
            one_line(group["name"] or "unknown", 60),
            format_count(group["runs"]),
            "-" if group["success_rate"] is None else f"{group['success_rate']:.0%}",
            _duration(group["median_seconds"]),
            _duration(group["p95_seconds"]),
            _tokens(group),
            _cost(group),
            format_count(group["commits"]),
            _bar(group["runs"], most) if kind == "day" else _sparkline([group["days"].get(day, 0) for day in days]),
        )
        for group in found
    ]


def _duration(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(seconds)


def _tokens(group: JsonObject) -> str:
    """Tokens sent and received; a `+` says that some runs did not report theirs."""
    if group["runs"] == 0 or group["runs_without_tokens"] == group["runs"]:
        return "unknown" if group["runs"] else "-"
    total = (group["input_tokens"] or 0) + (group["output_tokens"] or 0)
    return format_count(total) + ("+" if group["runs_without_tokens"] else "")


def _cost(group: JsonObject) -> str:
    if group["cost_usd"] is None:
        return "unknown" if group["runs"] else "-"
    return f"${group['cost_usd']:,.2f}" + ("+" if group["runs_without_cost"] else "")


def _bar(number: int, most: int) -> str:
    return "█" * round(10 * number / most) or "▏"


def _sparkline(numbers: list[int]) -> str:
    """One bar a day, for the last days on which anything ran."""
    most = max(numbers, default=0) or 1
    return "".join(_BARS[min(7, number * 8 // most)] if number else " " for number in numbers)
