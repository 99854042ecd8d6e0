"""One run, from the request to the closed record: the steps stand in order here."""

from __future__ import annotations

from runner.model import Request, Skipped
from runner.process.signals import Signals
from runner.run import closing
from runner.run.active import open_run
from runner.run.admission import Admission
from runner.run.closing import Finished, no_notes
from runner.run.conclusion import conclude
from runner.run.execution import execute
from runner.run.plan import RunConfig, plan
from runner.run.site import Site

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.run.closing import NotesOf


def run(site: Site, config: RunConfig, request: Request, notes_of: NotesOf = no_notes) -> Finished:
    """Ask, claim, plan, admit, open, execute, judge, close. Raises RunnerError before the run has begun, never after.

    `notes_of` gets the final record of a run that began, before its message is sent, and returns notes for it.
    """
    with Signals() as signals, Admission(site, request, signals) as admission:
        try:
            admission.ask(config)
            claim, machine = admission.claim()
            invocation = plan(config, request, machine, claim.run_id)
            start = admission.admit(invocation)
            active = open_run(site, claim, invocation, start)
        except Skipped as skipped:
            return closing.close_skipped(site, request, skipped.skip, admission.turn_away(skipped.skip))
        admission.began()
        with active:
            try:
                outcome, reply = execute(active, signals)
                result = conclude(active, outcome, reply, config.locate, signals)
                ending = closing.final_record(active, result, notes_of)
            except Exception as error:
                ending = closing.failed_record(active, error)
            return closing.close(active, ending)
