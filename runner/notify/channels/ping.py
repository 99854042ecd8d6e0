"""A dead man's switch: a service that raises the alarm when the heartbeat no longer reports to it.

As healthchecks.io and its like have it: ADDRESS when all is well, ADDRESS/start, ADDRESS/fail, ADDRESS/<exit code>.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from runner.notify.channels.base import Failed
from runner.notify.channels.http import Request, exchange


def ping(address: str, signal: str, text: str, environ: Mapping[str, str], timeout: float) -> str | None:
    """Return what went wrong. `signal` is empty, `start`, `fail` or an exit code. Never raises."""
    answer = exchange(
        Request("POST", _with_signal(address, signal), text.encode(errors="replace"), {"Content-Type": "text/plain"}),
        environ,
        timeout,
    )
    return answer.error if isinstance(answer, Failed) else None


def _with_signal(address: str, signal: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    path = f"{parts.path.rstrip('/')}/{signal}" if signal else parts.path
    return urlunsplit(parts._replace(path=path))
