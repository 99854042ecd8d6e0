"""`runner triage`: what needs a person, by records, outbox, live files, the runner's log and the server."""

from __future__ import annotations

import os
import re
import time

from runner.commands._logs import open_logs
from runner.commands._project import Opened, open_project
from runner.commands.runs import read_moment
from runner.config.checks import schedule_problems
from runner.config.project import state_home
from runner.errors import ConfigError, Problem, RunnerError
from runner.files import open_file
from runner.history import findings
from runner.history.findings import Finding
from runner.history.index import Index
from runner.history.queries import Filter, entries, running
from runner.history.tables import Entry
from runner.notify.channels import poll
from runner.notify.last_good import missing_files
from runner.notify.outbox import Outbox, is_young
from runner.reasons import NOT_BEGUN
from runner.records import store
from runner.records.folder import Logs
from runner.records.metadata import Notification
from runner.run import cooldown
from runner.schedule.due import MISFIRE_GRACE_TIME, schedules_of
from runner.schedule.state import last_heartbeat
from runner.text import json_text, one_line, rfc3339
from runner.values import asdict

_SINCE = "24h"
_LOG_TAIL = 1 << 20  # bytes of runner.log
_CHECKED = 200  # runs whose records are compared with the outbox and the server
_BUDGET = 3.0  # seconds for the server
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")
_TITLES = {
    "silent": "silent runs",
    "missed": "missed schedules",
    "configuration": "configuration",
    "messages": "messages not delivered",
    "failures": "failures",
    "limits": "limits",
    "fine": "fine",
}


def triage(project: str | None, *, since: str | None, as_json: bool) -> int:
    """1 when something needs a person. Raises UsageError."""
    now = time.time()
    began = read_moment(since or _SINCE, now) or 0.0
    found = _findings(project, began, now)
    person = any(finding.person for finding in found)
    if as_json:
        shown = [asdict(finding) for finding in found]
        print(json_text({"since": rfc3339(began), "needs_a_person": person, "findings": shown}, 2))
    else:
        _print(found)
    return 1 if person else 0


def _findings(project: str | None, began: float, now: float) -> list[Finding]:
    opened, broken = _open(project)
    logs = opened.logs if opened else open_logs(project)
    recent = entries(Index(logs), Filter(since=began))
    live = list(running(logs))
    unclosed = [run for run in live if not logs.is_live(run["run_id"])]
    lost = [entry for entry in recent if entry["status"] == "lost"]
    return [
        *broken,
        *findings.silent(lost, unclosed),
        *(_wrong_schedules(opened) if opened else []),
        *_unstarted(opened, recent, now),
        *([] if broken else _fixed(logs, began)),
        *_undelivered(logs, recent, now),
        *(_missing_at_server(opened, logs, recent, began) if opened else []),
        *findings.failures(recent, now),
        *_limits(logs, recent, now),
        findings.fine(recent, len(live) - len(unclosed), rfc3339(began)),
    ]


def _limits(logs: Logs, recent: list[Entry], now: float) -> list[Finding]:
    """Limits that hold, then agents in cooldown."""
    cooling = [found for found in cooldown.all_of(logs) if found.blocks(now)]
    names = {found.agent for found in cooling}
    return [
        *(finding for finding in findings.limits(recent, now) if finding.agent not in names),
        *(findings.in_cooldown(found.agent, found.reason, str(found), found.run_id) for found in cooling),
    ]


def _unstarted(opened: Opened | None, recent: list[Entry], now: float) -> list[Finding]:
    """Schedules without a heartbeat, and what was not started."""
    schedules = len(schedules_of(opened.config.tasks)) if opened else 0
    last = last_heartbeat(opened.logs) if opened else None
    return [*findings.no_heartbeat(schedules, last, now, MISFIRE_GRACE_TIME), *findings.missed(recent)]


def _open(project: str | None) -> tuple[Opened | None, list[Finding]]:
    """The project, or what is wrong with its configuration."""
    try:
        opened = open_project(project)
        gone = missing_files(state_home(opened.environ), opened.config.project.root, opened.config.project.root)
        return opened, [_gone(problem) for problem in gone[1].problems] if gone else []
    except ConfigError as error:
        lines = [one_line(line) for line in error.lines() if not line.startswith("error:")]
        return None, [
            Finding("configuration", line, person=True, advice="`runner validate` says what is expected; no run starts")
            for line in lines[:5]
        ]


def _wrong_schedules(opened: Opened) -> list[Finding]:
    """Schedules that can never start."""
    config = opened.config
    problems = [one for task in config.tasks for one in schedule_problems(config, task) if one.severity == "error"]
    advice = "`runner validate` says what is expected; the other schedules go on"
    return [Finding("configuration", one_line(str(problem)), person=True, advice=advice) for problem in problems]


def _gone(problem: Problem) -> Finding:
    return Finding("configuration", f"{problem.file}: {problem.message}", person=True, advice=problem.hint)


