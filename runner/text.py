"""Untrusted text made fit for a terminal, a summary or a log line. Pure."""

from __future__ import annotations

import re
import time

# C0 but tab and newline, DEL, C1, and what reorders or hides text: bidirectional controls, zero-width marks.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def printable(text: str) -> str:
    """Without terminal escapes; any other character that could act on a terminal becomes U+FFFD."""
    return _UNSAFE.sub("\ufffd", _ANSI.sub("", text.replace("\r\n", "\n")))


def one_line(text: str, limit: int = 200) -> str:
    """`text` on one line of at most `limit` characters."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def from_rfc3339(text: str) -> float:
    """Seconds since the epoch of what `rfc3339` wrote. Raises ValueError."""
    # 1 ms of import, for those who read old records only.
    from datetime import datetime  # noqa: PLC0415

    return datetime.fromisoformat(text).timestamp()


def rfc3339(when: float) -> str:
    """`2026-02-19T17:50:43.120Z` for seconds since the epoch."""
    seconds, millis = divmod(round(when * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{millis:03}Z"
