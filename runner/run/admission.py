"""Whether a run may begin: room for its record, its turn in the checkout, an id, and what its task requires."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Mapping

from runner import files, git
from runner.model import Invocation, Request, Skip, Skipped
from runner.process.signals import Signals
from runner.records import store
from runner.records.folder import Claim, Logs, RecordError, candidate_ids
from runner.run import cooldown, leftovers, workspace
from runner.run.progress import say
from runner.run.site import Machine, Site
from runner.units import signal_name
from runner.values import dataclass, field, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from runner.budget.admission import Reservation
    from runner.run.plan import RunConfig
    from runner.verify.checks import Ran


_DESCRIPTORS = 64  # files open at once: locks, logs, pipes, the guardian's, a connection for the message


@dataclass(frozen=True)
class Start:
    """An admitted run: the checkout just before its agent starts, and notes for its record.

    `baseline` is how each check goes there, `reservation` its share of a budget.
    """

    before: git.Snapshot
    notes: tuple[str, ...] = ()
    baseline: Mapping[str, Ran] = field(default_factory=dict)
    reservation: Reservation | None = None


class Admission:
    """While entered, it holds the checkout's lock, the run's id and the right to probe a cooldown.

    An id whose run neither began nor was skipped is free again afterwards.
    """

    def __init__(self, site: Site, request: Request, signals: Signals) -> None:
        self._site = site
        self._request = request
        self._signals = signals
        self._claim: Claim | None = None
        self._lock: workspace.Lock | None = None
        self._probe: cooldown.Probe | None = None
        self._reservation: Reservation | None = None
        self._before = git.Snapshot(repository=False)

    def __enter__(self) -> Admission:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reservation is not None:
            try:
                self._reservation.cancel()
            except OSError:
                pass  # without its live file it counts no more
        if self._claim is not None:
            self._site.logs.release(self._claim, keep_id=False)
        if self._probe is not None:
            self._probe.close()
        if self._lock is not None:
            self._lock.release()

    def ask(self, config: RunConfig) -> None:
        """Ask the task's gate, where it has one, before anything is taken. Raises Skipped."""
        request = self._request
        if "when" in config.task and request.gate and request.attempt == 1:
            from runner.run import gate  # noqa: PLC0415 - few tasks have one

            gate.check(self._site, config, request, self._signals)

    def claim(self) -> tuple[Claim, Machine]:
        """Wait for the checkout and take an id; the machine as it is then. Raises Skipped and WorkspaceError."""
        _check_descriptors()
        _check_room(self._site.logs)
        machine, wait = self._site.machine, self._request.wait
        self._lock = workspace.take(machine.repo, machine.state, wait, self._signals.pause)
        self._before = git.snapshot(machine.repo, machine.environ)
        try:
            self._claim = self._new_claim()
        except RecordError as error:
            raise Skipped("disk_full", error.message) from None
        return self._claim, replace(machine, identity=self._before.identity)

    def admit(self, invocation: Invocation) -> Start:
        """Check all that can be checked before the agent starts, the preflight commands last. Raises Skipped."""
        if self._lock is None:
            raise self._busy()
        _check_workspace(invocation, self._before)
        state, unattended = self._site.machine.state, self._request.unattended
        notes = leftovers.check(state, invocation, self._before, unattended=unattended)
        if self._request.heed_cooldown:
            self._probe = cooldown.probe(self._site.logs, self._request.agent, time.time())
        self._lock.write_owner(f"run {invocation.run_id} ({invocation.agent} {invocation.task}, pid {os.getpid()})")
        if invocation.budget is not None:
            self._reservation = self._reserve(invocation)
        share = self._reservation
        if not invocation.preflight and invocation.verify is None:
            return Start(self._before, tuple(notes), reservation=share)
        notes += self._preflight(invocation) if invocation.preflight else []
        # What the preflight commands left is not the agent's, and neither is what the checks leave.
        before = git.snapshot(self._site.machine.repo, self._site.machine.environ)
        _check_workspace(invocation, before)
        if invocation.verify is None:
            return Start(before, tuple(notes), reservation=share)
        baseline = self._baseline(invocation, before)
        before = git.snapshot(self._site.machine.repo, self._site.machine.environ)
        return Start(before, tuple(notes), baseline, share)

    def began(self) -> None:
        """The id belongs to a run that has begun: whoever closes it releases it."""
        self._claim = self._reservation = None

    def turn_away(self, skip: Skip) -> tuple[str, Claim | None]:
        """The id of a run that is skipped, claimed where even that can be written; the caller releases it."""
        logs, claim = self._site.logs, self._claim
        self._claim = None
        try:
            claim = claim or self._new_claim()
        except RecordError:
            logs.note(f"{self._request.agent} {self._request.task}: {skip.message}", time.time())
            # Its message must not take the place of another run's.
            return next(run_id for run_id in candidate_ids(time.time()) if not logs.is_taken(run_id)), None
        return claim.run_id, claim

    def _new_claim(self) -> Claim:
        for run_id in candidate_ids(time.time()):
            claim = self._site.logs.claim(run_id, self._request.task, self._request.agent)
            if claim is not None:
                return claim
        raise AssertionError("candidate_ids ends by raising")

    def _busy(self) -> Skipped:
        """Another run works in the checkout, and still does after the wait, or until the runner was told to stop."""
        machine, signal = self._site.machine, self._signals.first
        who = workspace.holder(machine.repo, machine.state) or "another run"
        if signal is not None:
            message = f"the runner received {signal_name(signal)} while it waited for {who} in `{machine.repo}`"
            return Skipped("interrupted", message, 128 + signal)
        return Skipped("busy", f"{who} works in `{machine.repo}`")

    def _reserve(self, invocation: Invocation) -> Reservation | None:
        """The run's share of the windows that the settings limit. Raises Skipped."""
        from runner.run.share import reserve  # noqa: PLC0415 - few runs have a budget

        return reserve(self._site, invocation, self._signals.pause)

    def _preflight(self, invocation: Invocation) -> list[str]:
        from runner.run.preflight import check  # noqa: PLC0415 - only what a schedule starts needs it

        name = f"{invocation.agent} {invocation.task}"
        return check(invocation, self._signals, lambda text: say(self._site.stderr, f"{name}: {text}"))

    def _baseline(self, invocation: Invocation, before: git.Snapshot) -> Mapping[str, Ran]:
        from runner.run.baseline import baseline  # noqa: PLC0415 - only where a task has checks

        return baseline(invocation, before, self._site, self._signals)


