"""A time limit for work that has none of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    Result = TypeVar("Result")


class OutOfTimeError(Exception):
    """The work did not end in time; it may still go on, and its result is ignored."""


def within(seconds: float, work: Callable[[threading.Event], Result]) -> Result:
    """Return or raise what `work` does, or raise OutOfTimeError after `seconds`.

    The timeouts of an HTTP library count for one read each: a server that sends a byte a second outlives them all, and
    a name server that hangs is under no timeout. So the work is done in a daemon thread, which is left behind when time
    is up. It gets an event that says so, for it must not send anything from then on.
    """
    given_up = threading.Event()
    results: list[Any] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work(given_up))
        except BaseException as error:  # raised again by the caller
            errors.append(error)

    thread = threading.Thread(target=body, name="channel", daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    # Set before the results are read: work that ends later finds it set, and is not counted.
    given_up.set()
    if errors:
        raise errors[0]
    if not results:
        raise OutOfTimeError
    result: Result = results[0]
    return result
