"""Standard output and error as the commands write to them: whoever listens, a run's verdict stays what it is.

Text goes through the mask and `for_a_stream`. What cannot be written ends a command that only prints, as it would end
`cat`; a command that acts goes on, and so does every command whose stderr takes nothing.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys

from runner.errors import EXIT_IO, EXIT_PIPE
from runner.mask import mask_later
from runner.text import for_a_stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_PATIENCE_MS = 50  # for a terminal or pipe that takes nothing while a run goes on


class OutputError(Exception):
    """What a command printed cannot be written. No OSError, so that nothing takes it for one of a file's."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot write to stdout: {(error.strerror or str(error)).lower()}")
        self.exit_code = EXIT_PIPE if error.errno == errno.EPIPE else EXIT_IO


class _Raw(io.FileIO):
    """A descriptor; a `tolerant` one drops what cannot be written, a `hasty` one also what would have to wait."""

    tolerant = False
    hasty = False

    def write(self, data: object, /) -> int:
        size = memoryview(data).nbytes  # type: ignore[arg-type]  # a Buffer, which 3.11 has no name for
        try:
            if self.hasty and not self._wait(_PATIENCE_MS):
                return size
            while (written := super().write(data)) is None:  # type: ignore[arg-type]  # a Buffer, which 3.11 has no name for
                self._wait(None)  # whoever gave us the descriptor made it non-blocking
        except OSError as error:
            if self.tolerant:
                return size
            self.tolerant = True  # one error is enough
            raise OutputError(error) from None
        return written

    def _wait(self, milliseconds: int | None) -> bool:
        waiting = select.poll()
        waiting.register(self.fileno(), select.POLLOUT)
        return bool(waiting.poll(milliseconds))


_raw: dict[int, _Raw] = {}
_masked = mask_later(os.environ)


class _Text(io.TextIOWrapper):
    def write(self, text: str, /) -> int:
        return super().write(for_a_stream(_masked(text)))


def open_standard_streams() -> None:
    """Also replace what the caller closed of 0, 1 and 2: else the next file opened would be written to instead."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # so that writing fails, as it did
    sys.stdout, sys.stderr = _stream(1, sys.stdout), _stream(2, sys.stderr)
    _raw[2].tolerant = True


def keep_going() -> None:
    """For a command that acts: what it prints is dropped where nobody takes it."""
    for fd, raw in _raw.items():
        raw.tolerant = True
        # The summary is printed when all is done; progress must not hold up who ends the agent in time.
        raw.hasty = fd == 2


def _stream(fd: int, old: TextIO | None) -> _Text:
    """Python makes the stream of a closed descriptor None."""
    _raw[fd] = _Raw(fd, "w", closefd=False)
    encoding = old.encoding if old else "utf-8"
    return _Text(io.BufferedWriter(_raw[fd]), encoding, "replace", line_buffering=fd == 2 or os.isatty(fd))