def _fixed(logs: Logs, began: float) -> list[Finding]:
    """Configuration errors in the runner's log that are fixed by now: runs were refused then."""
    times = [line[:24] for line in _log_lines(logs, began) if "in the configuration" in line]
    text = f"was broken, and is right again; runs were refused ×{len(times)}, last at {times[-1]}" if times else ""
    return [Finding("configuration", text, person=False, count=len(times), since=times[0])] if times else []


def _log_lines(logs: Logs, began: float) -> list[str]:
    """The entries of runner.log since then, each with the time in front."""
    try:
        with open(open_file(logs.path("runner.log")), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    found: list[str] = []
    stamp = ""
    for line in lines:
        begins = _STAMP.match(line) is not None
        stamp = line[:24] if begins else stamp
        if stamp >= rfc3339(began):
            found.append(line if begins else f"{stamp} {line}")
    return found


def _undelivered(logs: Logs, recent: list[Entry], now: float) -> list[Finding]:
    """Dead letters, messages that wait too long, and records that wait for a message that is nowhere."""
    outbox = Outbox(logs, {})
    found = []
    dead = outbox.dead_ids()
    if dead:
        last = outbox.read(dead[-1], dead=True)
        why = _last_error(last.notification()) if last else ""
        text = f"{len(dead)} dead letter{'' if len(dead) == 1 else 's'}, no retry will deliver them{why}"
        found.append(Finding("messages", text, True, "`runner notify list` shows them", len(dead), run_id=dead[-1]))
    waiting = [pending for name in outbox.ids() if (pending := outbox.read(name)) is not None]
    late = [pending for pending in waiting if pending.final and not is_young(pending, now)]
    young = [pending for pending in waiting if pending.final and is_young(pending, now)]
    for group, person in ((late, True), (young, False)):
        if group:
            text = f"{len(group)} in the outbox since {rfc3339(group[0].created_at)}"
            text += _last_error(group[-1].notification())
            found.append(Finding("messages", text, person, "`runner notify flush` tries again", len(group)))
    held = {pending.id for pending in waiting} | set(dead)
    gone = [run_id for run_id, state in _states(logs, recent).items() if state == "pending" and run_id not in held]
    if gone:
        text = f"{len(gone)} record{'' if len(gone) == 1 else 's'} wait for a message that is not in the outbox"
        found.append(
            Finding("messages", text, True, "`runner show` the run; its message is lost", len(gone), run_id=gone[0])
        )
    return found


def _states(logs: Logs, recent: list[Entry]) -> dict[str, str]:
    """What the records of the newest runs say of their messages, without runs that are being closed."""
    found = {}
    for entry in recent[:_CHECKED]:
        place = None if entry["status"] in NOT_BEGUN else logs.place_of(entry["run_id"])
        record = store.read_metadata(logs.path(place)) if place else None
        if record is not None and record["notification"] and not logs.is_live(entry["run_id"]):
            found[entry["run_id"]] = record["notification"]["state"]
    return found


def _last_error(notification: Notification) -> str:
    error = notification["last_error"]
    return f": {one_line(error, 100)}" if error else ""


def _missing_at_server(opened: Opened, logs: Logs, recent: list[Entry], began: float) -> list[Finding]:
    """Messages that a record calls delivered, and that the server does not hold, if it answers."""
    try:
        targets = [target for target in opened.policy({}).all_targets if target["kind"] == "ntfy"]
    except RunnerError as error:
        return [Finding("configuration", one_line(str(error)), True, "`runner validate`")]
    delivered = [run_id for run_id, state in _states(logs, recent).items() if state == "delivered"] if targets else []
    if not delivered:
        return []
    held = ""
    for target in targets:
        answer = poll("ntfy", target, str(int(began)), opened.environ, _BUDGET)
        if not isinstance(answer, list):
            return []  # no answer is not a finding: what was not delivered is in the outbox
        held += json_text(answer)
    oldest = min((str(run_id) for run_id in delivered if run_id in held), default=None)
    # The server may have expired those before the oldest that is still there.
    gone = [run_id for run_id in delivered if run_id not in held and oldest is not None and run_id > oldest]
    if not gone:
        return []
    text = f"{len(gone)} delivered message{'' if len(gone) == 1 else 's'} the server does not hold"
    return [Finding("messages", text, True, "`runner notify history` shows what it holds", len(gone), run_id=gone[0])]


def _print(found: list[Finding]) -> None:
    for section in dict.fromkeys(finding.section for finding in found):
        here = [finding for finding in found if finding.section == section]
        if not here:
            continue
        print(f"{_TITLES[section]}:")
        for finding in here:
            mark = "!" if finding.person else " "
            print(f" {mark} {one_line(finding.text, 300)}")
            why = (
                f"`runner why {finding.run_id}`"
                if finding.section in ("silent", "missed", "failures") and finding.run_id
                else ""
            )
            hint = "; ".join(part for part in (finding.advice, why) if part)
            if hint and finding.person:
                print(f"     {one_line(hint, 300)}")
