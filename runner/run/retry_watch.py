"""When to stop waiting for an agent that only retries: a limit is seen while it happens, not after the timeout."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from runner.model import Fault, Limits

    class Retrying(Protocol):
        """What the agent waits for, and the retries in a row: 0 as soon as anything else happened."""

        @property
        def watch(self) -> Fault | None: ...

        @property
        def retries(self) -> int: ...


class RetryWatch:
    """One run's patience. Times are monotonic seconds, but for the fault's own `retry_at`, which is wall-clock."""

    def __init__(self, live: Retrying, limits: Limits, began: float) -> None:
        self._live = live
        self._stall = limits.stall
        self._max_wait = limits.max_wait
        self._ends_at = None if limits.timeout is None else began + limits.timeout
        self._patient_until: float | None = None

    def give_up_at(self, now: float, wall: float) -> float | None:
        """When the run should be ended if nothing but retries comes; None while the agent is not waiting for one.

        At once when the announced wait does not fit; else `stall` after the first announced wait of a row is over.
        """
        fault = self._live.watch
        if not self._live.retries:
            self._patient_until = None
        if fault is None:
            return None
        wait = 0.0 if fault.retry_at is None else fault.retry_at - wall
        if wait > self._room(now):
            return now
        if self._stall is None:
            return None
        if self._patient_until is None:
            self._patient_until = now + max(0.0, wait) + self._stall
        return self._patient_until

    def _room(self, now: float) -> float:
        """The longest wait that is worth it: `max_wait`, or what remains until the timeout."""
        if self._max_wait is not None:
            return self._max_wait
        return float("inf") if self._ends_at is None else self._ends_at - now
