"""Messages by a command: its argv from the settings, the body on stdin, the rest in the environment.

target: argv. Exit 0 means sent. 126 and 127, not executable and not found, are permanent; 75 (EX_TEMPFAIL), any other
code, a signal and a timeout are temporary.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping

from runner.model import JsonObject
from runner.notify.channels.base import Delivery, Failed, Message, Sent
from runner.text import one_line
from runner.units import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

_PERMANENT = (126, 127)
_TEMPORARY = frozenset((errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY))
_MAX_ERROR_BYTES = 64 * 1024
_MAX_SECRET = 8192


def fault(target: JsonObject, environ: Mapping[str, str]) -> Failed | None:  # noqa: ARG001  # as the others have it
    """What is wrong with the settings."""
    return None if target.get("argv") else Failed("no argv is configured", permanent=True)


def send(target: JsonObject, message: Message, environ: Mapping[str, str], timeout: float) -> Delivery:
    """Run the command; its group is killed when time is up."""
    argv = ["" if word is None else str(word) for word in target["argv"]]
    # Not RUNNER_RUN_ID: processes with that variable belong to the run, and are killed with it.
    variables = {
        "RUNNER_TITLE": message.title,
        "RUNNER_PRIORITY": str(message.priority),
        "RUNNER_TAGS": ",".join(message.tags),
        "RUNNER_MESSAGE_ID": message.message_id,
        "RUNNER_CLICK": message.click or "",
    }
    # Files, not pipes: a child that stays behind and holds one open need not be waited for.
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
        stdin.write(message.body.encode(errors="replace"))
        stdin.seek(0)
        try:
            process = subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**environ, **variables},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return _not_started(argv[0], error)
        with process:
            return _wait(process, stderr, timeout)


def _not_started(name: str, error: OSError | ValueError) -> Failed:
    """A lack of memory or processes is temporary; a program that is missing or cannot be executed is not."""
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number).lower() if number else str(error)
    return Failed(f"cannot start `{one_line(name, 60)}`: {reason}", permanent=number not in _TEMPORARY)


def _wait(process: subprocess.Popen[bytes], stderr: IO[bytes], timeout: float) -> Delivery:
    try:
        code = process.wait(max(0.0, timeout))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return Failed(f"the command did not end within {timeout:g} s", permanent=False)
    if code == 0:
        return Sent(None)
    text = _last_line(stderr)
    ending = f"exit {code}" if code > 0 else signal_name(-code)
    return Failed(f"{ending}: {text}" if text else ending, permanent=code in _PERMANENT)


def _last_line(stderr: IO[bytes]) -> str:
    """Not cut, as a secret in it is still to be masked; without what could be the second half of one."""
    start = max(0, stderr.seek(0, os.SEEK_END) - _MAX_ERROR_BYTES)
    stderr.seek(start)
    text = stderr.read(_MAX_ERROR_BYTES).decode(errors="replace")
    lines = (text[_MAX_SECRET:] if start else text).strip().splitlines()
    return lines[-1] if lines else ""
