"""Read and write the user's crontab, through the `crontab` program."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from runner.errors import RunnerError
from runner.files import lock, make_folders
from runner.process import capture
from runner.process.capture import Said
from runner.process.spawn import LaunchError
from runner.text import one_line

_TIMEOUT = 10.0
_POLL = 0.05
_NO_CRONTAB = (b"no crontab for", b"No such file")  # the second is busybox's
_ESCAPES = {b"\r": rb"\r", b"\b": rb"\b"}
_HINT = "install cron (Debian: `apt install cron`), or use `runner cron install --systemd`"


def read(environ: Mapping[str, str]) -> bytes:
    """Empty where there is no crontab. Raises RunnerError."""
    result = _crontab(["-l"], environ)
    if result.code == 0:
        return _exact(result.out, environ) if any(escape in result.out for escape in _ESCAPES.values()) else result.out
    if result.out == b"" and any(text in result.err for text in _NO_CRONTAB):
        return b""
    raise RunnerError(f"`crontab -l` failed: {_error_text(result)}")


def alter(change: Callable[[bytes], bytes], environ: Mapping[str, str], state: str | None) -> tuple[bytes, bytes]:
    """Change the crontab, where that makes a difference; return it before and after. Raises RunnerError.

    Two runner processes take turns by a lock in `state`, a folder of this user.
    """
    with _locked(state):
        before = read(environ)
        after = change(before)
        if after != before:
            _write(after, environ)
            if read(environ).rstrip(b"\n") != after.rstrip(b"\n"):
                hint = "look at it: `crontab -l`"
                raise RunnerError("the crontab is not what was written: another program changes it as well", hint=hint)
    return before, after


def _exact(shown: bytes, environ: Mapping[str, str]) -> bytes:
    """Debian's `crontab -l` shows a carriage return as two characters; an editor gets the table as it is."""
    result = _crontab(["-e"], {**environ, "VISUAL": "cat", "EDITOR": "cat"})
    escaped = result.out
    for byte, escape in _ESCAPES.items():
        escaped = escaped.replace(byte, escape)
    if result.code != 0 or shown not in (escaped, result.out):
        raise RunnerError(
            "the crontab holds a carriage return or a backspace, which `crontab -l` does not print",
            hint="delete it by `crontab -e`: nothing was changed",
        )
    return result.out


@contextmanager
def _locked(state: str | None) -> Iterator[None]:
    """As far as possible: a home that cannot be written to, or a lock held for long, is not a reason to refuse."""
    fd = None
    try:
        if state is not None:
            make_folders(state)
            deadline = time.monotonic() + _TIMEOUT
            while (fd := lock(os.path.join(state, "crontab.lock"))) is None and time.monotonic() < deadline:
                time.sleep(_POLL)
    except OSError:
        pass
    try:
        yield
    finally:
        if fd is not None:
            os.close(fd)


def _write(table: bytes, environ: Mapping[str, str]) -> None:
    """An empty crontab is removed: `crontab -l` prints nothing in either case."""
    result = _install(table, environ) if table else _crontab(["-r"], environ)
    if result.code != 0 and table and not table.endswith(b"\n"):
        # Another program wrote it so; Debian's refuses a last line without an end.
        result = _install(table + b"\n", environ)
    if result.code != 0:
        raise RunnerError(f"`crontab` refused the change: {_error_text(result)}", hint="the crontab is as it was")


def _install(table: bytes, environ: Mapping[str, str]) -> Said:
    with tempfile.TemporaryFile() as file:
        file.write(table)
        file.seek(0)
        return _crontab(["-"], environ, file.fileno())


def _crontab(arguments: list[str], environ: Mapping[str, str], stdin: int | None = None) -> Said:
    # Debian's can print a header, which it would take for a part of the crontab when that is written back.
    env = {**environ, "LC_ALL": "C", "CRONTAB_NOHEADER": "Y"}
    try:
        return capture.finish(capture.start(["crontab", *arguments], env, "/", stdin), _TIMEOUT)
    except LaunchError as error:
        raise RunnerError(str(error).partition(" (")[0], hint=_HINT) from None


def _error_text(result: Said) -> str:
    if result.code is None:
        return f"no answer within {_TIMEOUT:g} s"
    lines = result.err.decode(errors="replace").strip().splitlines()
    return one_line(lines[0]) if lines else f"exit code {result.code}"
