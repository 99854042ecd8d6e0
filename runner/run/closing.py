"""The end of a run: its record, its line in the journal, its message, and its lock.

Closing is five steps, each of which may be repeated: the final record → a line in runs.jsonl → the message, then
`delivered` in the record → the outbox file unlinked → the live file unlinked. A process that is ended between two of
them leaves a live file without a lock, by which the next runner process finds the run and goes on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial

from runner import files
from runner.errors import DISK_ERRORS, EXIT_INTERNAL
from runner.mask import mask_of, mask_tree
from runner.model import Evidence, Request, Result, Skip, Verdict
from runner.notify.notifier import off
from runner.process.guardian import NoProcessError
from runner.records import metadata, store
from runner.records.evidence import line_number
from runner.records.folder import Claim, Logs, RecordError
from runner.records.metadata import Notification, Record
from runner.records.summary import summary
from runner.run import cooldown, leftovers
from runner.run.active import ActiveRun, masked
from runner.run.site import Site
from runner.text import json_text
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from runner.model import JsonObject

    NotesOf: TypeAlias = Callable[[Record], list[str]]

_DELETED = "the run's folder was deleted while the agent ran; it was written again, earlier runs' may be gone"
_LOG_OF = {"stdout": "stdout.log", "stderr": "transcript.log"}


@dataclass(frozen=True)
class Finished:
    """A run that is over: its record, the same as text, and the command's exit code.

    `for_all`: no other agent would have fared better.
    """

    record: Record
    summary: str
    exit_code: int
    for_all: bool = False


@dataclass(frozen=True)
class Ending:
    """The final record of a run that is not closed yet, the line of output that is its evidence, and its answer."""

    record: Record
    evidence: str | None = None
    output: str | None = None


@dataclass(frozen=True)
class Closing:
    """The five steps, for a run whose lock is held.

    `folder` is the run's; `notify` sends the message and gives the record's `notification`.
    """

    logs: Logs
    claim: Claim
    folder: str
    notify: Callable[[Record], Notification]

    def close(self, final: Record, texts: Mapping[str, str]) -> Record:
        """All steps; `texts` are small files beside the record. Raises OSError when the record cannot be written."""
        return self.resume(store.close_run(self.folder, final, texts))

    def resume(self, closed: Record) -> Record:
        """The steps that follow a written record."""
        recorded, reported = self.report(closed)
        if reported["notification"]["state"] == "off" != closed["notification"]["state"]:
            try:
                store.set_notification(self.folder, reported["notification"])
            except OSError:
                pass  # the message is no less sent for it
        store.tidy(self.folder)
        if recorded:
            self.logs.release(self.claim, keep_id=True)
        else:
            os.close(self.claim.lock)  # the next runner process appends the line
        return reported

    def report(self, final: Record) -> tuple[bool, Record]:
        """The line in the journal and the message: what can be done without a written record."""
        recorded = self.logs.append_run(metadata.line_of(final))
        return recorded, {**final, "notification": self.notify(final)}


def final_record(active: ActiveRun, result: Result, notes_of: NotesOf) -> Ending:
    """The record of a run whose agent has ended; its cooldown is set or cleared."""
    final = metadata.closed(active.record, result, partial(_place_of, active))
    machine, run_id = active.site.machine, active.invocation.run_id
    leftovers.remember(machine.state, machine.repo, run_id, result.changes.left)
    cooling = cooldown.settle(active.site.logs, final, time.time())
    notes = [*active.notes, *final["notes"], *cooling, *_kept(active, final), *notes_of(final)]
    evidence = result.verdict.evidence
    record, shown = active.masked({**final, "notes": notes}), active.mask(evidence.text) if evidence else None
    answer = json_text(mask_tree(result.answer.value, active.mask), 2) if result.answer else None
    return Ending(record, shown, answer)


def _kept(active: ActiveRun, final: Record) -> list[str]:
    """Keep what the gate of the task's next run compares with; notes."""
    if active.invocation.when is None or final["status"] != "success":
        return []
    from runner.run.gate import remember  # noqa: PLC0415 - few tasks have one

    failure = remember(active.site, active.invocation, active.before)
    return [failure] if failure else []


