"""Pure: what a message says about a run, or about runs whose own messages were folded."""

from __future__ import annotations

from runner.mask import mask_known_tokens, mask_tree
from runner.notify.channels.base import Message
from runner.reasons import reason_of
from runner.records.metadata import Record
from runner.records.summary import Facts, commit_lines, facts
from runner.text import first_lines, one_line, printable
from runner.units import format_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.model import JsonObject

_COMMITS = 5
_REPLY_LINES = 15
_LINE = 300
_NOTES = 5
_PROBLEMS = 5
# The record travels with the message for machines; the whole of a long reply stays in the log folder.
_RECORD_TEXT = 16 * 1024


def run_message(record: Record, folder: str | None, settings: JsonObject, remarks: tuple[str, ...] = ()) -> Message:
    """About a closed or skipped run; `remarks` are lines of whoever sends it, such as how often this happened before.

    The lines that decide what to do stand first: what does not fit is cut from the end.
    """
    row = reason_of(record["reason"])
    record = _portable(record)
    known = facts(record)
    said = known.message if any(known.message) else (row.meaning,)
    first, *more = [one_line(line, _LINE) for line in said]
    lines = [*remarks, f"{known.verdict}: {first}", *_verdict(known), *_facts(record, known, folder), *more]
    reply = _reply(record) if record["status"] == "success" else []
    return _message(
        f"{known.subject}: {known.verdict}",
        [*lines, *(["", *reply] if reply else [])],
        (row.tag,) if row.tag else (),
        row.priority,
        settings,
        record,
    )


def unended_message(record: Record, folder: str | None, settings: JsonObject, delay: str | None = None) -> Message:
    """The message of a run that has only begun, for the case that nothing is heard of it again."""
    row = reason_of("lost")
    record = _portable(record)
    known = facts(record)
    lines = [
        f"run {record['run_id']} did not end: it began at {record['started_at']} and has not closed its record",
        "the runner or its machine was stopped, or the run still goes on",
        f"do: {row.advice}",
        *_place(record, known, folder),
    ]
    return _message(f"{known.subject}: did not end", lines, (row.tag,), row.priority, settings, record, delay)


def folded_message(message_id: str, counts: Mapping[str, int], since: str, until: str, settings: JsonObject) -> Message:
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
    return _message(title, lines, (row.tag,), row.priority, settings, {"run_id": message_id})


def broken_message(
    message_id: str, project: str, problems: Sequence[str], verdict: str, advice: str, priority: int
) -> Message:
    """What no run begins with: a project's configuration, or the words with which a run was asked for."""
    shown = first_lines([one_line(problem, _LINE) for problem in problems], _PROBLEMS)
    lines = [*shown, f"do: {advice}", f"project: {one_line(project, _LINE)}"]
    record = {"run_id": message_id, "status": "configuration_broken", "project": project, "problems": shown}
    title = f"{project.rpartition('/')[2] or project}: {verdict}"
    return _message(one_line(title, 200), lines, ("x",), priority, {}, mask_tree(record, mask_known_tokens))


def _message(
    title: str,
    lines: list[str],
    tags: tuple[str, ...],
    priority: int,
    settings: JsonObject,
    record: Record | JsonObject,
    delay: str | None = None,
) -> Message:
    return Message(
        # Again, for what only became a token when terminal escapes between its letters were taken out.
        title=mask_known_tokens(title),
        body=mask_known_tokens("\n".join(lines)),
        tags=tags,
        # A skip that says nothing by default has no priority of its own; who asks for it gets it quietly.
        priority=priority or 2,
        click=settings.get("click"),
        actions=tuple(settings.get("actions") or ()),
        message_id=record["run_id"],
        delay=delay,
        record=dict(record),
    )


def _portable(record: Record) -> Record:
    """The record as it may leave this machine: masked before anything is cut, so that no half of a token is left."""
    text = record.get("text")
    if isinstance(text, str) and len(text) > _RECORD_TEXT:
        # Without the word that the cut goes through.
        record = {**record, "text": text[:_RECORD_TEXT].rsplit(None, 1)[0]}
    masked: Record = mask_tree(record, mask_known_tokens)
    return masked


def _verdict(known: Facts) -> list[str]:
    """The line that shows what happened, and what to do."""
    lines = [f"evidence: {one_line(known.evidence, _LINE)}"] if known.evidence else []
    if known.retry_at:
        lines.append(f"resets: {known.retry_at}")
    if known.advice:
        lines.append(f"do: {one_line(known.advice, _LINE)}")
    return lines


def _facts(record: Record, known: Facts, folder: str | None) -> list[str]:
    """The run in numbers; a number that the agent did not report is unknown, which is not zero."""
    lines = _place(record, known, folder)
    if folder is None:
        return lines
    lines += [
        f"took: {'unknown' if known.seconds is None else format_duration(known.seconds)}",
        f"tokens: {known.tokens or 'unknown'}",
        f"cost: {known.cost or 'unknown'}",
    ]
    if known.commits:
        lines.append(f"commits: {len(known.commits)}")
        lines += [f"  {line}" for line in commit_lines(known.commits, _COMMITS, 100)]
    return lines + [f"note: {one_line(note, _LINE)}" for note in known.notes[:_NOTES]]


def _place(record: Record, known: Facts, folder: str | None) -> list[str]:
    model = f", model {known.model}" if known.model else ""
    lines = [f"run: {record['run_id']}, {record['agent']} on {record['task']}{model}"]
    return lines if folder is None else [*lines, f"logs: {one_line(folder, _LINE)}"]


def _reply(record: Record) -> list[str]:
    """The beginning of what the agent said."""
    lines = [one_line(line, _LINE) for line in printable(record.get("text") or "").strip().splitlines()]
    return first_lines(lines, _REPLY_LINES, " lines")
