"""The file that keeps count of what was spent and what is reserved: lines of JSON, shared by all projects of a user.

A line is a `reserve` of a run that is about to begin, what it has `spent` when it is over, a run that was `dropped`
because its runner was killed, or what was `told` of a window. Whatever else stands in the file is passed over.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from runner import files
from runner.budget.terms import UNITS, Amounts
from runner.text import rfc3339
from runner.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

KINDS = ("reserve", "spent", "dropped", "told")
_TAIL = 16 << 20  # bytes read of the end of a file that somebody made long
_COMPACT = 1 << 20
_KEEP = 40 * 86400.0  # seconds: longer than any window
_GREATEST = 1e15
_LOOK_AGAIN = 0.01


class BusyError(Exception):
    """Another process holds the file and does not let go."""


@dataclass(frozen=True)
class Entry:
    """One line. `live` is the live file of its run, which names the run among those of all projects."""

    kind: str
    at: float
    live: str
    agent: str = ""
    task: str = ""
    project: str = ""
    window: str = ""
    amounts: Amounts = Amounts()


@dataclass(frozen=True)
class Book:
    """What the file says: `open` are the reservations that nothing ended, by their live file."""

    spent: tuple[Entry, ...] = ()
    open: dict[str, Entry] = field(default_factory=dict)
    told: frozenset[str] = frozenset()


class Ledger:
    def __init__(self, state: str, account: str = "default") -> None:
        """`state` is the runner's folder for what no project owns."""
        self.path = os.path.join(state, "budget", f"{account}.jsonl")

    @contextmanager
    def locked(self, pause: Callable[[float], object], patience: float) -> Iterator[None]:
        """Nobody else admits a run meanwhile. Raises BusyError after `patience` seconds, and OSError."""
        files.make_folders(os.path.dirname(self.path))
        deadline = time.monotonic() + patience
        while (lock := files.lock(f"{self.path}.lock")) is None:
            if time.monotonic() > deadline:
                raise BusyError
            pause(_LOOK_AGAIN)
        try:
            yield
        finally:
            os.close(lock)

    def read(self) -> Book:
        """Raises OSError for a file that is there and cannot be read."""
        return _book(self._entries())

    def add(self, *entries: Entry) -> None:
        """Raises OSError."""
        files.make_folders(os.path.dirname(self.path))
        # A line that somebody left without its end must not swallow ours.
        files.append(self.path, b"".join(b"\n" + _line(entry) + b"\n" for entry in entries))

    def compact(self, now: float) -> None:
        """Take out what no window reaches back to, where the file has grown; call it while it is locked."""
        if os.stat(self.path).st_size < _COMPACT:
            return
        kept = [entry for entry in self._entries() if entry.at >= now - _KEEP]
        staging = f"{self.path}.new"
        files.write_text(staging, "".join(_line(entry).decode() + "\n" for entry in kept))
        os.rename(staging, self.path)

    def _entries(self) -> list[Entry]:
        try:
            fd = files.open_file(self.path)
        except FileNotFoundError:
            return []
        with open(fd, "rb") as file:
            file.seek(max(0, os.fstat(fd).st_size - _TAIL))
            lines = file.read(_TAIL).split(b"\n")
        return [entry for line in lines if line and (entry := _entry(line)) is not None]


def is_live(path: str) -> bool:
    """Whether a process holds the run's lock. `path` comes from a file that anybody may have written."""
    try:
        if os.path.basename(os.path.dirname(path)) != "live":
            return False  # who opens a device may set it going
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False


def _book(entries: Iterable[Entry]) -> Book:
    spent, reserved, told = [], {}, set()
    for entry in entries:
        if entry.kind == "told":
            told.add(entry.window)
        elif entry.kind == "reserve":
            reserved[entry.live] = entry
        else:
            reserved.pop(entry.live, None)
            spent.append(entry)
    return Book(tuple(spent), reserved, frozenset(told))


def _line(entry: Entry) -> bytes:
    texts = {name: value for name, value in vars(entry).items() if name not in ("at", "amounts") and value}
    said = {"at": rfc3339(entry.at), **texts, **{unit: entry.amounts.of(unit) for unit in UNITS[:3]}}
    return json.dumps({**said, "epoch": entry.at}, ensure_ascii=False).encode(errors="replace")


def _entry(line: bytes) -> Entry | None:
    """None for what is no line of ours."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("kind") not in KINDS:
        return None
    at = _number(found.get("epoch"))
    texts = {name: found.get(name, "") for name in ("live", "agent", "task", "project", "window")}
    if at is None or not all(isinstance(text, str) for text in texts.values()):
        return None
    return Entry(found["kind"], at, **texts, amounts=Amounts(**{unit: _number(found.get(unit)) for unit in UNITS[:3]}))


def _number(value: Any) -> float | None:
    """A number that can be an amount or a time; NaN is none."""
    return float(value) if type(value) in (int, float) and 0 <= value < _GREATEST else None
