"""A run and those that follow it, by the same agent or the next: each whole and with its own record."""

from __future__ import annotations

import random
import time

from runner.process.signals import Signals
from runner.run.progress import count_down, say
from runner.run.retry import next_attempt
from runner.run.run import run
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from runner.model import Request
    from runner.records.metadata import Record
    from runner.run.closing import Finished
    from runner.run.plan import RunConfig
    from runner.run.retry import NextAttempt, Retry
    from runner.run.site import Site

    Candidates: TypeAlias = Mapping[str, tuple[RunConfig, Request]]


class _Series:
    """The runs so far, oldest first, and what follows the one that is being closed."""

    def __init__(self, agents: tuple[str, ...], retry: Retry) -> None:
        self.records: list[Record] = []
        self._agents = agents
        self._retry = retry
        self._decided: dict[str, NextAttempt | None] = {}

    def request(self, request: Request, *, again: bool) -> Request:
        return replace(
            request,
            attempt=len(self.records) + 1,
            previous_run=self.records[-1]["run_id"] if self.records else None,
            # A retry has waited for its own agent's limit already.
            heed_cooldown=request.heed_cooldown and not again,
        )

    def notes(self, record: Record) -> list[str]:
        """What a run's record says of the tries before and after it."""
        found = []
        if self.records:
            last = self.records[-1]
            found = [f"attempt {len(self.records) + 1}, after {last['run_id']} ({last['reason']} by {last['agent']})"]
        upcoming = self.next_attempt(record)
        return [*found, str(upcoming)] if upcoming else found

    def next_attempt(self, record: Record) -> NextAttempt | None:
        """Decided once for each run: what its message says is what happens."""
        run_id = record["run_id"]
        if run_id not in self._decided:
            tried = [*self.records, record]
            self._decided[run_id] = next_attempt(self._agents, self._retry, tried, time.time(), random.random())  # noqa: S311  # no secret
        return self._decided[run_id]


def run_with_fallback(candidates: Candidates, retry: Retry, site: Site, report: Callable[[Finished], None]) -> int:
    """Agent → what it would run with, in the order in which they try; `report` gets each run when it is over.

    The exit code is the last run's, or that of a signal which came between two of them. Raises RunnerError as `run`
    does, before the first run has begun.
    """
    series = _Series(tuple(candidates), retry)
    agent, again = next(iter(candidates)), False
    with Signals() as signals:
        while True:
            config, request = candidates[agent]
            request = series.request(request, again=again)
            finished = run(site, config, request, series.notes)
            report(finished)
            upcoming = series.next_attempt(finished.record)
            if upcoming is None or finished.for_all:
                return finished.exit_code
            series.records.append(finished.record)
            what = f"{agent} {request.task}: {finished.record['reason']}; next: {upcoming.agent}"
            if upcoming.wait:
                count_down(f"{what} again", upcoming.wait, signals.pause, site.stderr)
            else:
                say(site.stderr, what)
            if signals.first is not None:
                say(site.stderr, f"no further try: the runner received signal {signals.first}")
                return 128 + signals.first
            agent, again = upcoming.agent, upcoming.again
