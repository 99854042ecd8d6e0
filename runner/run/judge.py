"""The verdict on a run, from what the system saw, what the agent said and what it left. Pure.

The reason is the first that fits: ended by the runner → not launched → an error that was not recovered from → a bad or
absent terminal event → the exit code → the task's postcondition.
"""

from __future__ import annotations

from runner.model import Evidence, Fault, JsonObject, Verdict
from runner.parsers.patterns import END_SECONDS, Budget, OutOfTime, Pattern
from runner.reasons import REASONS, reason_of
from runner.text import one_line
from runner.units import format_duration, signal_name
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.model import Changes, Expectations, Outcome, Reply
    from runner.run.plan import Locate

_SIGINT = 2
_SIGKILL = 9
_LIMITS = ("timeout", "first_output", "idle_timeout")
_WATCH_NOTE = "ended early: the agent was only retrying, or waiting for longer than it has time"
_LINGER_NOTE = "the agent reported its success, did not exit, and was ended"
_LOST = "the guardian, the process that watches over the run, was killed; the agent was ended at once"
SLOW_PATTERN = "the pattern `nothing_to_do` took too long and counts as not matched"
_KILLED = frozenset((2, 3, 4, 6, 7, 8, 9, 11, 13, 14, 15))  # the signals by which a process is usually ended
_LONGEST_MESSAGE = 2000


def judge(expectations: Expectations, outcome: Outcome, reply: Reply, changes: Changes) -> Verdict:
    """Success needs all of: a good end, a good terminal event, no unrecovered error, and the postcondition."""
    if outcome.ended_by == "lost":
        # Of the two processes of a run only the guardian is gone: the command does return, and says so.
        return Verdict("lost", "lost", 1, _LOST)
    verdict = (
        _ended_by_runner(outcome, reply)
        or (_of_fault(reply.failure) if reply.failure else None)
        or _ended_badly(outcome, reply)
        or _denied(expectations, reply)
        or _postcondition(expectations, outcome, reply, changes)
    )
    notes = [*verdict.notes, *reply.doubts]
    if reply.denials and reply.denials["count"] and verdict.reason != "permission":
        notes.append(_of_denials(reply.denials))
    return replace(verdict, notes=tuple(notes))


def place_slow_rules(reply: Reply, parser: str, locate: Locate) -> Reply:
    """The reply with a note on each rule whose pattern took too long; one that could fail the run does fail it."""
    doubts, failure = list(reply.doubts), reply.failure
    for trail, can_fail in reply.slow_rules:
        file, line, _ = locate("parsers", parser, *trail)
        rule = f"the rule `{'.'.join(map(str, trail))}` of the parser `{parser}` ({file}:{line})"
        if can_fail and failure is None:
            failure = Fault("agent_error", f"{rule} took too long, and could have failed the run")
            failure = replace(failure, evidence=Evidence(f"{file}:{line}", 0, rule))
        doubts.append(f"{rule} took too long and counts as {'failing' if can_fail else 'not matched'}")
    return replace(reply, doubts=tuple(doubts), failure=failure)


def tampered(message: str, changes: Changes) -> Verdict:
    """The verdict on a run after which the runner must not work in the checkout."""
    return _verdict("tampered", message, notes=changes.notes)


def failed_after(verdict: Verdict, reason: str, message: str, evidence: Evidence | None = None) -> Verdict:
    """The verdict of that reason on a run that was good until something more was looked at; the notes stay."""
    return _verdict(reason, message, evidence, notes=verdict.notes)


def _ended_by_runner(outcome: Outcome, reply: Reply) -> Verdict | None:
    ended_by = outcome.ended_by
    if ended_by == "signal":
        number = outcome.runner_signal or _SIGINT
        return Verdict("interrupted", "interrupted", 128 + number, f"the runner received {signal_name(number)}")
    if ended_by == "launch_failed":
        return _verdict("launch_failed", outcome.launch_error)
    return _ended_by_limit(outcome, reply)


def _ended_by_limit(outcome: Outcome, reply: Reply) -> Verdict | None:
    ended_by = outcome.ended_by
    if ended_by == "watch":
        return _of_fault(reply.stalled or reply.fault or Fault("network", "nothing but retries came"), _WATCH_NOTE)
    if ended_by == "budget":
        return _verdict("budget", f"ended by the runner: {reply.spent['words']}" if reply.spent else None)
    if ended_by in _LIMITS:
        if reply.stalled:
            return _of_fault(reply.stalled, f"ended by {ended_by} while the agent was retrying")
        after = f" ({format_duration(outcome.elapsed)})" if outcome.elapsed else ""
        return _verdict(ended_by, f"{REASONS[ended_by].meaning}{after}")
    return None


