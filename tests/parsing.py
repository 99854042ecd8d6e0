"""Outputs read by rules, without a process."""

from __future__ import annotations

import json
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config import find_project, load
from runner.parsers import compile_parser

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.model import Reply

ROOT = Path(__file__).resolve().parent.parent
NOON = 1_771_502_400.0  # 2026-02-19T12:00:00Z, a Thursday


@cache
def stock(name: str) -> dict[str, Any]:
    """A stock parser's table."""
    return load(find_project(str(ROOT), None), None).parser(name)


@cache
def stock_agent(name: str) -> dict[str, Any]:
    """A stock agent's entry."""
    return load(find_project(str(ROOT), None), None).agent(name)


def lines(*events: object) -> bytes:
    """Events as an agent prints them; bytes and text stand for themselves."""
    return b"".join(_line(event) + b"\n" for event in events)


def _line(event: object) -> bytes:
    if isinstance(event, bytes):
        return event
    return event.encode() if isinstance(event, str) else json.dumps(event).encode()


def read(
    table: Mapping[str, Any],
    stdout: bytes = b"",
    stderr: bytes = b"",
    *,
    files: Mapping[str, bytes] | None = None,
    now: float = NOON,
    cuts: Iterable[int] = (),
) -> Reply:
    """The reply; `cuts` are the sizes of stdout's chunks, the rest comes at once."""
    reader = compile_parser(table).reader(lambda: now, UTC)
    position = 0
    for size in cuts:
        reader.feed("stdout", stdout[position : position + size], position)
        position = min(position + size, len(stdout))
    reader.feed("stdout", stdout[position:], position)
    reader.feed("stderr", stderr, 0)
    return reader.finish(files)
