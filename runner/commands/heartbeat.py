"""`runner heartbeat`, started by cron each minute: starts what is due, closes lost runs and sends what waits.

And `runner occurrence`, which only the heartbeat starts: it runs the agents of a schedule that is due.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial

from runner import files
from runner.commands._project import Opened, Watch, open_project
from runner.errors import EXIT_INTERNAL, ConfigError, RunnerError
from runner.files import make_folders
from runner.notify.channels import ping
from runner.notify.delivery import flush
from runner.process.detached import start_detached
from runner.records.folder import Logs
from runner.run import recovery
from runner.schedule import dispatch, due, state
from runner.schedule.due import Schedule
from runner.schedule.state import ScheduleState
from runner.text import one_line, rfc3339
from runner.values import dataclass, field, replace

_BUDGET = 20.0  # seconds for messages; the next heartbeat sends the rest
_DAILY = 86400.0
_PING_BUDGET = 2.0  # seconds for one report to `settings.heartbeat_url`
_LOG = ("heartbeat", "task.log")
_MAX_LOG = 1 << 20  # bytes; some nine days
_MIN_SET_BACK = 60.0  # seconds by which a clock is set back that are worth a line


class HeartbeatError(RunnerError):
    """A part of the heartbeat failed; the others were done."""

    exit_code = EXIT_INTERNAL


def heartbeat(project: str | None) -> int:
    """Do what is due, never twice at a time. Raises HeartbeatError, and ConfigError when the rest is done."""
    watch = Watch(project, report=True, log_always=False)
    try:
        with watch:
            # Lost runs are closed later: that sends messages, and what is due is not to wait for a server.
            opened = watch.open(close_lost=False)
    except ConfigError as error:
        _without_configuration(watch, error)
        if watch.is_new or sys.stderr.isatty():
            raise
        return error.exit_code  # it was printed before: cron would mail it each minute
    work = _Heartbeat(opened, watch)
    try:
        opened.logs.prepare()
        held = _lock(opened.logs)
    except (OSError, RunnerError) as error:
        raise work.give_up(error) from None
    try:
        return work.run() if held is not None else 0
    finally:
        if held is not None:
            os.close(held)


def occurrence(project: str | None, name: str) -> int:
    """Raises UsageError for a process that the heartbeat did not start."""
    from runner.schedule.occurrence import run_occurrence  # noqa: PLC0415 - the heartbeat itself does without it

    opened = open_project(project, close_lost=False)
    run_occurrence(opened.logs, name, runner_argv(opened.config.project.root), opened.environ, time.time)
    return 0


def _lock(logs: Logs) -> int | None:
    """The descriptor that holds the heartbeat's lock; None while another heartbeat runs."""
    make_folders(logs.path("state"))
    return files.lock(logs.path("state", "heartbeat.lock"))


