"""Pure: what happened in a run and what to do, in one paragraph. Nothing but the run's folder is needed for it."""

from __future__ import annotations

from runner.mask import mask_shapes
from runner.reasons import REASONS
from runner.text import one_line
from runner.units import format_count, format_duration, signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

_QUOTED = 160
_ENDED = {
    "timeout": "the runner ended it at its timeout",
    "first_output": "the runner ended it, for it had printed nothing",
    "idle_timeout": "the runner ended it, for it had fallen silent",
    "linger": "the runner ended it after its last event, for it did not end by itself",
    "watch": "the runner ended it, for it only waited",
    "signal": "the runner was told to stop, and ended it",
    "launch_failed": "it was never started",
    "lost": "nobody saw it end",
}


def why(record: JsonObject, evidence_text: str | None = None) -> str:
    """Verdict, class, evidence, what was tried, what it means, what to do; `evidence_text` is the line itself."""
    parts = [_verdict(record), _tried(record), *_evidence(record, evidence_text), *_meaning(record)]
    return " ".join(f"{mask_shapes(part)}." for part in parts if part)


def _verdict(record: JsonObject) -> str:
    """`Run 20260219_175043 failed after 12.3s: no_commits`."""
    status = str(record.get("status")).replace("_", " ")
    verb = {"success": "succeeded", "skipped": "was skipped", "interrupted": "was interrupted"}.get(status, "")
    verb = verb or {"running": "is running", "failed": "failed", "lost": "was lost"}.get(status, f"was {status}")
    took = record.get("elapsed_seconds")
    after = f" after {format_duration(took)}" if isinstance(took, int | float) and took else ""
    reason = f": {record['reason']}" if record.get("reason") else ""
    return f"Run {record.get('run_id')} of {record.get('agent')} on {record.get('task')} {verb}{after}{reason}"


def _tried(record: JsonObject) -> str:
    """What the agent did until then, as far as anybody knows."""
    facts = [f"model {one_line(record['model'], 60)}"] if record.get("model") else []
    calls = record.get("tool_calls")
    if calls:
        facts.append(f"{format_count(calls)} tool call{'' if calls == 1 else 's'}")
    sent = (record.get("usage") or {}).get("output_tokens")
    if sent:
        facts.append(f"{format_count(sent)} tokens of output")
    commits = record.get("commits") or []
    if commits:
        facts.append(f"{len(commits)} commit{'' if len(commits) == 1 else 's'}")
    attempt = record.get("attempt") or 1
    if attempt > 1:
        facts.append(f"attempt {attempt} after {record.get('previous_run')}")
    ended = _ended(record)
    return _sentence(f"{ended}; {', '.join(facts)}" if ended and facts else ended or ", ".join(facts))


def _ended(record: JsonObject) -> str:
    if record.get("status") in ("running", "skipped", "success"):
        return ""
    by = record.get("ended_by")
    if by in _ENDED:
        return _ENDED[by]
    if record.get("agent_signal") is not None:
        return f"{signal_name(record['agent_signal'])} ended the agent"
    code = record.get("agent_exit_code")
    return f"the agent ended by itself with exit code {code}" if code is not None else ""


def _evidence(record: JsonObject, text: str | None) -> list[str]:
    error = record.get("error") or {}
    message = one_line(error.get("message") or "", _QUOTED)
    parts = [_sentence(message)] if message else []
    if error.get("evidence"):
        line = one_line(text or "", _QUOTED)
        quote = f": “{line}”" if line and line.rstrip("…") not in message else ""
        parts.append(f"The evidence is {one_line(error['evidence'], 80)}{quote}")
    return parts


def _meaning(record: JsonObject) -> list[str]:
    """What the class means, and the advice."""
    row = REASONS.get(record.get("reason") or "")
    error = record.get("error") or {}
    parts = []
    if row is not None and row.meaning != error.get("message"):
        parts.append(_sentence(f"it means that {row.meaning}"))
    if error.get("retry_at"):
        parts.append(f"The limit resets at {error['retry_at']}")
    parts += [f"Note: {one_line(note, _QUOTED)}" for note in (record.get("notes") or [])[:3]]
    advice = record.get("advice")
    if advice and advice != "nothing to do":
        parts.append(f"To do: {one_line(advice)}")
    return parts


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")
