"""A run's share of what all runs of a day, week or month may use together."""

from __future__ import annotations

import time

from runner.budget import admission
from runner.budget.ledger import Entry, Ledger
from runner.budget.terms import terms_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.budget.admission import Reservation
    from runner.model import Invocation
    from runner.run.site import Site
    from runner.run.workspace import Pause


def reserve(site: Site, invocation: Invocation, pause: Pause) -> Reservation | None:
    """None where no window has a limit. Raises Skipped for a run that does not fit, or that nobody could measure."""
    terms = terms_of(invocation.budget or {})
    admission.check_known(terms, invocation)
    if not terms.limits:
        return None
    entry = Entry(
        kind="reserve",
        at=time.time(),
        live=site.logs.path("live", invocation.run_id),
        agent=invocation.agent,
        task=invocation.task,
        project=site.machine.project,
    )
    ledger = Ledger(site.machine.state)
    return admission.reserve(ledger, terms, entry, pause, tells=bool(site.notifier.policy.all_targets))