def _check_descriptors() -> None:
    """Whether enough files can be open at once; the limit is raised as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _DESCRIPTORS:
        return
    if hard == resource.RLIM_INFINITY or hard > soft:
        soft = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < _DESCRIPTORS:
        raise Skipped("missing_requirement", f"a run needs {_DESCRIPTORS} open files, and `ulimit -n` allows {soft}")


def _check_room(logs: Logs) -> None:
    """Whether the log folder takes one more run."""
    try:
        logs.prepare()
        short = store.shortage(logs.root)
    except RecordError as error:
        raise Skipped("disk_full", error.message) from None
    except OSError as error:
        raise Skipped("disk_full", f"cannot write to the log folder `{logs.root}`: {files.reason(error)}") from None
    if short:
        raise Skipped("disk_full", f"no room in the log folder `{logs.root}`: {short}")


def _check_workspace(invocation: Invocation, before: git.Snapshot) -> None:
    """What the checkout must be like for the task's postcondition to mean anything."""
    expected = invocation.expectations
    if not (expected.requires_commit or expected.auto_commit or expected.protect):
        return
    if not before.repository:
        why = before.error or "it is not a git repository"
        raise Skipped("missing_requirement", f"the task needs a git checkout in `{invocation.cwd}`: {why}")
    if expected.auto_commit and before.dirt:
        paths = sorted(path for path, _, _ in before.dirt)
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        raise Skipped(
            "dirty_workspace", f"there are changes already: {', '.join(paths[:3])}{more}; commit or stash them"
        )
