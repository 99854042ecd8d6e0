"""The agent of a run, from its spawn to what it said: the only caller of the supervisor."""

from __future__ import annotations

import os
import time
from functools import partial

from runner import files
from runner.mask import plain_forms
from runner.model import Invocation, JsonObject, Limits, Outcome, Reply
from runner.parsers import compile_parser
from runner.process import supervise
from runner.process.containment import CONTAINMENT_VARIABLE, Containment
from runner.process.guardian import Guardian
from runner.process.hidden import wipe_environment
from runner.process.pump import Log, Streams
from runner.process.signals import Signals
from runner.records import store
from runner.run import closing, recovery
from runner.run.active import ActiveRun
from runner.run.progress import Progress
from runner.template import render

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.budget.meter import Meter
    from runner.model import Invocation
    from runner.parsers.reader import Reader

_CLOSING = 30.0  # seconds for the commit check and the record
_MAX_REPORT = 16 << 20


def execute(active: ActiveRun, signals: Signals) -> tuple[Outcome, Reply]:
    """Start the agent and see it to its end: what the system saw of it, and what it said.

    The message that the run did not end is queued before the agent starts. No process of the agent is left.
    """
    site, invocation = active.site, active.invocation
    streams = _streams(active)
    forced = site.machine.environ.get(CONTAINMENT_VARIABLE)
    containment = Containment(invocation.run_id, forced, partial(site.logs.sign, active.claim))
    wipe_environment(active.secrets)
    guardian = Guardian(invocation, streams, containment, partial(_close_orphan, active))
    active.guardians.append(guardian)
    try:
        longest = _longest(invocation.limits, invocation.verify)
        if longest is not None:
            site.logs.sign_end(active.claim, time.monotonic() + longest)
        site.notifier.queue_lost(active.record, active.shown_folder, longest)
        return _supervise(active, guardian, signals)
    finally:
        containment.close()


def supervise_command(active: ActiveRun, command: Invocation, streams: Streams, signals: Signals) -> Outcome:
    """Run another program of the run, as the agent was run; no process of it is left."""
    while active.guardians:
        active.guardians.pop().dismiss()
    site = active.site
    forced = site.machine.environ.get(CONTAINMENT_VARIABLE)
    containment = Containment(command.run_id, forced, partial(site.logs.sign, active.claim))
    guardian = Guardian(command, streams, containment, partial(_close_orphan, active))
    active.guardians.append(guardian)
    try:
        return supervise.execute(guardian, None, _Unobserved(), signals)
    finally:
        containment.close()
        streams.close()


class _Unobserved:
    """Nobody looks at what a command prints while it runs."""

    interval: float | None = None

    def started(self, pid: int) -> None: ...
    def tick(self) -> None: ...
    def finished(self) -> bool:
        return False

    def exhausted(self) -> bool:
        return False

    def ending(self) -> None: ...
    def give_up_at(self, now: float, wall: float) -> float | None:  # noqa: ARG002  (the observer's form)
        return None


def _streams(active: ActiveRun) -> Streams:
    invocation, folder = active.invocation, active.invocation.run_dir
    files.try_folders(invocation.folders)
    for path, content in invocation.files.items():
        files.make_folders(os.path.dirname(path))
        files.write_text(path, content)
    return Streams(
        stdin=store.open_input(folder, invocation.stdin),
        transcript=Log(os.path.join(folder, "transcript.log"), invocation.limits.max_output),
        stdout=Log(os.path.join(folder, "stdout.log"), invocation.limits.max_output),
        secrets=active.secrets,
        plain=plain_forms(active.environ),
    )


def _supervise(active: ActiveRun, guardian: Guardian, signals: Signals) -> tuple[Outcome, Reply]:
    invocation = active.invocation
    parser = compile_parser(invocation.parser, live=invocation.budget is not None)
    reader = parser.reader(time.time)
    meter = _meter(invocation, reader)
    name = f"{invocation.agent} {invocation.task}"
    progress = Progress(reader, name, invocation.limits, active.site.stderr, meter)
    try:
        outcome = supervise.execute(guardian, reader, progress, signals)
    finally:
        progress.close()
        guardian.streams.close()
    reports = {path: _report(invocation.run_dir, path) for path in parser.sources}
    reply = reader.finish({path: data for path, data in reports.items() if data is not None})
    return outcome, reply if meter is None else meter.settle(reply, outcome.ended_by)


def _meter(invocation: Invocation, reader: Reader) -> Meter | None:
    """What watches over the budget, of a run for which anything is said of one."""
    if invocation.budget is None:
        return None
    from runner.budget.meter import Meter  # noqa: PLC0415 - few runs have a budget
    from runner.budget.terms import terms_of  # noqa: PLC0415 - the same

    return Meter(terms_of(invocation.budget), reader.live, invocation.model)


def _report(run_dir: str, path: str) -> bytes | None:
    """A file that the parser asks for and the agent was told to write, if it did."""
    where = os.path.join(run_dir, render(path, {"run_dir": run_dir}))
    try:
        return files.read_bytes(where, _MAX_REPORT)
    except OSError:
        return None


def _close_orphan(active: ActiveRun, survivors: int, containment: str) -> None:
    """In the guardian, when the runner is gone: do at once what the next runner process would do."""
    site = active.site
    try:
        recovery.close_orphan(site.logs, active.claim, site.notifier, survivors, containment)
    except Exception as error:
        closing.note_failure(active, error, time.time())


def _longest(limits: Limits, verify: JsonObject | None = None) -> float | None:
    """Seconds after which a run that keeps to its limits is over, its checks included, each of them twice."""
    if limits.timeout is None:
        return None
    checks = sum(2 * check["seconds"] for check in verify["checks"]) if verify else 0.0
    return limits.timeout + limits.grace + float(checks) + _CLOSING