@dataclass
class _Heartbeat:
    """One heartbeat of an open project. A part that fails does not stop the others.

    `is_known`: what failed was reported by an earlier one.
    """

    opened: Opened
    watch: Watch
    failures: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    broken: ConfigError | None = None
    is_known: bool = False

    def run(self) -> int:
        """Return the exit code. Raises RunnerError for what is to be printed."""
        began = time.monotonic()
        self._part("the clock", self._check_clock)
        self._part("schedules", self._schedules)
        ping_error = self._ping("start", "")
        self._part("lost runs", self._lost)
        self._part("messages", self._messages)
        self._part("old runs", self._prune)
        did = " ".join(f"{name} {number}" for name, number in self.counts.items())
        line = " ".join(
            (did, *(f"failed ({failure})" for failure in self.failures), f"took {time.monotonic() - began:.2f}s")
        )
        # An address that failed once is not tried again.
        ping_error = ping_error or self._ping(self._signal(), line)
        line_logged = f"{line} ping: {ping_error}" if ping_error else line
        self._part("its log", lambda: _write_line(self.opened.logs, line_logged))
        if sys.stdout.isatty():
            print(line)  # cron would mail it
        if self.failures and not (self.is_known and len(self.failures) == 1):
            raise self._error()
        return self._error().exit_code if self.failures else 0

    def give_up(self, error: OSError | RunnerError) -> RunnerError:
        """Report to the address that there is no log folder; return the error to raise."""
        self.failures.append(_why(error))
        self._ping(self._signal(), self.failures[0])
        return self._error()

    def _error(self) -> RunnerError:
        if self.broken is not None:
            return self.broken
        log = self.opened.logs.path("runner.log")
        return HeartbeatError(f"the heartbeat is not complete: {'; '.join(self.failures)}", hint=f"see `{log}`")

    def _part(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, RunnerError) as error:
            self.broken = error if isinstance(error, ConfigError) else self.broken
            self._failed(name, _why(error), f"heartbeat: {name}: {_why(error)}")
        except Exception as error:
            import traceback  # noqa: PLC0415 - heavy, and for failures alone

            self._failed(name, repr(error), f"heartbeat: {name}\n{traceback.format_exc()}")

    def _failed(self, name: str, why: str, note: str) -> None:
        self.failures.append(one_line(f"{name}: {why}"))
        self.opened.logs.note(note, time.time())

    def _check_clock(self) -> None:
        last, now = state.last_heartbeat(self.opened.logs), time.time()
        if last is not None and now < last - _MIN_SET_BACK:
            back = f"the clock was set back by {last - now:.0f} s"
            self.opened.logs.note(
                f"heartbeat: {back}; what was started until {rfc3339(last)} is not started again", now
            )

    def _schedules(self) -> None:
        now = time.time()
        configured = due.schedules_of(self.opened.config.tasks)
        found: dict[str, ScheduleState] = {}
        broken: list[str] = []
        self.counts |= {"started": 0, "busy": 0, "missed": 0}
        for schedule in configured:
            self._part(f"schedule {schedule.name}", partial(self._dispatch, schedule, found, broken, now))
        self._part("broken schedules", lambda: self._tell_broken(broken))
        found |= dispatch.drop(self.opened.logs, {schedule.name for schedule in configured}, now)
        unreported = {name: kept for name, kept in found.items() if kept.unreported}
        if unreported:
            self._report(unreported, now)

    def _dispatch(self, schedule: Schedule, found: dict[str, ScheduleState], broken: list[str], now: float) -> None:
        try:
            found[schedule.name], started = dispatch.dispatch(schedule, self.opened.logs, now, self._start)
        except due.BrokenScheduleError:
            broken.append(schedule.task)
        else:
            self.counts["started"] += started

    def _tell_broken(self, tasks: list[str]) -> None:
        """Report schedules that can never start, once; the others go on."""
        error = None
        if tasks:
            from runner.config.checks import schedule_problems  # noqa: PLC0415 - brings calendars, for a schedule that is wrong

            config = self.opened.config
            problems = [one for task in dict.fromkeys(tasks) for one in schedule_problems(config, task)]
            error = ConfigError([one for one in problems if one.severity == "error"])
            self.failures.append(f"schedules: {error.message}")
            self.broken = error
        self.is_known = not self.watch.tell("schedules", error) and error is not None and not sys.stderr.isatty()

    def _start(self, name: str, held: int) -> None:
        logs = self.opened.logs
        make_folders(logs.path("heartbeat"))
        log = logs.path("heartbeat", "occurrences.log")
        output = files.open_file(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            argv = [*runner_argv(self.opened.config.project.root), "occurrence", name]
            start_detached(argv, self.opened.environ, output, kept=held)
        finally:
            os.close(output)

    def _report(self, unreported: dict[str, ScheduleState], now: float) -> None:
        from runner.schedule import missed  # noqa: PLC0415 - for the few heartbeats that have something to report

        logs = self.opened.logs
        events = [event for kept in unreported.values() for event in kept.unreported]
        for event in events:
            if event.kind in self.counts:
                self.counts[event.kind] += event.count
        missed.record([event for event in events if not event.recorded], logs, now)
        for name, kept in unreported.items():
            recorded = tuple(replace(event, recorded=True) for event in kept.unreported)
            state.write(logs, name, replace(kept, unreported=recorded))
        missed.notify(events, self.opened.notifier({}).outbox, lambda task: self.opened.notifier_of(task).policy, now)
        for name, kept in unreported.items():
            state.write(logs, name, replace(kept, unreported=()))

    def _lost(self) -> None:
        self.counts["lost"] = len(recovery.close_lost(self.opened.logs, self.opened.notifier_of))

    def _messages(self) -> None:
        delivered, waiting = flush(self.opened.notifier({}), _BUDGET, due_only=True)
        self.counts |= {"delivered": delivered, "waiting": waiting}

    def _prune(self) -> None:
        now = time.time()
        self.counts["pruned"] = 0
        if not 0 <= now - state.last_look(self.opened.logs) < _DAILY:
            from runner.commands.prune import prune_daily  # noqa: PLC0415 - brings the index, needed once a day

            self.counts["pruned"] = prune_daily(self.opened, now)

    def _signal(self) -> str:
        """What is reported to the address: the exit code of a failure, `fail` when something needs a person."""
        if self.failures:
            return str(self._error().exit_code)
        return "fail" if self.counts.get("lost") or self.counts.get("missed") else ""

    def _ping(self, signal: str, text: str) -> str | None:
        address = self.opened.config.settings.get("heartbeat_url")
        if not address:
            return None
        return ping(address, signal, text, self.opened.environ, _PING_BUDGET)


def _why(error: OSError | RunnerError) -> str:
    return files.reason(error) if isinstance(error, OSError) else error.message


def runner_argv(root: str) -> list[str]:
    """The argv that starts this runner again, up to the command; `-P` so that no module of the folder hides ours."""
    return [sys.executable, "-P", "-m", "runner", "-C", root]


def _write_line(logs: Logs, line: str) -> None:
    path = logs.path(*_LOG)
    try:
        if os.lstat(path).st_size > _MAX_LOG:
            os.replace(path, f"{path}.1")
    except FileNotFoundError:
        pass
    logs.append_line(_LOG, f"{rfc3339(time.time())} {line}")


def _without_configuration(watch: Watch, error: ConfigError) -> None:
    """Do what needs no configuration, and note in the log why that was all."""
    logs = watch.logs()
    held = _lock(logs) if os.path.isdir(logs.root) else None
    if held is None:
        return
    try:
        lost, delivered, waiting = watch.look_after()
        did = f"lost {lost} delivered {delivered} waiting {waiting}"
        _write_line(logs, f"configuration broken {did} ({one_line(str(error.problems[0]))})")
    finally:
        os.close(held)
