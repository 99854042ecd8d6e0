"""The record of a run: its type, its making step by step, and its line in runs.jsonl. Pure."""

from __future__ import annotations

from collections.abc import Callable

from runner import __version__
from runner.reasons import reason_of
from runner.text import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypedDict

    from runner.model import Evidence, Invocation, JsonObject, Outcome, Result, Skip, Usage, Verdict
    from runner.records.entries import (
        BudgetEntry,
        CommitEntry,
        Denials,
        Left,
        ProtectedEntry,
        RunError,
        TokenUsage,
        VerifyEntry,
    )

    class Notification(TypedDict):
        state: str
        attempts: int
        delivered_at: str | None
        message_id: str | None
        last_error: str | None

    class _AnyRecord(TypedDict):
        run_id: str
        agent: str
        task: str
        status: str
        reason: str | None
        exit_code: int | None
        model: str | None
        started_at: str
        ended_at: str | None
        elapsed_seconds: float | None
        trigger: str
        error: RunError | None
        advice: str | None
        schema_version: int
        runner_version: str

    class Record(_AnyRecord, total=False):
        """schema/metadata.schema.json; a run that did not begin has only the keys of `_AnyRecord`."""

        attempt: int
        previous_run: str | None
        agent_exit_code: int | None
        agent_signal: int | None
        ended_by: str | None
        session_id: str | None
        argv: list[str]
        cwd: str
        text: str | None
        usage: TokenUsage
        cost_usd: float | None
        cost_source: str | None
        cost_lower_bound: bool
        budget: BudgetEntry | None
        tool_calls: int | None
        denials: Denials | None
        verify: list[VerifyEntry]
        output: object
        protected: list[ProtectedEntry]
        commits: list[CommitEntry]
        left: list[Left]
        notes: list[str]
        containment: str | None
        survivors: int | None
        notification: Notification
        config_hash: str
else:
    # So that modules can import the type plainly; `typing` takes too long to import for a run.
    Record = Notification = dict

SCHEMA_VERSION = 1
_MAX_PROTECTED = 100
_LINE_KEYS = (
    "run_id agent task status reason exit_code model session_id started_at ended_at elapsed_seconds trigger usage "
    "cost_usd tool_calls error attempt previous_run schema_version"
).split()


def running(invocation: Invocation, started_at: float, *, messages: bool) -> Record:
    """Make the record before the agent starts; `messages` says whether a message about the run is due."""
    return {
        "run_id": invocation.run_id,
        "agent": invocation.agent,
        "task": invocation.task,
        "status": "running",
        "reason": None,
        "exit_code": None,
        "agent_exit_code": None,
        "agent_signal": None,
        "ended_by": None,
        "model": invocation.model,
        "session_id": None,
        "started_at": rfc3339(started_at),
        "ended_at": None,
        "elapsed_seconds": None,
        "argv": list(invocation.argv),
        "cwd": invocation.cwd,
        "trigger": invocation.trigger,
        "text": None,
        "usage": usage_of(None),
        "cost_usd": None,
        "cost_source": None,
        "cost_lower_bound": False,
        "budget": None,
        "tool_calls": None,
        "denials": None,
        "verify": [],
        "commits": [],
        "left": [],
        "notes": [],
        "error": None,
        "advice": None,
        "attempt": invocation.attempt,
        "previous_run": invocation.previous_run,
        "containment": None,
        "survivors": None,
        "notification": {
            "state": "pending" if messages else "off",
            "attempts": 0,
            "delivered_at": None,
            "message_id": None,
            "last_error": None,
        },
        "config_hash": invocation.config_hash,
        "schema_version": SCHEMA_VERSION,
        "runner_version": __version__,
    }


def usage_of(usage: Usage | None) -> TokenUsage:
    """Return tokens as every JSON has them; `approximate` stands there only where it is true."""
    found: TokenUsage = {
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "cache_read_tokens": usage.cache_read_tokens if usage else None,
        "cache_write_tokens": usage.cache_write_tokens if usage else None,
        "reasoning_tokens": usage.reasoning_tokens if usage else None,
    }
    if usage and usage.approximate:
        found["approximate"] = True
    return found


