"""`runner logs`: what an agent printed, as it came or as a person reads it."""

from __future__ import annotations

import codecs
import os
import sys
import time
from collections.abc import Callable, Iterator

from runner.commands._logs import open_logs
from runner.errors import RunnerError, UsageError
from runner.history.queries import find
from runner.mask import masked_pieces
from runner.records.folder import Logs
from runner.records.transcript import Events
from runner.text import printable

Renderer = Callable[[bytes | None], None]

_CHUNK = 1 << 18
_POLL_SECONDS = 0.25


def logs(project: str | None, name: str, *, follow: bool, **forms: bool) -> int:
    """`forms` are stdout, prompt and raw, of which one may be true.

    Raises UsageError for what names no run, RunnerError for a file that is not there.
    """
    if sum(forms.values()) > 1:
        raise UsageError("--stdout, --prompt and --raw exclude each other")
    folder = open_logs(project)
    run = find(folder, name)
    if run.folder is None:
        raise RunnerError(f"run `{run.run_id}` never began and has no logs", hint=f"`runner why {run.run_id}`")
    file = "prompt.md" if forms["prompt"] else "stdout.log" if forms["stdout"] else "transcript.log"
    path = os.path.join(run.folder, file)
    render = _as_it_came() if any(forms.values()) else _as_events()
    pieces = _followed(folder, run.run_id, path) if follow and not forms["prompt"] else _whole(path)
    for data in masked_pieces(pieces, os.environ):
        render(data)
    render(None)
    return 0


def _as_events() -> Renderer:
    events = Events()

    def render(data: bytes | None) -> None:
        for line in events.finish() if data is None else events.feed(data):
            print(line)
        sys.stdout.flush()

    return render


def _as_it_came() -> Renderer:
    """Byte for byte into a pipe or file; on a terminal without control characters."""
    if not sys.stdout.isatty():
        return lambda data: _write(data or b"")
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def render(data: bytes | None) -> None:
        sys.stdout.write(printable(decoder.decode(data or b"", final=data is None)))
        sys.stdout.flush()

    return render


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise RunnerError(f"cannot read `{path}`: {(error.strerror or '').lower()}") from None


def _whole(path: str) -> Iterator[bytes]:
    fd = _open(path)
    try:
        while data := os.read(fd, _CHUNK):
            yield data
    finally:
        os.close(fd)


def _followed(logs: Logs, run_id: str, path: str) -> Iterator[bytes]:
    """Yield everything up to the end of the run, as it comes."""
    while not os.path.exists(path) and logs.is_live(run_id):
        time.sleep(_POLL_SECONDS)
    fd = _open(path)
    try:
        alive = True
        while alive:
            # Before the last read, so that what is written in between is still read.
            alive = logs.is_live(run_id)
            while data := os.read(fd, _CHUNK):
                yield data
            if alive:
                time.sleep(_POLL_SECONDS)
    finally:
        os.close(fd)
