"""Pure: what a message says about a run, about many runs in a digest, or about a broken configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping

from runner.mask import mask_known_tokens, mask_tree
from runner.model import JsonObject
from runner.notify.channels.base import Message
from runner.reasons import reason_of
from runner.records.metadata import Record
from runner.records.summary import Facts, commit_lines, facts
from runner.text import first_lines, from_rfc3339, one_line, printable
from runner.units import format_duration
from runner.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_COMMITS = 5
_MAX_REPLY_LINES = 15
_MAX_LINE = 300
_MAX_NOTES = 5
_MAX_PROBLEMS = 5
_MAX_RESET = 31 * 86400.0  # seconds
# The record travels with the message for machines; the whole of a long reply stays in the log folder.
_MAX_RECORD_TEXT = 16 * 1024


@dataclass(frozen=True)
class Breakage:
    """What keeps the runs of a project from beginning: `verdict` in a few words, `problems` in whole lines."""

    project: str
    problems: tuple[str, ...]
    verdict: str
    advice: str


def run_message(record: Record, folder: str | None, settings: JsonObject, remarks: tuple[str, ...] = ()) -> Message:
    """Describe a closed or skipped run; `remarks` are lines of the sender, such as how often this happened before.

    The lines that decide what to do stand first: what does not fit is cut from the end.
    """
    row = reason_of(record["reason"], record["status"])
    record = _portable(record)
    known = facts(record)
    said = known.message if any(known.message) else (row.meaning,)
    first, *more = [one_line(line, _MAX_LINE) for line in said]
    lines = [*remarks, f"{known.verdict}: {first}", *_verdict(record, known), *_facts(record, known, folder), *more]
    text = printable(record.get("text") or "") if record["status"] == "success" else ""
    reply = first_lines([one_line(line, _MAX_LINE) for line in text.strip().splitlines()], _MAX_REPLY_LINES, " lines")
    return _message(
        f"{known.subject}: {known.verdict}",
        [*lines, *(["", *reply] if reply else [])],
        dict(record),
        (row.tag, row.priority),
        settings,
    )


def unfinished_message(record: Record, folder: str | None, settings: JsonObject, delay: str | None = None) -> Message:
    """The message about a run that has only begun, for the case that it never ends."""
    row = reason_of("lost")
    record = _portable(record)
    known = facts(record)
    lines = [
        f"run {record['run_id']} did not end: it began at {record['started_at']} and has not closed its record",
        "the runner or its machine was stopped, or the run still goes on",
        f"do: {row.advice}",
        *_run_lines(record, known, folder),
    ]
    message = _message(f"{known.subject}: did not end", lines, dict(record), (row.tag, row.priority), settings)
    return replace(message, delay=delay)


def digest_message(message_id: str, counts: Mapping[str, int], since: str, until: str) -> Message:
    """One message for many that were not sent; `counts` is status → number, the times are RFC 3339."""
    total = sum(counts.values())
    bad = total - counts.get("success", 0)
    row = reason_of("lost" if counts.get("lost") else "agent_error" if bad else None)
    lines = [
        f"between {since} and {until} these runs ended and their own messages were not sent:",
        *(f"  {number} {one_line(status, 40)}" for status, number in sorted(counts.items()) if number),
        "do: look the runs up in logs/runs.jsonl",
    ]
    title = f"{total} message{'' if total == 1 else 's'} folded: {bad} not successful"
    record = {"run_id": message_id, "counts": dict(counts), "since": since, "until": until}
    return _message(title, lines, record, (row.tag, row.priority))


def broken_message(message_id: str, found: Breakage) -> Message:
    shown = first_lines([one_line(problem, _MAX_LINE) for problem in found.problems], _MAX_PROBLEMS)
    lines = [*shown, f"do: {found.advice}", f"project: {one_line(found.project, _MAX_LINE)}"]
    record = {"run_id": message_id, "status": "configuration_broken", "project": found.project, "problems": shown}
    title = f"{found.project.rpartition('/')[2] or found.project}: {found.verdict}"
    return _message(one_line(title, 200), lines, mask_tree(record, mask_known_tokens), ("x", 4))


def _message(
    title: str, lines: list[str], record: JsonObject, mark: tuple[str, int], settings: JsonObject | None = None
) -> Message:
    """`mark` is the tag and the priority; `settings` are those of the channel."""
    tag, priority = mark
    settings = settings or {}
    return Message(
        # Again, for what only became a token when terminal escapes between its letters were taken out.
        title=mask_known_tokens(title),
        body=mask_known_tokens("\n".join(lines)),
        tags=(tag,) if tag else (),
        # A skip that sends nothing by default has no priority of its own; where it is asked for, it comes quietly.
        priority=priority or 2,
        click=settings.get("click"),
        actions=tuple(settings.get("actions") or ()),
        message_id=record["run_id"],
        record=record,
    )


def _portable(record: Record) -> Record:
    """The record as it may leave this machine: masked before anything is cut, so that no half of a token remains."""
    text = record.get("text")
    if isinstance(text, str) and len(text) > _MAX_RECORD_TEXT:
        # Without the word that the cut goes through.
        record = {**record, "text": text[:_MAX_RECORD_TEXT].rsplit(None, 1)[0]}
    masked: Record = _sensible(mask_tree(record, mask_known_tokens))
    return masked


def _sensible(value: Any) -> Any:
    """Without numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _sensible(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_sensible(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _reset(record: Record, retry_at: str | None) -> str | None:
    """When the limit ends, where that is to be believed: after the run began, and within a month of its end."""
    try:
        begin, end = (from_rfc3339(record[key] or "") for key in ("started_at", "ended_at"))
        return retry_at if retry_at and begin <= from_rfc3339(retry_at) <= end + _MAX_RESET else None
    except (TypeError, ValueError):
        return None


def _verdict(record: Record, known: Facts) -> list[str]:
    lines = [f"evidence: {one_line(known.evidence, _MAX_LINE)}"] if known.evidence else []
    reset = _reset(record, known.retry_at)
    if reset:
        lines.append(f"resets: {reset}")
    if known.advice:
        lines.append(f"do: {one_line(known.advice, _MAX_LINE)}")
    return lines


def _facts(record: Record, known: Facts, folder: str | None) -> list[str]:
    """The run in numbers; a number that the agent did not report is unknown, which is not zero."""
    lines = _run_lines(record, known, folder)
    if folder is None:
        return lines
    lines += [
        f"took: {'unknown' if known.seconds is None else format_duration(known.seconds)}",
        f"tokens: {known.tokens or 'unknown'}",
        f"cost: {known.cost or 'unknown'}",
    ]
    if known.commits:
        lines.append(f"commits: {len(known.commits)}")
        lines += [f"  {line}" for line in commit_lines(known.commits, _MAX_COMMITS, 100)]
    if known.checks:
        lines.append(f"checks: {one_line(known.checks, _MAX_LINE)}")
    return lines + [f"note: {one_line(note, _MAX_LINE)}" for note in known.notes[:_MAX_NOTES]]


def _run_lines(record: Record, known: Facts, folder: str | None) -> list[str]:
    model = f", model {known.model}" if known.model else ""
    lines = [f"run: {record['run_id']}, {record['agent']} on {record['task']}{model}"]
    return lines if folder is None else [*lines, f"logs: {one_line(folder, _MAX_LINE)}"]
