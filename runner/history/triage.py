"""Pure: what was found about the last hours → findings, worst first."""

from __future__ import annotations

from runner.reasons import NOT_BEGUN, REASONS
from runner.text import from_rfc3339, one_line, rfc3339
from runner.units import format_duration
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.model import JsonObject

SECTIONS = ("silent", "missed", "configuration", "messages", "failures", "limits", "fine")
"""Worst first; every finding belongs to one."""

# How surely the next run fails as well: first what goes on until a person changes something, then work that was not
# done, limits, which end at their reset, runs that took too long, crashes, and last what usually passes.
_SURELY = (
    "internal disk_full launch_failed missing_requirement preflight dirty_workspace model_not_found auth billing "
    "permission refusal context_overflow no_commits uncommitted_changes agent_error usage_limit rate_limit timeout "
    "first_output idle_timeout crashed no_terminal_event no_output server overloaded network"
).split()
_NO_FAILURE = frozenset(("success", "running", "interrupted", "lost", "missed"))
_QUIET_SKIPS = frozenset(("busy", "cooldown"))
_LIMITS = frozenset(("usage_limit", "rate_limit"))
_TEXT = 160


@dataclass(frozen=True)
class Finding:
    """One line of triage. `person`: somebody has to act; `since` is RFC 3339; `run_id` is the newest run of it."""

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


def silent(lost: Iterable[JsonObject], unclosed: Iterable[JsonObject]) -> list[Finding]:
    """Runs that ended without a word: closed as lost by somebody else, or not closed by anybody yet."""
    found = [_silent(run, "nobody has closed its record yet", "`runner heartbeat` closes it") for run in unclosed]
    return found + [_silent(run, "its runner ended without closing it", REASONS["lost"].advice) for run in lost]


def _silent(run: JsonObject, text: str, advice: str) -> Finding:
    return Finding(
        "silent",
        f"{_subject(run)}: lost: {text}",
        person=True,
        advice=advice,
        since=run["started_at"],
        run_id=run["run_id"],
        agent=run["agent"],
        task=run["task"],
        reason="lost",
    )


def missed(entries: Sequence[JsonObject]) -> list[Finding]:
    """What schedules did not start, by agent and task; `entries` are newest first. A later success makes it good."""
    groups: dict[tuple[str, str], list[JsonObject]] = {}
    for entry in entries:
        if entry["status"] == "missed":
            groups.setdefault((entry["task"], entry["agent"]), []).append(entry)
    well = _last_successes(entries)
    return [_missed(runs, well) for runs in groups.values()]


def _missed(runs: list[JsonObject], well: dict[tuple[str, str], str]) -> Finding:
    newest = runs[0]
    again = well.get((newest["agent"], newest["task"]), "") > newest["run_id"]
    text = one_line((newest["error"] or {}).get("message") or "", _TEXT)
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
    """Schedules that nobody starts: `longest` seconds without a heartbeat are too many."""
    text = silence(last, now, longest)
    if not schedules or text is None:
        return []
    advice = "`runner cron install` has cron run it each minute"
    since = None if last is None else rfc3339(last)
    return [Finding("missed", f"{_number(schedules, 'schedule')} and {text}", True, advice, schedules, since)]


def silence(last: float | None, now: float, longest: float) -> str | None:
    """How long there was no heartbeat, when that is too long."""
    if last is None:
        return "no heartbeat yet: nothing is started"
    quiet = now - last
    return f"no heartbeat for {format_duration(quiet)}: nothing is started" if quiet > longest else None


def failures(entries: Sequence[JsonObject], now: float) -> list[Finding]:
    """What failed, an agent's repeats of one class folded; `entries` are newest first.

    What went well since, for the same agent and task, needs nobody any more. A limit needs nobody until its reset.
    """
    groups: dict[tuple[str, str], list[JsonObject]] = {}
    for entry in entries:
        if entry["status"] not in _NO_FAILURE and entry["reason"] not in _QUIET_SKIPS:
            groups.setdefault((entry["agent"], entry["reason"] or entry["status"]), []).append(entry)
    well = _last_successes(entries)
    found = [_failure(reason, runs, well, now) for (_, reason), runs in groups.items()]
    return sorted(found, key=lambda finding: (not finding.person and finding.reason not in _LIMITS, *_rank(finding)))