def _ended_badly(outcome: Outcome, reply: Reply) -> Verdict | None:
    """A bad or absent terminal event, then the exit code, then an empty reply where there is no terminal event."""
    named = _named(outcome, reply)
    if reply.terminal == "bad":
        return named or _verdict("agent_error", one_line(reply.text, _LONGEST_MESSAGE), reply.terminal_evidence)
    killed = named or _killed_below(outcome, reply)
    if reply.terminal == "absent":
        return killed or _verdict("no_terminal_event", _without_event(outcome, reply), reply.stderr_end)
    meaningless = reply.ignore_exit_code or outcome.ended_by == "linger"  # then the signal was the runner's own
    if outcome.signal is not None and not meaningless:
        return _verdict("crashed", f"the agent was ended by {signal_name(outcome.signal)}", reply.stderr_end)
    if outcome.exit_code and not meaningless:
        return killed or _verdict("agent_error", _with_stderr(_ending(outcome), reply), reply.stderr_end)
    if reply.terminal == "undeclared" and not reply.text.strip():
        return named or _verdict("no_output", None, reply.stderr_end)
    return None


def _killed_below(outcome: Outcome, reply: Reply) -> Verdict | None:
    """A shell ends with 128 + n when its child, the agent, was ended by signal n."""
    number = (outcome.exit_code or 0) - 128
    if number not in _KILLED:
        return None
    hint = " (out of memory?)" if number == _SIGKILL else ""
    message = f"exit code {outcome.exit_code}: a process of it was ended by {signal_name(number)}{hint}"
    return _verdict("crashed", _with_stderr(message, reply), reply.stderr_end)


def _denied(expectations: Expectations, reply: Reply) -> Verdict | None:
    if expectations.denied != "fail" or not reply.denials or not reply.denials["count"]:
        return None
    return _verdict("permission", _of_denials(reply.denials), reply.terminal_evidence)


def _of_denials(denials: JsonObject) -> str:
    """`3 tool calls were denied: Bash, Write`."""
    count, names = denials["count"], denials["names"]
    said = "1 tool call was denied" if count == 1 else f"{count} tool calls were denied"
    return f"{said}: {_some(tuple(names))}" if names else said


def _postcondition(expectations: Expectations, outcome: Outcome, reply: Reply, changes: Changes) -> Verdict:
    notes = list(changes.notes)
    if outcome.ended_by == "linger":
        notes.append(_LINGER_NOTE)
    if changes.commits:
        if changes.dirt and expectations.requires_commit:
            notes.append(f"the agent left changes that it did not commit: {_some(changes.dirt)}")
        return _success(None, notes)
    try:
        if expectations.nothing_to_do and _says(expectations.nothing_to_do, reply.text):
            return _success("nothing_to_do", notes)
    except OutOfTime:
        notes.append(SLOW_PATTERN)
    if not expectations.requires_commit:
        return _success(None, notes)
    if changes.dirt:
        return _verdict("uncommitted_changes", f"not committed: {_some(changes.dirt)}", notes=notes)
    return _verdict("no_commits", _without_commits(changes), notes=notes)


def _without_commits(changes: Changes) -> str | None:
    if changes.unknown:
        return f"no commit was found, and {changes.unknown}"
    return None if changes.repository else "the task requires a commit, and this is not a git checkout"


def _named(outcome: Outcome, reply: Reply) -> Verdict | None:
    """The class of a run that failed otherwise: what a rule found, else what the exit code means."""
    if reply.fault:
        return _of_fault(reply.fault)
    kind = reply.exit_classes.get(outcome.exit_code) if outcome.exit_code else None
    return _verdict(kind, _with_stderr(_ending(outcome), reply), reply.stderr_end) if kind else None


def _ending(outcome: Outcome) -> str:
    if outcome.ended_by == "linger":
        return "the agent did not exit and was ended"
    if outcome.signal is not None:
        return f"the agent was ended by {signal_name(outcome.signal)}"
    return "the agent's end is not known" if outcome.exit_code is None else f"exit code {outcome.exit_code}"


def _without_event(outcome: Outcome, reply: Reply) -> str:
    return _with_stderr(f"the output ends without its terminal event, {_ending(outcome)}", reply)


def _with_stderr(message: str, reply: Reply) -> str:
    return f"{message}; stderr ends with: {reply.stderr_end.text}" if reply.stderr_end else message


def _says(pattern: str, text: str) -> bool:
    return Pattern(pattern).hit(text, Budget(END_SECONDS)) is not None


def _some(paths: tuple[str, ...]) -> str:
    rest = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + rest


def _success(reason: str | None, notes: list[str]) -> Verdict:
    return Verdict("success", reason, 0, notes=tuple(notes))


def _of_fault(fault: Fault, *notes: str) -> Verdict:
    return _verdict(fault.kind, fault.message, fault.evidence, retry_at=fault.retry_at, notes=notes)


def _verdict(
    reason: str,
    message: str | None,
    evidence: Evidence | None = None,
    *,
    retry_at: float | None = None,
    notes: Sequence[str] = (),
) -> Verdict:
    """A verdict of that reason; without a message the reason's meaning."""
    row = reason_of(reason)
    return Verdict(
        row.status,
        reason,
        row.exit_code or 0,
        message or row.meaning,
        evidence,
        retry_at if row.status == "rate_limited" else None,
        tuple(notes),
    )
