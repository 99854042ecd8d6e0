"""From the runs of the last hours to findings, worst first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runner.history.tables import Entry
from runner.reasons import NOT_BEGUN, REASONS
from runner.records.metadata import Record
from runner.text import from_rfc3339, one_line, rfc3339
from runner.units import format_duration
from runner.values import dataclass

SECTIONS = ("silent", "missed", "configuration", "messages", "failures", "limits", "fine")
"""Worst first; every finding belongs to one."""

# By how surely the next run fails as well: first what lasts until a person changes something, then work that was not
# done, limits, which end at their reset, runs that took too long, crashes, and last what usually passes.
_LASTING = (
    "internal disk_full launch_failed missing_requirement preflight dirty_workspace model_not_found auth billing "
    "permission refusal context_overflow no_commits uncommitted_changes agent_error usage_limit rate_limit timeout "
    "first_output idle_timeout crashed no_terminal_event no_output server overloaded network"
).split()
_NOT_FAILURES = frozenset(("success", "running", "interrupted", "lost", "missed"))
_QUIET_SKIPS = frozenset(("busy", "cooldown"))
_LIMITS = frozenset(("usage_limit", "rate_limit"))
_TEXT = 160


@dataclass(frozen=True)
class Finding:
    """One line of triage. `person`: a person has to act; `since` is RFC 3339; `run_id` is the newest of its runs."""

    section: str
    text: str
    person: bool
    advice: str | None = None
    count: int = 1
    since: str | None = None
    run_id: str | None = None
    agent: str | None = None
    task: str | None = None
    reason: str | None = None


def silent(lost: Iterable[Entry], unclosed: Iterable[Record]) -> list[Finding]:
    """Report runs whose runner was killed: closed as lost by another process, or not closed yet."""
    found = [_silent(run, "its record is not closed yet", "`runner heartbeat` closes it") for run in unclosed]
    return found + [_silent(run, "its runner ended without closing it", REASONS["lost"].advice) for run in lost]


def _silent(run: Entry | Record, text: str, advice: str) -> Finding:
    return Finding(
        "silent",
        f"{run['agent']} {run['task']} {run['run_id']}: lost: {text}",
        person=True,
        advice=advice,
        since=run["started_at"],
        run_id=run["run_id"],
        agent=run["agent"],
        task=run["task"],
        reason="lost",
    )


def missed(entries: Sequence[Entry]) -> list[Finding]:
    """Report what schedules did not start, by agent and task; `entries` are newest first.

    After a later success of the same agent and task nothing is left to do.
    """
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        if entry["status"] == "missed":
            groups.setdefault((entry["task"], entry["agent"]), []).append(entry)
    successes = _last_successes(entries)
    return [_missed(runs, successes) for runs in groups.values()]


def _missed(runs: list[Entry], successes: dict[tuple[str, str], str]) -> Finding:
    newest = runs[0]
    again = successes.get((newest["agent"], newest["task"]), "") > newest["run_id"]
    text = _message(newest)
    times = f"×{len(runs)}, at last " if len(runs) > 1 else ""
    return Finding(
        "missed",
        f"{newest['agent']} {newest['task']}: {times}{text}{'; went well since' if again else ''}",
        person=not again,
        advice=None if again else REASONS["missed"].advice,
        count=len(runs),
        since=runs[-1]["started_at"],
        run_id=newest["run_id"],
        agent=newest["agent"],
        task=newest["task"],
        reason="missed",
    )


def no_heartbeat(schedules: int, last: float | None, now: float, longest: float) -> list[Finding]:
    """Report schedules that do not start, because there was no heartbeat for more than `longest` seconds."""
    text = silence(last, now, longest)
    if not schedules or text is None:
        return []
    advice = "`runner cron install` has cron run it each minute"
    since = None if last is None else rfc3339(last)
    return [Finding("missed", f"{_number(schedules, 'schedule')} and {text}", True, advice, schedules, since)]


def silence(last: float | None, now: float, longest: float) -> str | None:
    """Say how long there was no heartbeat; None when that is not too long."""
    if last is None:
        return "no heartbeat yet: nothing is started"
    quiet = now - last
    return f"no heartbeat for {format_duration(quiet)}: nothing is started" if quiet > longest else None


def failures(entries: Sequence[Entry], now: float) -> list[Finding]:
    """Report what failed, one finding for an agent's repeats of one class; `entries` are newest first.

    After a later success of the same agent and task no person is needed, nor for a limit before its reset.
    """
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        if entry["status"] not in _NOT_FAILURES and entry["reason"] not in _QUIET_SKIPS:
            groups.setdefault((entry["agent"], entry["reason"] or entry["status"]), []).append(entry)
    successes = _last_successes(entries)
    found = [_failure(reason, runs, successes, now) for (_, reason), runs in groups.items()]
    return sorted(found, key=lambda finding: (not finding.person and finding.reason not in _LIMITS, *_rank(finding)))


def _last_successes(entries: Sequence[Entry]) -> dict[tuple[str, str], str]:
    return {(entry["agent"], entry["task"]): entry["run_id"] for entry in reversed(entries) if entry["exit_code"] == 0}


def _rank(finding: Finding) -> tuple[int, int]:
    known = finding.reason in _LASTING
    return (_LASTING.index(finding.reason) if known and finding.reason else len(_LASTING)), -finding.count


def _failure(reason: str, runs: list[Entry], successes: dict[tuple[str, str], str], now: float) -> Finding:
    newest, oldest = runs[0], runs[-1]
    unresolved = [run for run in runs if successes.get((run["agent"], run["task"]), "") < run["run_id"]]
    row = REASONS.get(reason)
    clock = _clock(oldest["started_at"])
    times = f" ×{len(runs)} since {clock}" if len(runs) > 1 else f" at {clock}"
    tasks = ", ".join(dict.fromkeys(run["task"] for run in runs))
    passed = "" if unresolved else "; went well since"
    return Finding(
        "failures",
        f"{newest['agent']}: {reason}{times} ({tasks}): {_message(newest)}{passed}",
        person=bool(unresolved) and not (reason in _LIMITS and _resets(newest, now)),
        advice=row.advice if row and unresolved else None,
        count=len(runs),
        since=oldest["started_at"],
        run_id=newest["run_id"],
        agent=newest["agent"],
        task=newest["task"] if len({run["task"] for run in runs}) == 1 else None,
        reason=reason,
    )


def _message(run: Entry) -> str:
    return one_line(run["error"]["message"] or "", _TEXT) if run["error"] else ""


def _resets(run: Entry, now: float) -> bool:
    """Whether a limit says when it ends, and that is in the future."""
    until = run["error"] and run["error"]["retry_at"]
    try:
        return until is not None and from_rfc3339(until) > now
    except ValueError:
        return False


def limits(entries: Sequence[Entry], now: float) -> list[Finding]:
    newest: dict[str, Entry] = {}
    for entry in entries:
        if entry["status"] not in NOT_BEGUN:
            newest.setdefault(entry["agent"], entry)
    return [
        Finding(
            "limits",
            f"{run['agent']}: {run['reason']} until {run['error']['retry_at'] if run['error'] else ''}",
            person=False,
            run_id=run["run_id"],
            agent=run["agent"],
            reason=run["reason"],
        )
        for run in newest.values()
        if run["reason"] in _LIMITS and _resets(run, now)
    ]


def in_cooldown(agent: str, reason: str, how: str, run_id: str) -> Finding:
    """Report an agent in cooldown; `how` says until when and why."""
    advice = f"`runner agents clear {agent}` ends it"
    return Finding("limits", f"{agent}: {how}", person=False, advice=advice, run_id=run_id, agent=agent, reason=reason)


def fine(entries: Sequence[Entry], running: int, since: str) -> Finding:
    """Say in one line what went well."""
    agents = [entry["agent"] for entry in entries if entry["status"] == "success"]
    runs, by = _number(len(agents), "run"), _number(len(set(agents)), "agent")
    text = f"{runs} of {by} went well since {since}" if agents else "no run went well"
    return Finding("fine", text + (f", {running} running now" if running else ""), person=False, count=len(agents))


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _clock(when: str | None) -> str:
    """`02-19 15:30Z` of an RFC 3339 time."""
    return f"{when[5:10]} {when[11:16]}Z" if when else "?"
