"""Pure: a closed record as text for a person, at most 80 columns where the facts allow it."""

from __future__ import annotations

from runner.records.why import why
from runner.text import one_line, printable, wrapped
from runner.units import format_count, format_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

WIDTH = 80
_REPLY_LINES = 20
_REPLY_WIDTH = 500
_COMMITS = 10
_LABEL = 10


def summary(record: JsonObject, folder: str | None, evidence_text: str | None = None) -> str:
    """Verdict, evidence, what to do, commits, tokens, cost, the same in a paragraph, then the agent's reply.

    `folder` is None for a skip; a plain success needs no paragraph.
    """
    rows = [*_verdict(record, evidence_text), *_work(record), *_place(record, folder), *_message(record)]
    lines = [headline(record), *(f"  {label:<{_LABEL}}{value}" for label, value in rows)]
    if record.get("reason"):
        lines += ["", *(f"  {line}" for line in wrapped(why(record, evidence_text), WIDTH - 2))]
    reply = printable(record.get("text") or "").strip()
    if reply:
        body = reply.splitlines()
        lines += ["", *(f"  {_cut(line)}" if line else "" for line in body[:_REPLY_LINES])]
        if len(body) > _REPLY_LINES:
            lines.append(f"  … {len(body) - _REPLY_LINES} more lines")
    return "\n".join(lines) + "\n"


def _cut(line: str) -> str:
    return line if len(line) <= _REPLY_WIDTH else line[: _REPLY_WIDTH - 1] + "…"


def headline(record: JsonObject) -> str:
    """`failed (no_commits): demo document_coverage`."""
    return f"{status_of(record)}: {record['agent']} {record['task']}"


def status_of(record: JsonObject) -> str:
    """`rate_limited (usage_limit)`; the reason is left out where it says the same."""
    status, reason = record["status"], record["reason"]
    return f"{status} ({reason})" if reason not in (None, status) else str(status)


def _verdict(record: JsonObject, evidence_text: str | None) -> list[tuple[str, str]]:
    rows = []
    error = record.get("error")
    if error:
        lines = error["message"].splitlines() if record["status"] == "skipped" else [error["message"]]
        rows += [("" if at else "why", one_line(line)) for at, line in enumerate(lines)]
        if error["evidence"]:
            rows.append(("evidence", error["evidence"]))
            if evidence_text and one_line(evidence_text) != one_line(error["message"]):
                rows.append(("", one_line(evidence_text, 100)))
        if error["retry_at"]:
            rows.append(("retry at", error["retry_at"]))
    if record.get("advice"):
        rows.append(("do", record["advice"]))
    rows += [("note", one_line(note)) for note in record.get("notes") or []]
    return rows


def _message(record: JsonObject) -> list[tuple[str, str]]:
    """What became of the message."""
    found = record.get("notification") or {}
    state = found.get("state")
    if state == "delivered":
        return [("message", "delivered")]
    if state == "dead":
        return [("message", f"could not be delivered: {one_line(found['last_error'])}")]
    if state == "pending" and found["last_error"]:
        return [("message", f"waits in the outbox: {one_line(found['last_error'])}")]
    return [("message", f"none: {one_line(found['last_error'])}")] if state == "off" and found["last_error"] else []


def _work(record: JsonObject) -> list[tuple[str, str]]:
    rows = []
    commits = record.get("commits") or []
    for index, commit in enumerate(commits[:_COMMITS]):
        rows.append(("" if index else "commits", f"{commit['sha'][:7]} {one_line(commit['subject'], 60)}"))
    if len(commits) > _COMMITS:
        rows.append(("", f"… {len(commits) - _COMMITS} more"))
    tokens = tokens_text(record)
    if tokens:
        rows.append(("tokens", tokens))
    if record.get("cost_usd") is not None:
        rows.append(("cost", f"${record['cost_usd']:.4f}"))
    return rows


def tokens_text(record: JsonObject) -> str | None:
    """`1,521 in (256 cached), 49 out`; None when nothing is known."""
    usage = record.get("usage") or {}
    parts = []
    if usage.get("input_tokens") is not None:
        cached = usage.get("cache_read_tokens")
        parts.append(
            f"{format_count(usage['input_tokens'])} in" + (f" ({format_count(cached)} cached)" if cached else "")
        )
    if usage.get("output_tokens") is not None:
        parts.append(f"{format_count(usage['output_tokens'])} out")
    return ", ".join(parts) or None


def _place(record: JsonObject, folder: str | None) -> list[tuple[str, str]]:
    rows = []
    if record.get("elapsed_seconds"):
        model = f", model {one_line(record['model'], 60)}" if record.get("model") else ""
        rows.append(("took", format_duration(record["elapsed_seconds"]) + model))
    rows.append(("run", record["run_id"]))
    if folder is not None:
        rows.append(("logs", folder))
    return rows
