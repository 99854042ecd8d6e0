"""Bytes → JSON events. What is not a JSON object is skipped, never an exception."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from runner.parsers.scalars import decoded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.model import JsonObject

MAX_DOCUMENT = 16 * 1024 * 1024

_LEADING = b" \t\r\xef\xbb\xbf"
_LEADING_TEXT = " \t\r\ufeff"
_OPENING = re.compile(r"^\ufeff?(?=[{\[])", re.MULTILINE)
_NESTING_REACH = 100_000


def _no_number(_literal: str) -> None:
    """NaN and the infinities count as not reported."""


def _short_integer(digits: str) -> int | None:
    return int(digits) if len(digits) < 30 else None


# Not strict: some CLIs print raw control characters inside strings.
_DECODER = json.JSONDecoder(strict=False, parse_constant=_no_number)
_DECODER_OF_HUGE = json.JSONDecoder(strict=False, parse_constant=_no_number, parse_int=_short_integer)


def event_in(line: bytes) -> JsonObject | None:
    """Return the JSON object on a line; None when the line holds anything else."""
    if not looks_like_object(line):
        return None
    text = decoded(line).lstrip(_LEADING_TEXT)
    value, end = _value_at(text, 0)
    return value if isinstance(value, dict) and not text[end:].strip() else None


def looks_like_object(line: bytes) -> bool:
    return line[:64].lstrip(_LEADING).startswith(b"{")


def events_in(content: bytes) -> Iterator[tuple[JsonObject, int]]:
    """Yield the objects of a document, each with its offset in bytes; an array stands for its elements.

    A document begins at the start of a line: a warning printed before it does no harm, and lines of JSON will do, too.
    """
    if len(content) > MAX_DOCUMENT:
        return
    text = decoded(content)
    position = offset = 0
    effort = (
        4 * len(text) + 10 * _NESTING_REACH
    )  # characters that may be read without a result: bounds many broken beginnings
    while effort > 0 and (opening := _OPENING.search(text, position)):
        value, end = _value_at(text, opening.end())
        if value is None:
            effort -= end - opening.end()
            end = opening.end() + 1
        else:
            start = offset + _size(text[position : opening.end()])
            yield from (
                (item, start) for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)
            )
        offset += _size(text[position:end])
        position = end


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _value_at(text: str, start: int) -> tuple[Any, int]:
    """Return the JSON value that begins at `start` and its end; without one, None and how far it was read."""
    for decoder in (_DECODER, _DECODER_OF_HUGE):
        try:
            return decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            return None, error.pos + 1
        except RecursionError:
            return None, start + _NESTING_REACH
        except ValueError:  # an integer with more digits than the interpreter converts
            continue
    return None, len(text)