def closed(record: Record, result: Result, show: Callable[[Evidence], str]) -> Record:
    """Make the final record; `show` turns evidence into `FILE:LINE`."""
    outcome, reply, verdict, found = result.outcome, result.reply, result.verdict, result.reply.denials
    left: list[Any] = list(result.changes.left)
    spent: JsonObject = reply.spent or {}
    # Of a cap of its own the agent tells, and ends.
    capped = verdict.reason == "budget" and outcome.ended_by == "exit"
    final: Record = {
        **_judged(record, verdict, show(verdict.evidence) if verdict.evidence else None),
        "agent_exit_code": outcome.exit_code,
        "agent_signal": outcome.signal,
        "ended_by": "agent" if capped else outcome.ended_by,
        "model": reply.model or record["model"],
        "session_id": reply.session_id,
        "started_at": rfc3339(outcome.started_at),
        "ended_at": rfc3339(outcome.ended_at),
        "elapsed_seconds": round(outcome.elapsed, 3),
        "text": reply.text,
        "usage": usage_of(reply.usage),
        "cost_usd": reply.cost_usd,
        "cost_source": spent.get("cost_source", None if reply.cost_usd is None else "reported"),
        "cost_lower_bound": spent.get("cost_lower_bound", False),
        "budget": spent.get("budget"),
        "tool_calls": reply.tool_calls,
        "denials": {"count": found["count"], "names": found["names"]} if found else None,
        "verify": list(result.verify),  # type: ignore[arg-type]  # verify/decide.py makes them by the schema
        "commits": [{"sha": commit.sha, "subject": commit.subject} for commit in result.changes.commits],
        "left": left,
        "notes": [*verdict.notes, *_output_notes(outcome)],
        "containment": outcome.containment,
        "survivors": outcome.survivors,
    }
    if result.protected is not None:
        shown = result.protected[:_MAX_PROTECTED]
        final["protected"] = [{"path": edit.path, "change": edit.change} for edit in shown]
    if result.answer is not None:
        final["output"] = None if result.answer.is_long else result.answer.value
    return final


def _output_notes(outcome: Outcome) -> list[str]:
    notes = []
    if outcome.output_left_out:
        notes.append(
            f"the output was longer than max_output: {outcome.output_left_out:,} bytes of its middle were left out"
        )
    if outcome.output_error:
        notes.append(f"the logs are incomplete: {outcome.output_error.lower()}")
    if outcome.survivors:
        notes.append(f"{outcome.survivors} processes of the agent could not be ended")
    return notes


def broken(record: Record, verdict: Verdict, began: float, now: float) -> Record:
    """Make the final record of a run in which the runner itself failed."""
    return {
        **_judged(record, verdict, None),
        "ended_at": rfc3339(now),
        "elapsed_seconds": round(max(0.0, now - began), 3),
    }


def lost(record: Record, message: str, seen: float, elapsed: float, evidence: str | None) -> Record:
    """Make the final record of a run that nothing closed; `seen` is its last sign of life."""
    row = reason_of("lost")
    return {
        **record,
        "status": row.status,
        "reason": "lost",
        "exit_code": row.exit_code,
        "ended_by": "lost",
        "ended_at": rfc3339(seen),
        "elapsed_seconds": round(elapsed, 3),
        "error": {"class": "lost", "message": message, "retry_at": None, "evidence": evidence},
        "advice": row.advice,
    }


def _judged(record: Record, verdict: Verdict, evidence: str | None) -> Record:
    row = reason_of(verdict.reason)
    failed = verdict.status != "success"
    error: RunError = {
        "class": verdict.reason,
        "message": verdict.message or row.meaning,
        "retry_at": None if verdict.retry_at is None else rfc3339(verdict.retry_at),
        "evidence": evidence,
    }
    return {
        **record,
        "status": verdict.status,
        "reason": verdict.reason,
        "exit_code": verdict.exit_code,
        "notes": list(verdict.notes),
        "error": error if failed else None,
        "advice": row.advice if failed else None,
    }


def skipped(skip: Skip, identity: dict[str, Any], now: float) -> Record:
    """Make the whole record of a run that did not begin: one line, no folder."""
    row = reason_of(skip.reason)
    moment, retry_at = rfc3339(now), None if skip.retry_at is None else rfc3339(skip.retry_at)
    record: Any = {
        **identity,
        "status": row.status,
        "reason": skip.reason,
        "exit_code": row.exit_code if skip.exit_code is None else skip.exit_code,
        "started_at": moment,
        "ended_at": moment,
        "elapsed_seconds": 0.0,
        "error": {"class": skip.reason, "message": skip.message, "retry_at": retry_at, "evidence": None},
        "advice": row.advice,
        "schema_version": SCHEMA_VERSION,
        "runner_version": __version__,
    }
    found: Record = record
    return found


def line_of(record: Record) -> JsonObject:
    """Make the line in runs.jsonl of a closed record: what lists and statistics need."""
    fields: JsonObject = dict(record)
    return {**{key: fields[key] for key in _LINE_KEYS}, "commits": len(record["commits"])}
