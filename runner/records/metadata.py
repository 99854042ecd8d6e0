"""Pure: a run as the record's JSON object (schema/metadata.schema.json), and as the line in runs.jsonl."""

from __future__ import annotations

from runner import __version__
from runner.reasons import reason_of
from runner.records.migrate import SCHEMA_VERSION
from runner.text import rfc3339
from runner.values import asdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from runner.model import Evidence, Invocation, JsonObject, Outcome, Reply, Result, Skip, Verdict

_LINE_KEYS = (
    "run_id agent task status reason exit_code model session_id started_at ended_at elapsed_seconds trigger usage "
    "cost_usd tool_calls error attempt previous_run schema_version"
).split()


_CLOSING_KEYS = (*_LINE_KEYS, *"argv text notes commits containment survivors notification".split())


def is_whole(record: JsonObject) -> bool:
    """Whether it has what closing it, and telling of it, needs: a file may have been damaged, or be from elsewhere."""
    return all(key in record for key in _CLOSING_KEYS)


def running(invocation: Invocation, started_at: float, *, messages: bool) -> JsonObject:
    """The record before the agent starts; `messages` says whether anybody is to hear of the run."""
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
        "usage": _usage(None),
        "cost_usd": None,
        "tool_calls": None,
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


def _usage(reply: Reply | None) -> dict[str, int | None]:
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    return {name: getattr(reply.usage, name) if reply else None for name in names}


def closed(record: JsonObject, result: Result, show: Callable[[Evidence], str]) -> JsonObject:
    """The final record; `show` turns evidence into `FILE:LINE`."""
    outcome, reply = result.outcome, result.reply
    return {
        **record,
        **judged(result.verdict, show),
        "agent_exit_code": outcome.exit_code,
        "agent_signal": outcome.signal,
        "ended_by": outcome.ended_by,
        "model": reply.model or record["model"],
        "session_id": reply.session_id,
        "started_at": rfc3339(outcome.started_at),
        "ended_at": rfc3339(outcome.ended_at),
        "elapsed_seconds": round(outcome.elapsed, 3),
        "text": reply.text,
        "usage": _usage(reply),
        "cost_usd": reply.cost_usd,
        "tool_calls": reply.tool_calls,
        "commits": [asdict(commit) for commit in result.changes.commits],
        "left": list(result.changes.left),
        "notes": [*result.verdict.notes, *_output_notes(outcome)],
        "containment": outcome.containment,
        "survivors": outcome.survivors,
    }


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


def broken(record: JsonObject, verdict: Verdict, began: float, now: float) -> JsonObject:
    """The final record of a run in which the runner itself failed."""
    return {
        **record,
        **judged(verdict, lambda evidence: evidence.source),
        "ended_at": rfc3339(now),
        "elapsed_seconds": round(max(0.0, now - began), 3),
    }


def lost(record: JsonObject, message: str, seen: float, elapsed: float, evidence: str | None) -> JsonObject:
    """The final record of a run that nobody closed; `seen` is its last sign of life."""
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


def judged(verdict: Verdict, show: Callable[[Evidence], str]) -> JsonObject:
    """A verdict's part of the record."""
    row = reason_of(verdict.reason)
    failed = verdict.status != "success"
    return {
        "status": verdict.status,
        "reason": verdict.reason,
        "exit_code": verdict.exit_code,
        "notes": list(verdict.notes),
        "error": error_of(verdict, show) if failed else None,
        "advice": row.advice if failed else None,
    }


def error_of(verdict: Verdict, show: Callable[[Evidence], str]) -> JsonObject:
    return {
        "class": verdict.reason,
        "message": verdict.message or reason_of(verdict.reason).meaning,
        "retry_at": None if verdict.retry_at is None else rfc3339(verdict.retry_at),
        "evidence": show(verdict.evidence) if verdict.evidence else None,
    }


def skipped(skip: Skip, identity: dict[str, Any], now: float) -> JsonObject:
    """The whole record of a run that did not begin: one line, no folder."""
    row = reason_of(skip.reason)
    moment = rfc3339(now)
    return {
        **identity,
        "status": row.status,
        "reason": skip.reason,
        "exit_code": row.exit_code if skip.exit_code is None else skip.exit_code,
        "started_at": moment,
        "ended_at": moment,
        "elapsed_seconds": 0.0,
        "error": {"class": skip.reason, "message": skip.message, "retry_at": None, "evidence": None},
        "advice": row.advice,
        "schema_version": SCHEMA_VERSION,
        "runner_version": __version__,
    }


def line_of(record: JsonObject) -> JsonObject:
    """A closed record as its line in runs.jsonl: what lists and statistics need."""
    return {**{key: record[key] for key in _LINE_KEYS}, "commits": len(record["commits"])}
