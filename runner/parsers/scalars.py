"""Text and numbers as agents print them: cleaned, clipped, compared. Nothing here raises on hostile input."""

from __future__ import annotations

import re
from math import isfinite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATTERN_REACH = 64 * 1024
"""A pattern sees the first and the last 64 Ki characters of a text: its cost stays bounded."""

MAX_COUNT = 2**63 - 1

# Compiled at first use, by re's own cache: most runs need none of them.
_ANSI = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])"
_SURROGATES = "[\ud800-\udfff]"
_BLANKS = r"[^\S\n]+"
_LINE_ENDS = r" ?\n[ \n]*"
_BLANK_BEGINNING = r"\A\s*[\n\r]"
_NUMBER = r"(\d{1,3}(?:[,_]\d{3})+|\d+)(\.\d+)?(?:[eE]([+-]?\d{1,3}))?\s*([kKmMgGbB])?"
_FACTORS = {"k": 1_000, "m": 1_000_000, "g": 1_000_000_000, "b": 1_000_000_000}


class Rounded(float):
    """A number that was rounded before it was printed: `1.5k`, `~1,200`."""


def valid(text: str) -> str:
    """Replace lone surrogates (JSON escapes can make them), so that `text` can be written as UTF-8."""
    return text if text.isascii() else re.sub(_SURROGATES, "\ufffd", text)


def decoded(line: bytes | bytearray) -> str:
    return line.decode("utf-8", "replace")


def plain(text: str) -> str:
    """Remove terminal escape sequences."""
    return re.sub(_ANSI, "", text) if "\x1b" in text else text


def without_escape(text: str) -> str:
    """Remove the escape sequence that `text` begins with."""
    found = re.match(_ANSI, text)
    return text[found.end() :] if found else text


def collapsed(text: str) -> str:
    """Return a text source as patterns see it: no ANSI, blanks collapsed, no empty lines."""
    return re.sub(_LINE_ENDS, "\n", re.sub(_BLANKS, " ", plain(text))).strip()


def formed(text: str) -> str:
    """Return a text source as it is printed: no ANSI; blank lines before it and white space behind it are not it."""
    return re.sub(_BLANK_BEGINNING, "", plain(text).replace("\r\n", "\n")).rstrip()


def one_line(text: str) -> str:
    return " ".join(plain(text).split())


def ends_of(text: str) -> str:
    """Return the part of `text` that a pattern is run on."""
    if len(text) <= 2 * PATTERN_REACH:
        return text
    return f"{text[:PATTERN_REACH]}\n{text[-PATTERN_REACH:]}"


def scalar_text(value: Any) -> str | None:
    """Return a JSON scalar as `when` compares it: a string as it is, others as JSON text; None for other values."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value) if isfinite(value) else "null"
    return None


def number(value: Any) -> float | None:
    """Return a finite number, also from `1,461`, `25k`, `~1.2M` or `$0.04`; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return _written_number(value)
    if isinstance(value, int):
        return value if abs(value) <= MAX_COUNT else None
    if isinstance(value, float) and abs(value) <= MAX_COUNT:  # false for NaN and the infinities
        return value
    return None


def is_rounded(value: Any) -> bool:
    return isinstance(_written_number(value) if isinstance(value, str) else value, Rounded)


def is_absurd(value: Any, limit: float) -> bool:
    """Whether it is a number, but none from 0 to `limit`: no such amount can be."""
    found = _written_number(value) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int | float):
        return isinstance(value, str) and value.strip().lower().lstrip("+-") in ("nan", "inf", "infinity")
    return not 0 <= found <= limit


def _written_number(text: str) -> float | None:
    if len(text) > 64:
        return None
    exact = text.strip().lstrip("~≈")
    found = re.fullmatch(_NUMBER, exact.strip().lstrip("$€£").strip())
    if found is None:
        return None
    whole = re.sub("[,_]", "", found[1])
    if found[2] is None and found[3] is None and found[4] is None:
        amount = number(int(whole))
    else:
        amount = number(float(f"{whole}{found[2] or ''}e{found[3] or 0}") * _FACTORS.get((found[4] or "").lower(), 1))
    rounded = found[4] is not None or exact != text.strip()
    return Rounded(amount) if rounded and amount is not None else amount


def count(value: Any) -> int | None:
    """Return a whole number from 0; None for anything else."""
    found = number(value)
    if found is None or found < 0:
        return None
    rounded = round(found)  # 1.2M is 1199999.9999999998 as a float
    return rounded if abs(found - rounded) < 1e-3 else None
