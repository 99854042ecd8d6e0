"""Whether a run may begin: its id, what the workspace must be like, and who else works there."""

from __future__ import annotations

import time

from runner import files
from runner.model import Skip
from runner.records import store
from runner.records.folder import RecordError, candidate_ids
from runner.run import workspace
from runner.run.plan import plan
from runner.run.progress import say
from runner.units import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from runner import git
    from runner.model import Invocation, JsonObject, Request
    from runner.process.signals import Signals
    from runner.records.folder import Claim, Logs
    from runner.run.plan import Entries, World


def claim(entries: Entries, request: Request, world: World, logs: Logs) -> tuple[Claim, Invocation | Skip]:
    """A free id, locked, with the plan under that id."""
    for run_id in candidate_ids(time.time()):
        planned = plan(entries, request, world, run_id)
        claimed = logs.claim(run_id, request.task, request.agent)
        if claimed is not None:
            return claimed, planned
    raise AssertionError("candidate_ids ends by raising")


def refuse(skip: Skip, request: Request, logs: Logs) -> tuple[str, Claim | None]:
    """An id for a run for which there is no room: claimed where even that can be written."""
    try:
        for run_id in candidate_ids(time.time()):
            claimed = logs.claim(run_id, request.task, request.agent)
            if claimed is not None:
                return run_id, claimed
    except RecordError:
        logs.note(f"{request.agent} {request.task}: {skip.message}", time.time())
    # Its message must not take the place of another run's.
    return next(run_id for run_id in candidate_ids(time.time()) if not logs.is_taken(run_id)), None


def no_room(logs: Logs) -> Skip | None:
    """Whether the log folder takes one more run."""
    try:
        logs.prepare()
        short = store.shortage(logs.root)
    except RecordError as error:
        return Skip("disk_full", error.message)
    except OSError as error:
        return Skip("disk_full", f"cannot write to the log folder `{logs.root}`: {files.reason(error)}")
    return Skip("disk_full", f"no room in the log folder `{logs.root}`: {short}") if short else None


def busy(world: World, signal: int | None) -> Skip:
    """Another run works in the checkout, and still does after the wait, or until the runner was told to stop."""
    who = workspace.holder(world.repo, world.state) or "another run"
    if signal is not None:
        message = f"the runner received {signal_name(signal)} while it waited for {who} in `{world.repo}`"
        return Skip("interrupted", message, 128 + signal)
    return Skip("busy", f"{who} works in `{world.repo}`")


def unmet(invocation: Invocation, before: git.Snapshot) -> Skip | None:
    """What the workspace must be like before a run may begin."""
    expected = invocation.expectations
    if not (expected.requires_commit or expected.auto_commit):
        return None
    if not before.repository:
        why = before.error or "it is no git repository"
        return Skip("missing_requirement", f"the task needs a git checkout in `{invocation.cwd}`: {why}")
    if expected.auto_commit and before.dirt:
        paths = sorted(path for path, _, _ in before.dirt)
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        return Skip("dirty_workspace", f"there are changes already: {', '.join(paths[:3])}{more}")
    return None


def preflight(planned: Invocation, signals: Signals, stderr: TextIO | None) -> tuple[Skip | None, list[str]]:
    """Whether the preflight commands let the run begin, and notes for its record."""
    # Only what a schedule starts needs it.
    from runner.run.preflight import check  # noqa: PLC0415

    return check(planned, signals, lambda text: say(stderr, f"{planned.agent} {planned.task}: {text}"))


def identity(request: Request, run_id: str) -> JsonObject:
    """What a skipped run has for a record."""
    return {
        "run_id": run_id,
        "agent": request.agent,
        "task": request.task,
        "model": request.model,
        "trigger": request.trigger,
        "attempt": request.attempt,
        "previous_run": request.previous_run,
    }
