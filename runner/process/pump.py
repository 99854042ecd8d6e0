"""One buffer for all output: what the agent writes goes to its logs and to the parser, in order of arrival."""

from __future__ import annotations

import os
import time

from runner.files import make_folders, open_file, write_all
from runner.mask import Masker, mask_bytes
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal, Protocol

    from runner.process.spawn import Pipes

    class Feed(Protocol):
        """Takes output as it comes; `position` is where `data` begins in its log."""

        def feed(self, source: Literal["stdout", "stderr"], data: memoryview, position: int) -> None: ...


_BUFFER = 1 << 20
# So much of a stream is searched at once for every form of a secret. In what follows only the readable ones are looked
# for as it comes, which is what keeps pace with a flood, and the others when the log is closed.
_ALL_FORMS = 16 << 20
_TAIL = 1 << 20  # bytes of the end that a limit keeps at the most: they wait in memory


class Log:
    """An append-only file. The first error is kept and ends the writing, never the run.

    With a `limit` the beginning goes to the file and the end is held back until `close`; what is between is left out.
    """

    def __init__(self, path: str, limit: int | None = None) -> None:
        self.path = path
        self.fd = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.size = 0
        self.error: str | None = None
        self._keep = 0 if limit is None else min(_TAIL, limit // 2)
        self._head = None if limit is None else limit - self._keep
        self._tail = bytearray()
        self._left_out = 0

    @property
    def left_out(self) -> int:
        """Bytes that are in no file."""
        return self._left_out

    def write(self, data: memoryview) -> None:
        room = len(data) if self._head is None else max(0, self._head - self.size)
        self.size += len(data)
        self._store(data[:room])
        if room < len(data):
            self._hold(data[room:])

    def _hold(self, data: memoryview) -> None:
        self._tail += data[-self._keep :] if self._keep else b""
        self._left_out += max(0, len(data) - self._keep)
        if len(self._tail) > 2 * self._keep:
            self._trim()

    def _trim(self) -> None:
        over = max(0, len(self._tail) - self._keep)
        del self._tail[:over]
        self._left_out += over

    def _store(self, data: memoryview) -> None:
        if self.error is not None:
            return
        done = 0
        try:
            while done < len(data):
                done += os.write(self.fd, data[done:])
        except OSError as error:
            self.error = error.strerror

    def close(self, secrets: Sequence[bytes] = ()) -> None:
        """Write the end, mask what was not looked for as it came, and bring all of it to the disk, once."""
        self._trim()
        if self._left_out:
            self._store(memoryview(f"\n[runner: {self._left_out:,} bytes left out]\n".encode()))
        self._store(memoryview(bytes(self._tail)))
        try:
            if not os.fstat(self.fd).st_nlink:
                self._write_again()
            if secrets and max(self.size, os.fstat(self.fd).st_size) > _ALL_FORMS:
                self._mask_rest(secrets)
            os.fsync(self.fd)
        except OSError as error:
            self.error = self.error or error.strerror
        os.close(self.fd)

    def _write_again(self) -> None:
        """Somebody removed the file: what it holds goes with the descriptor, unless it is copied now."""
        make_folders(os.path.dirname(self.path))
        with open(f"/proc/self/fd/{self.fd}", "rb") as lost:
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            os.dup2(fd, self.fd, inheritable=False)
            os.close(fd)
            while chunk := lost.read(_BUFFER):
                write_all(self.fd, chunk)

    def _mask_rest(self, secrets: Sequence[bytes]) -> None:
        """In place, since a mask is as long as what it hides; pieces overlap by the longest secret."""
        fd = os.open(f"/proc/self/fd/{self.fd}", os.O_RDWR | os.O_CLOEXEC)
        longest, at = max(map(len, secrets)), 0
        try:
            while len(piece := os.pread(fd, _BUFFER + longest, at)) > 0:
                masked = mask_bytes(piece, secrets, keep_length=True)
                if masked != piece:
                    os.pwrite(fd, masked, at)
                at += _BUFFER
        finally:
            os.close(fd)


@dataclass(frozen=True)
class Streams:
    """Where a run's output goes, and where its input comes from (an open file).

    `secrets` are to be masked in every form, of which `plain` are the readable ones.
    """

    stdin: int
    transcript: Log
    stdout: Log
    secrets: Sequence[bytes] = ()
    plain: Sequence[bytes] = ()

    def close(self) -> None:
        os.close(self.stdin)
        self.transcript.close(self.secrets)
        self.stdout.close(self.secrets)


class Pump:
    """From a child's pipes, masked, into `transcript` (both) and `stdout` (that alone), and as it is to the parser.

    Without a parser it only saves what the pipes hold.
    """

    def __init__(self, pipes: Pipes, streams: Streams, parser: Feed | None) -> None:
        self._sources: dict[int, Literal["stdout", "stderr"]] = {pipes.stdout: "stdout", pipes.stderr: "stderr"}
        self._transcript = streams.transcript
        self._stdout = streams.stdout
        self._parser = parser
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._plain = streams.plain
        self._maskers = {source: Masker(streams.secrets, keep_length=True) for source in self._sources.values()}
        self.bytes = {"stdout": 0, "stderr": 0}

    @property
    def open_fds(self) -> tuple[int, ...]:
        return tuple(self._sources)

    def read(self, fd: int) -> int:
        """Move what one read gives; 0 when there is nothing now or no more, and then the pipe may have been closed."""
        source = self._sources.get(fd)
        if source is None:
            return 0
        try:
            count = os.readv(fd, [self._buffer])
        except BlockingIOError:
            return 0
        if count == 0:
            self._close(fd)
            return 0
        data = self._view[:count]
        masker = self._maskers[source]
        position = (self._stdout if source == "stdout" else self._transcript).size + masker.held
        self._write(source, masker.feed(data))
        self.bytes[source] += count
        if self.bytes[source] > _ALL_FORMS >= self.bytes[source] - count:
            masker.only(self._plain)
        if self._parser is not None:
            self._parser.feed(source, data, position)
        return count

    def _write(self, source: str, data: memoryview) -> None:
        self._transcript.write(data)
        if source == "stdout":
            self._stdout.write(data)

    def drain(self, deadline: float) -> None:
        """Move everything that is in the pipes now; the deadline (monotonic) is for a writer that never stops."""
        for fd in self.open_fds:
            while self.read(fd) and time.monotonic() < deadline:
                pass

    def close(self) -> None:
        for fd in self.open_fds:
            self._close(fd)

    def _close(self, fd: int) -> None:
        source = self._sources.pop(fd)
        self._write(source, self._maskers[source].flush())
        os.close(fd)
