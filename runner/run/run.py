"""The one place where the steps of a run stand in order."""

from __future__ import annotations

import os
import time

from runner import git
from runner.mask import mask_text, secrets_of
from runner.model import Invocation, Skip
from runner.process.signals import Signals
from runner.records import metadata, store
from runner.records.folder import RecordError
from runner.records.summary import summary
from runner.run import admission, cooldown, workspace
from runner.run.execution import Begun, Finished, masked
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from runner.model import Request
    from runner.notify.notifier import Post
    from runner.records.folder import Claim, Logs
    from runner.records.metadata import Record
    from runner.run.plan import Entries, World


def _nothing(_: Record) -> list[str]:
    return []


def run(
    entries: Entries,
    request: Request,
    world: World,
    logs: Logs,
    post: Post,
    stderr: TextIO | None,
    after: Callable[[Record], list[str]] = _nothing,
) -> Finished:
    """Plan, claim, begin, execute, judge, record. Raises RunnerError before the run has begun, never after.

    `after` gets the closed record of a run that began, before anybody hears of it, and returns notes for it.
    """
    full = admission.no_room(logs)
    if full is None:
        try:
            return _admitted(entries, request, world, logs, post, stderr, after)
        except RecordError as error:
            full = Skip("disk_full", error.message)  # there was no room for an id
    run_id, reserved = admission.refuse(full, request, logs)
    return _skip(full, request, run_id, reserved, logs, post)


def _admitted(
    entries: Entries,
    request: Request,
    world: World,
    logs: Logs,
    post: Post,
    stderr: TextIO | None,
    after: Callable[[Record], list[str]],
) -> Finished:
    """When it is this run's turn in the checkout. Raises RecordError when no id can be claimed."""
    with Signals() as signals:
        lock = workspace.take(world.repo, world.state, request.wait, signals.pause)
        if lock is None:
            claim, planned = admission.claim(entries, request, world, logs)
            skip = planned if isinstance(planned, Skip) else admission.busy(world, signals.first)
            return _skip(skip, request, claim.run_id, claim, logs, post)
        try:
            return _locked(entries, request, world, logs, post, lock, signals, stderr, after)
        finally:
            lock.release()


def _locked(
    entries: Entries,
    request: Request,
    world: World,
    logs: Logs,
    post: Post,
    lock: workspace.Lock,
    signals: Signals,
    stderr: TextIO | None,
    after: Callable[[Record], list[str]],
) -> Finished:
    """The run itself, alone in its checkout."""
    before = git.snapshot(world.repo, dict(world.environ), identity=True)
    world = replace(world, identity=before.identity)
    claim, planned = admission.claim(entries, request, world, logs)
    if isinstance(planned, Invocation):
        planned = admission.unmet(planned, before) or planned
    probe = None
    if isinstance(planned, Invocation) and request.heed_cooldown:
        probe = cooldown.admit(logs, request.agent, time.time())
    if isinstance(probe, Skip):
        planned, probe = probe, None
    if isinstance(planned, Skip):
        return _skip(planned, request, claim.run_id, claim, logs, post)
    try:
        lock.sign(f"run {claim.run_id} ({request.agent} {request.task}, pid {os.getpid()})")
        begun = _begin(planned, before, world, logs, claim, post, signals, stderr, after)
        if isinstance(begun, Skip):
            return _skip(begun, request, claim.run_id, claim, logs, post)
        return begun.finish(signals, stderr)
    finally:
        if probe is not None:
            probe.close()


def _begin(
    planned: Invocation,
    before: git.Snapshot,
    world: World,
    logs: Logs,
    claim: Claim,
    post: Post,
    signals: Signals,
    stderr: TextIO | None,
    after: Callable[[Record], list[str]],
) -> Begun | Skip:
    """The preflight, then the record that says `running`."""
    remarks: list[str] = []
    claimed = False
    try:
        if planned.preflight:
            skip, remarks = admission.preflight(planned, signals, stderr)
            before = git.snapshot(world.repo, dict(world.environ))  # what the commands left is none of the agent's
            skip = skip or admission.unmet(planned, before)
            if skip is not None:
                claimed = True
                return skip
        began = time.time()
        secrets = tuple(secrets_of({**world.environ, **planned.env}))
        opened = masked(metadata.running(planned, began, messages=bool(post.policy.everything)), secrets)
        logs.check_place(planned.task, planned.agent, planned.run_id)
        store.open_run(planned.run_dir, opened, mask_text(planned.prompt, secrets))
        claimed = True
    except RecordError as error:
        claimed = True  # as a skipped run, which has an id and no folder
        store.discard(planned.run_dir)
        return Skip("disk_full", error.message)
    finally:
        if not claimed:
            logs.release(claim, keep_id=False)
    return Begun(planned, opened, began, before, world, logs, claim, post, secrets, tuple(remarks), after)


def _skip(skip: Skip, request: Request, run_id: str, claim: Claim | None, logs: Logs, post: Post) -> Finished:
    try:
        line = metadata.skipped(skip, admission.identity(request, run_id), time.time())
        logs.append_run(line)
        notification = post.tell_skip(line)
    finally:
        if claim is not None:
            logs.release(claim, keep_id=True)
    text = summary({**line, "notification": notification}, None)
    return Finished(line, text, line["exit_code"] or 0, for_all=skip.for_all)
