"""Work that may take too long or too much memory, in a forked copy of this process that can be ended.

A process and no timer: what hangs inside C (a power of large numbers) heeds no signal, and memory has a limit only by
process. The copy ends itself when its time is up and says where it was; should it not, it is killed.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_PATIENCE = 0.5  # seconds until a copy that did not end itself is killed
_HEAD = 8  # bytes that say how long the result is
_NO_ROOM = b"no room"


class ApartError(Exception):
    """`kind` is `time` or `memory`; `trace` says where: `File "name", line 3 in function`, innermost first."""

    def __init__(self, kind: str, trace: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.trace = trace


def apart(work: Callable[[], bytes], seconds: float, memory: int) -> bytes:
    """Return what `work` returns. Raise ApartError when it took longer, or more bytes than there are now and these."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _copy(work, seconds, memory, writing)
    os.close(writing)
    try:
        said = _read(reading, time.monotonic() + seconds + _PATIENCE)
    finally:
        os.kill(pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
        os.waitpid(pid, 0)
        os.close(reading)
    if int.from_bytes(said[:_HEAD], "big") == len(said) - _HEAD:
        return said[_HEAD:]
    raise ApartError("memory" if said == _NO_ROOM else "time", said.decode("utf-8", "replace"))


def _read(fd: int, deadline: float) -> bytes:
    pieces = []
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0 and poll.poll(left * 1000):
        piece = os.read(fd, 1 << 16)
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)


def _copy(work: Callable[[], bytes], seconds: float, memory: int, writing: int) -> NoReturn:
    """In the forked process: never returns to the code that forked it."""
    import faulthandler  # noqa: PLC0415 - both are needed here alone
    import resource  # noqa: PLC0415 - the same

    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        faulthandler.dump_traceback_later(seconds, exit=True, file=writing)
        with open("/proc/self/statm", "rb") as file:
            room = int(file.read().split()[0]) * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (room, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (OSError, ValueError):
        pass  # without /proc the time is the only limit
    try:
        result = work()
        left = memoryview(len(result).to_bytes(_HEAD, "big") + result)
        while left:
            left = left[os.write(writing, left) :]
    except MemoryError:
        os.write(writing, _NO_ROOM)
    finally:
        os._exit(0)
