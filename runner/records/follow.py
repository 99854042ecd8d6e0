"""Waiting until a file grows or a run ends, without looking again and again."""

from __future__ import annotations

import ctypes
import os
import select
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MODIFY, _ATTRIB, _CLOSE_WRITE, _DELETE_SELF = 0x2, 0x4, 0x8, 0x400
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_AT_LEAST = 5.0  # seconds: a disk on the network tells nothing
_WITHOUT = 0.25  # seconds, where the system has no such service


@contextmanager
def changes(paths: list[str]) -> Iterator[Callable[[], None]]:
    """A function that returns when one of the files was written to, closed or unlinked since it was called last."""
    inotify = _inotify(paths)
    if inotify is None:
        yield lambda: _wait(None)
        return
    try:
        yield lambda: _wait(inotify)
    finally:
        os.close(inotify)


def _inotify(paths: list[str]) -> int | None:
    """A descriptor that becomes readable; None where there is none to be had."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        fd: int = libc.inotify_init1(_NONBLOCK_CLOEXEC)
    except (OSError, AttributeError):
        return None
    if fd < 0:
        return None
    for path in paths:
        # One that is gone already is no reason to wait: the caller looks before it waits.
        libc.inotify_add_watch(fd, os.fsencode(path), _MODIFY | _ATTRIB | _CLOSE_WRITE | _DELETE_SELF)
    return fd


def _wait(inotify: int | None) -> None:
    if inotify is None:
        select.select([], [], [], _WITHOUT)
        return
    readable, _, _ = select.select([inotify], [], [], _AT_LEAST)
    if readable:
        os.read(inotify, 1 << 16)
