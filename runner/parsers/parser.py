"""One parser, ready to read runs."""

from __future__ import annotations

from collections.abc import Callable

from runner.parsers.reader import Reader
from runner.parsers.rules import Dispatch, Rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo


class Parser:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._dispatch = Dispatch(rules)

    @property
    def sources(self) -> tuple[str, ...]:
        """The path templates of the files to read after the run."""
        return tuple(dict.fromkeys(probe.file for probe in self._rules.probes if probe.file))

    def reader(self, clock: Callable[[], float], zone: tzinfo | None = None) -> Reader:
        """Return a reader for one run.

        `clock` gives the time of the output in seconds since the epoch; `zone` is the zone of clock times that name
        none, by default the machine's own.
        """
        return Reader(self._rules, self._dispatch, clock, zone)
