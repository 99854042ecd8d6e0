"""Untrusted text made safe for a terminal, a summary or a log line. Pure."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence

from runner.units import parse_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What acts on a terminal, or hides or reorders text: the categories Cc, Cf, Co, Cs, Zl and Zp but tab and newline, and
# what Unicode calls ignorable (fillers, tags, variation selectors) but the two that choose an emoji's form.
_CONTROLS = "\x00-\x08\x0b-\x1f\x7f"
_UNSAFE_ASCII = re.compile(f"[{_CONTROLS}]")
# Compiled when it is used: most text is ASCII.
_UNSAFE = (
    f"[{_CONTROLS}\x80-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\uf8ff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\U000f0000-\U0010ffff]"
)
# Our own: a status line that is written over, colours.
_OWN_SEQUENCE = re.compile(r"\r\x1b\[K|\x1b\[(?:0|3[1-6])m")
_CUT = 50  # characters read for each one shown
_VOLATILE = r"/\S*tmp\S*|\b0x[0-9a-fA-F]+|\b\d+(?:[.:,]\d+)*"
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def printable(text: str) -> str:
    """Remove terminal escapes; any other character that acts or hides becomes U+FFFD."""
    return _replaced(_ANSI.sub("", text.replace("\r\n", "\n")), lambda _: "\ufffd")


def for_a_stream(text: str) -> str:
    """The last guard of all that is printed: as `printable`, but what the runner itself writes to a terminal stays."""
    if _OWN_SEQUENCE.search(text) is None:
        return _replaced(text, lambda _: "\ufffd")
    between = _OWN_SEQUENCE.split(text)
    own = [*_OWN_SEQUENCE.findall(text), ""]
    return "".join(for_a_stream(part) + sequence for part, sequence in zip(between, own, strict=True))


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON without characters that act or hide: these are escaped."""
    return _replaced(json.dumps(value, ensure_ascii=False, indent=indent), _json_escape)


def _json_escape(found: re.Match[str]) -> str:
    # Beyond the first plane JSON has pairs of surrogates only; DEL it leaves as it is.
    escaped = json.dumps(found[0])[1:-1]
    return escaped if escaped != found[0] else f"\\u{ord(found[0]):04x}"


def _replaced(text: str, by: Callable[[re.Match[str]], str]) -> str:
    return _UNSAFE_ASCII.sub(by, text) if text.isascii() else re.sub(_UNSAFE, by, text)


def mask_volatile(text: str) -> str:
    """Mask what differs from one run of a program to the next: numbers, addresses, paths of temporary files."""
    return re.sub(_VOLATILE, "#", text)


def wrapped(text: str, width: int) -> list[str]:
    """Wrap `text` into lines of at most `width` characters; a longer word has a line of its own."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def one_line(text: str, limit: int = 200) -> str:
    """Put `text` on one line of at most `limit` characters."""
    if len(text) > _CUT * limit:
        text = text[: _CUT * limit]  # of a line of megabytes, the rest is not shown
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def first_lines(lines: Sequence[str], most: int, noun: str = "") -> list[str]:
    """The first `most` lines, then how many more there are: `… 4 more`, or with `noun` `… 4 more lines`."""
    return [*lines[:most], f"… {len(lines) - most} more{noun}"] if len(lines) > most else list(lines)


def from_rfc3339(text: str) -> float:
    """Seconds since the epoch, from what `rfc3339` wrote. Raises ValueError."""
    from datetime import datetime  # noqa: PLC0415 - 1 ms of import, which only the reading of old records needs

    return datetime.fromisoformat(text).timestamp()


def moment(text: str, now: float) -> float | None:
    """`2h` ago, a day or a time such as `2026-02-19` or `2026-02-19T17:50:00Z` (UTC unless it says so); None for `all`.

    Raises ValueError.
    """
    from datetime import UTC, datetime  # noqa: PLC0415  # see from_rfc3339

    if text == "all":
        return None
    if "-" not in text:
        ago = parse_duration(text)
        return None if ago is None else now - ago
    try:
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(f"expected a time such as `2h`, `2026-02-19` or `all`, got `{text}`") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def rfc3339(when: float) -> str:
    """`2026-02-19T17:50:43.120Z` for seconds since the epoch."""
    seconds, millis = divmod(round(when * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{millis:03}Z"


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, counted from 1, of an offset in a text."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
