"""A run that has begun: what the steps from its open record to its closed one share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from runner.git import Snapshot
from runner.mask import mask_tree, masker_of, secrets_of
from runner.model import Invocation, Skipped
from runner.records import metadata, store
from runner.records.folder import Claim, RecordError
from runner.records.metadata import Record
from runner.run.admission import Start
from runner.run.site import Site
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from runner.budget.admission import Reservation
    from runner.process.guardian import Guardian
    from runner.verify.checks import Ran

_OURS = frozenset("run_id agent task status reason trigger started_at ended_at previous_run".split())


@dataclass(frozen=True)
class ActiveRun:
    """`record` is the one that says `running`; `began` is the wall clock then; `notes` are for the closed record.

    `shown_folder` is the run's folder, relative to the current one where it lies below it.

    `baseline` is how each check of the task went before the agent.

    As a context it sends its guardian away at the end.
    """

    site: Site
    claim: Claim
    invocation: Invocation
    before: Snapshot
    record: Record
    began: float
    secrets: tuple[bytes, ...]
    notes: tuple[str, ...]
    shown_folder: str
    guardians: list[Guardian]
    baseline: Mapping[str, Ran]
    reservation: Reservation | None = None

    def __enter__(self) -> ActiveRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for guardian in self.guardians:
            guardian.dismiss()

    @property
    def environ(self) -> dict[str, str]:
        """What the runner and the agent were given: where the secrets come from."""
        return {**self.site.machine.environ, **self.invocation.env}

    def mask(self, text: str) -> str:
        return masker_of(self.secrets)(text)

    def masked(self, record: Record) -> Record:
        return masked(record, masker_of(self.secrets))


def open_run(site: Site, claim: Claim, invocation: Invocation, start: Start) -> ActiveRun:
    """Write the record that says `running`; from then on the run has begun. Raises Skipped."""
    began = time.time()
    secrets = tuple(secrets_of({**site.machine.environ, **invocation.env}))
    messages = bool(site.notifier.policy.all_targets)
    mask = masker_of(secrets)
    record = masked(metadata.running(invocation, began, messages=messages), mask)
    try:
        site.logs.check_place(invocation.task, invocation.agent, invocation.run_id)
        store.open_run(invocation.run_dir, record, mask(invocation.prompt))
    except RecordError as error:
        store.discard(invocation.run_dir)
        raise Skipped("disk_full", error.message) from None
    # Asked now: an agent may move or remove the current folder.
    shown = invocation.run_dir.removeprefix(os.getcwd() + os.sep)
    before, notes, share = start.before, start.notes, start.reservation
    return ActiveRun(site, claim, invocation, before, record, began, secrets, notes, shown, [], start.baseline, share)


def masked(record: Record, mask: Callable[[str], str]) -> Record:
    """The record without secrets, in whatever the agent, a user, a template or git wrote into it."""
    fields: dict[str, Any] = dict(record)
    whole: Record = {key: value if key in _OURS else mask_tree(value, mask) for key, value in fields.items()}  # type: ignore[assignment]  # the keys are the same
    return whole