def failed_record(active: ActiveRun, error: Exception) -> Ending:
    """The record of a run that the runner itself could not carry through."""
    now = time.time()
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        verdict = Verdict("skipped", "disk_full", 12, message=f"cannot begin: {files.reason(error)}")
    elif isinstance(error, NoProcessError):
        verdict = Verdict("failed", "launch_failed", 1, message=str(error))
    else:
        note_failure(active, error, now)
        verdict = Verdict("failed", "internal", EXIT_INTERNAL, message=f"internal error: {error!r}")
    return Ending(active.masked(metadata.broken(active.record, verdict, active.began, now)))


def note_failure(active: ActiveRun, error: Exception, now: float) -> None:
    """The traceback of an internal error, into the runner's own log."""
    import traceback  # noqa: PLC0415 - heavy, and of no use to a run that goes well

    trace = active.mask("".join(traceback.format_exception(error)))
    active.site.logs.note(f"internal error in run {active.invocation.run_id}\n{trace}", now)


def close(active: ActiveRun, ending: Ending) -> Finished:
    """Close a run from within; where its record cannot be written, the rest is done and the live file stays."""
    site, invocation, shown = active.site, active.invocation, active.shown_folder
    notify = partial(site.notifier.notify_finished, folder=shown)
    closing = Closing(site.logs, active.claim, invocation.run_dir, notify)
    texts = {}
    notes = [*_account(active, ending.record), *(f"moved aside: {path}" for path in files.take_moved())]
    if not os.path.lexists(os.path.join(invocation.run_dir, "metadata.json")):
        notes.append(_DELETED)
        texts["prompt.md"] = active.mask(invocation.prompt)
    final: Record = {**ending.record, "notes": [*ending.record["notes"], *notes]}
    if ending.output is not None:
        texts["output.json"] = f"{ending.output}\n"
    texts["summary.txt"] = summary(final, shown, ending.evidence)
    try:
        site.logs.check_place(invocation.task, invocation.agent, invocation.run_id)
        site.logs.restore(active.claim, invocation.task, invocation.agent)
        final = store.close_run(invocation.run_dir, final, texts)
    except (OSError, RecordError) as error:
        why = files.reason(error) if isinstance(error, OSError) else error.message
        _, final = closing.report({**final, "notes": [*final["notes"], f"the record could not be written: {why}"]})
        os.close(active.claim.lock)  # the next runner process that finds room closes it
    else:
        final = closing.resume(final)
    for path in files.take_moved():
        site.logs.note(f"run {invocation.run_id}: moved aside: {path}", time.time())
    return Finished(final, summary(final, shown, ending.evidence), final["exit_code"] or 0)


def _account(active: ActiveRun, final: Record) -> list[str]:
    """What the run has spent takes the place of what was reserved for it, while its live file still holds that."""
    try:
        if active.reservation is not None:
            active.reservation.settle(final)
    except OSError as error:
        return [f"what the run has spent could not be kept: {files.reason(error)}"]
    return []


def close_skipped(site: Site, request: Request, skip: Skip, claimed: tuple[str, Claim | None]) -> Finished:
    """Record and report a run that did not begin: a line, and no folder; `claimed` is its id, with its lock if any."""
    run_id, claim = claimed
    try:
        line = metadata.skipped(skip, _identity(request, run_id), time.time())
        line = masked(line, mask_of(site.machine.environ))
        site.logs.append_run(line)
        notification = off() if skip.quiet else site.notifier.notify_skipped(line)
    finally:
        if claim is not None:
            site.logs.release(claim, keep_id=True)
    text = summary({**line, "notification": notification}, None)
    return Finished(line, text, line["exit_code"] or 0, for_all=skip.for_all)


def _identity(request: Request, run_id: str) -> JsonObject:
    return {
        "run_id": run_id,
        "agent": request.agent,
        "task": request.task,
        "model": request.model,
        "trigger": request.trigger,
        "attempt": request.attempt,
        "previous_run": request.previous_run,
    }


def no_notes(_: Record) -> list[str]:
    return []


def _place_of(active: ActiveRun, evidence: Evidence) -> str:
    """`stdout.log:57`."""
    name = _LOG_OF.get(evidence.source, os.path.basename(evidence.source))
    try:
        return f"{name}:{line_number(os.path.join(active.invocation.run_dir, name), evidence.offset)}"
    except OSError:
        return name  # the agent removed it, or put something else there
