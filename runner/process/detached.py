"""Start a program that outlives us: in a session of its own, with nothing inherited but what is given."""

from __future__ import annotations

import os

from runner.process.spawn import RESET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEPT = 3  # under this number the program finds the descriptor that it is to keep


def start_detached(argv: Sequence[str], env: Mapping[str, str], output: int, kept: int | None = None) -> int:
    """Its pid. `output` becomes its stdout and stderr, nothing its stdin. Raises OSError."""
    _inherit_nothing()
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, output, 2),
    ]
    if kept is not None:
        actions.append((os.POSIX_SPAWN_DUP2, kept, KEPT))
    return os.posix_spawn(argv[0], list(argv), env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=RESET)


def _inherit_nothing() -> None:
    """What our own caller left open: a pipe of cron's, say, whose end it waits for."""
    for name in os.listdir("/dev/fd"):
        try:
            if int(name) > 2:
                os.set_inheritable(int(name), False)
        except OSError:
            continue  # the folder itself, closed by now