def _last_successes(entries: Sequence[JsonObject]) -> dict[tuple[str, str], str]:
    return {(entry["agent"], entry["task"]): entry["run_id"] for entry in reversed(entries) if entry["exit_code"] == 0}


def _rank(finding: Finding) -> tuple[int, int]:
    known = finding.reason in _SURELY
    return (_SURELY.index(finding.reason) if known and finding.reason else len(_SURELY)), -finding.count


def _failure(reason: str, runs: list[JsonObject], well: dict[tuple[str, str], str], now: float) -> Finding:
    newest, oldest = runs[0], runs[-1]
    open_ones = [run for run in runs if well.get((run["agent"], run["task"]), "") < run["run_id"]]
    error = newest.get("error") or {}
    row = REASONS.get(reason)
    times = (
        f" ×{len(runs)} since {_clock(oldest['started_at'])}"
        if len(runs) > 1
        else f" at {_clock(oldest['started_at'])}"
    )
    tasks = ", ".join(dict.fromkeys(run["task"] for run in runs))
    passed = "" if open_ones else "; went well since"
    return Finding(
        "failures",
        f"{newest['agent']}: {reason}{times} ({tasks}): {one_line(error.get('message') or '', _TEXT)}{passed}",
        person=bool(open_ones) and not (reason in _LIMITS and _resets(newest, now)),
        advice=row.advice if row and open_ones else None,
        count=len(runs),
        since=oldest["started_at"],
        run_id=newest["run_id"],
        agent=newest["agent"],
        task=newest["task"] if len({run["task"] for run in runs}) == 1 else None,
        reason=reason,
    )


def _resets(run: JsonObject, now: float) -> bool:
    """Whether a limit says when it ends, and that is still to come."""
    until = (run.get("error") or {}).get("retry_at")
    try:
        return until is not None and from_rfc3339(until) > now
    except ValueError:
        return False


def limits(entries: Sequence[JsonObject], now: float) -> list[Finding]:
    """Agents whose newest run met a limit that still holds."""
    newest: dict[str, JsonObject] = {}
    for entry in entries:
        if entry["status"] not in NOT_BEGUN:
            newest.setdefault(entry["agent"], entry)
    return [
        Finding(
            "limits",
            f"{run['agent']}: {run['reason']} until {run['error']['retry_at']}",
            person=False,
            run_id=run["run_id"],
            agent=run["agent"],
            reason=run["reason"],
        )
        for run in newest.values()
        if run["reason"] in _LIMITS and _resets(run, now)
    ]


def left_alone(agent: str, reason: str, how: str, run_id: str) -> Finding:
    """An agent in cooldown; `how` says until when and why."""
    advice = f"`runner agents clear {agent}` ends it"
    return Finding("limits", f"{agent}: {how}", person=False, advice=advice, run_id=run_id, agent=agent, reason=reason)


def fine(entries: Sequence[JsonObject], running: int, since: str) -> Finding:
    """What is well, in one line."""
    well = [entry for entry in entries if entry["status"] == "success"]
    agents = len({entry["agent"] for entry in well})
    text = (
        f"{_number(len(well), 'run')} of {_number(agents, 'agent')} went well since {since}"
        if well
        else "no run went well"
    )
    return Finding("fine", text + (f", {running} running now" if running else ""), person=False, count=len(well))


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _clock(when: str | None) -> str:
    """`15:30Z` of an RFC 3339 time; with the day, for the night may lie between."""
    return f"{when[5:10]} {when[11:16]}Z" if when else "?"


def _subject(run: JsonObject) -> str:
    return f"{run['agent']} {run['task']} {run['run_id']}"
