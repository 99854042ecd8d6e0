"""A record as text for a person: its facts, a summary of at most 80 columns, and a paragraph on why. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.mask import mask_known_tokens
from runner.reasons import REASONS
from runner.records.metadata import Record
from runner.text import first_lines, one_line, printable, wrapped
from runner.units import format_count, format_duration, signal_name
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.records.entries import CommitEntry, TokenUsage, VerifyEntry

WIDTH = 80
_REPLY_LINES = 20
_REPLY_WIDTH = 500
_COMMITS = 10
_LABEL = 10
_QUOTED = 160
_ENDED = {
    "timeout": "the runner ended it at its timeout",
    "first_output": "the runner ended it, for it had printed nothing",
    "idle_timeout": "the runner ended it, for it had fallen silent",
    "linger": "the runner ended it after its last event, for it did not end by itself",
    "agent": "the agent ended it at its own cap",
    "budget": "the runner ended it, for its budget was used up",
    "watch": "the runner ended it, for it only waited",
    "signal": "the runner was told to stop, and ended it",
    "launch_failed": "it was never started",
    "lost": "nobody saw it end",
}


@dataclass(frozen=True)
class Facts:
    """What a record says, in the parts that texts are made of; None or empty is unknown.

    `verdict` is such as `rate_limited (usage_limit)`. `message` says what went wrong, for a skip line by line.
    """

    subject: str
    verdict: str
    message: tuple[str, ...]
    evidence: str | None
    retry_at: str | None
    advice: str | None
    notes: tuple[str, ...]
    model: str | None
    seconds: float | None
    tokens: str | None
    cost: str | None
    commits: tuple[CommitEntry, ...]
    checks: str | None = None

    @property
    def headline(self) -> str:
        """`failed (no_commits): demo document_coverage`."""
        return f"{self.verdict}: {self.subject}"


def facts(record: Record) -> Facts:
    """Read a record, also of a skip, which lacks what only a run has."""
    error, model, cost = record["error"], record.get("model"), record.get("cost_usd")
    text = error["message"] if error else ""
    return Facts(
        subject=f"{record['agent']} {record['task']}",
        verdict=status_of(record),
        message=() if error is None else tuple(text.splitlines()) if record["status"] == "skipped" else (text,),
        evidence=error["evidence"] if error else None,
        retry_at=error["retry_at"] if error else None,
        advice=record.get("advice"),
        notes=tuple(record.get("notes") or ()),
        model=one_line(model, 60) if model else None,
        seconds=record.get("elapsed_seconds"),
        tokens=_tokens(record.get("usage")),
        cost=None if cost is None else f"${cost:.4f}",
        commits=tuple(record.get("commits") or ()),
        checks=_checks(record.get("verify") or ()),
    )


def _checks(verify: Sequence[VerifyEntry]) -> str | None:
    """`tests passed, lint failed (passed when run again)`."""
    words = {"passed": "passed", "failed": "failed", "not_run": "not run"}
    said = (f"{one['name']} {words.get(one['result'], one['result'])}{' (flaky)' * one['flaky']}" for one in verify)
    return ", ".join(said) or None


def status_of(record: Mapping[str, object]) -> str:
    """`rate_limited (usage_limit)`; the reason is left out where it says the same. Also of an entry in a list."""
    status, reason = record["status"], record["reason"]
    return f"{status} ({reason})" if reason not in (None, status) else str(status)


def _tokens(usage: TokenUsage | None) -> str | None:
    """`1,521 in (256 cached), 49 out`, or `~1,500 in` where the agent rounded."""
    if not usage:
        return None
    sent, cached, produced = usage.get("input_tokens"), usage.get("cache_read_tokens"), usage.get("output_tokens")
    mark, parts = about(usage), []
    if sent is not None:
        parts.append(f"{mark}{format_count(sent)} in" + (f" ({mark}{format_count(cached)} cached)" if cached else ""))
    if produced is not None:
        parts.append(f"{mark}{format_count(produced)} out")
    return ", ".join(parts) or None


def about(usage: TokenUsage) -> str:
    """The mark before numbers that the agent rounded."""
    return "~" if usage.get("approximate") else ""


def commit_lines(commits: Sequence[CommitEntry], most: int, width: int) -> list[str]:
    """`0123456 Fix the parser`, one line a commit."""
    return first_lines([f"{commit['sha'][:7]} {one_line(commit['subject'], width)}" for commit in commits], most)


def summary(record: Record, folder: str | None, evidence_text: str | None = None) -> str:
    """Say the verdict, evidence, what to do, commits, tokens, cost, then why, then the agent's reply.

    `folder` is None for a skip; a plain success needs no reason why.
    """
    known = facts(record)
    rows = [*_verdict(known, evidence_text), *_work(known), *_place(known, record["run_id"], folder), *_message(record)]
    lines = [known.headline, *(f"  {label:<{_LABEL}}{value}" for label, value in rows)]
    if record["reason"]:
        lines += ["", *(f"  {line}" for line in wrapped(why(record, evidence_text), WIDTH - 2))]
    reply = printable(record.get("text") or "").strip().splitlines()
    if reply:
        lines += ["", *(f"  {_cut(line)}" if line else "" for line in first_lines(reply, _REPLY_LINES, " lines"))]
    return "\n".join(lines) + "\n"


def _cut(line: str) -> str:
    return line if len(line) <= _REPLY_WIDTH else line[: _REPLY_WIDTH - 1] + "…"


def _verdict(known: Facts, evidence_text: str | None) -> list[tuple[str, str]]:
    rows = [("" if at else "why", one_line(line)) for at, line in enumerate(known.message)]
    if known.evidence:
        rows.append(("evidence", known.evidence))
        if evidence_text and one_line(evidence_text) != one_line("\n".join(known.message)):
            rows.append(("", one_line(evidence_text, 100)))
    if known.retry_at:
        rows.append(("retry at", known.retry_at))
    if known.advice:
        rows.append(("do", known.advice))
    return rows + [("note", one_line(note)) for note in known.notes]


def _work(known: Facts) -> list[tuple[str, str]]:
    rows = [("" if at else "commits", line) for at, line in enumerate(commit_lines(known.commits, _COMMITS, 60))]
    facts = (("checks", known.checks), ("tokens", known.tokens), ("cost", known.cost))
    return rows + [(label, value) for label, value in facts if value]


def _place(known: Facts, run_id: str, folder: str | None) -> list[tuple[str, str]]:
    model = f", model {known.model}" if known.model else ""
    took = [("took", format_duration(known.seconds) + model)] if known.seconds else []
    return [*took, ("run", run_id), *([] if folder is None else [("logs", folder)])]


def _message(record: Record) -> list[tuple[str, str]]:
    """Say what became of the message about the run."""
    found = record.get("notification")
    if not found:
        return []
    if found["state"] == "delivered":
        return [("message", "delivered")]
    words = {"dead": "could not be delivered", "pending": "waits in the outbox", "off": "none"}.get(found["state"])
    error = found["last_error"]
    return [("message", f"{words}: {one_line(error)}")] if words and error else []


def why(record: Record, evidence_text: str | None = None) -> str:
    """Say in a paragraph what happened, what shows it, what it means and what to do.

    `evidence_text` is the line that the evidence names.
    """
    known = facts(record)
    parts = [_ending(record), _tried(record, known), *_evidence(known, evidence_text), *_meaning(record, known)]
    return " ".join(f"{mask_known_tokens(part)}." for part in parts if part)


def _ending(record: Record) -> str:
    """`Run 20260219_175043 failed after 12.3s: no_commits`."""
    status = record["status"].replace("_", " ")
    verb = {"success": "succeeded", "skipped": "was skipped", "interrupted": "was interrupted"}.get(status, "")
    verb = verb or {"running": "is running", "failed": "failed", "lost": "was lost"}.get(status, f"was {status}")
    took = record.get("elapsed_seconds")
    after = f" after {format_duration(took)}" if took else ""
    reason = f": {record['reason']}" if record["reason"] else ""
    return f"Run {record['run_id']} of {record['agent']} on {record['task']} {verb}{after}{reason}"


def _tried(record: Record, known: Facts) -> str:
    """Say what the agent did until then, as far as it is known."""
    done = [f"model {known.model}"] if known.model else []
    calls, usage, attempt = record.get("tool_calls"), record.get("usage"), record.get("attempt") or 1
    produced = usage.get("output_tokens") if usage else None
    if calls:
        done.append(_count(calls, "tool call"))
    if usage and produced:
        done.append(f"{about(usage)}{format_count(produced)} tokens of output")
    if known.commits:
        done.append(_count(len(known.commits), "commit"))
    if attempt > 1:
        done.append(f"attempt {attempt} after {record.get('previous_run')}")
    return _sentence("; ".join(part for part in (_ended(record), ", ".join(done)) if part))


def _count(number: int, noun: str) -> str:
    return f"{format_count(number)} {noun}{'' if number == 1 else 's'}"


def _ended(record: Record) -> str:
    if record["status"] in ("running", "skipped", "success"):
        return ""
    by, number, code = record.get("ended_by"), record.get("agent_signal"), record.get("agent_exit_code")
    if by in _ENDED:
        return _ENDED[by]
    if number is not None:
        return f"{signal_name(number)} ended the agent"
    return f"the agent ended by itself with exit code {code}" if code is not None else ""


def _evidence(known: Facts, text: str | None) -> list[str]:
    message = one_line("\n".join(known.message), _QUOTED)
    parts = [_sentence(message)] if message else []
    if known.evidence:
        line = one_line(text or "", _QUOTED)
        quote = f": “{line}”" if line and line.rstrip("…") not in message else ""
        parts.append(f"The evidence is {one_line(known.evidence, 80)}{quote}")
    return parts


def _meaning(record: Record, known: Facts) -> list[str]:
    row = REASONS.get(record["reason"] or "")
    parts = []
    if row is not None and (row.meaning,) != known.message:
        parts.append(_sentence(f"it means that {row.meaning}"))
    if known.retry_at:
        parts.append(f"The limit resets at {known.retry_at}")
    parts += [f"Note: {one_line(note, _QUOTED)}" for note in known.notes[:3]]
    if known.advice and known.advice != "nothing to do":
        parts.append(f"To do: {one_line(known.advice)}")
    return parts


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")
