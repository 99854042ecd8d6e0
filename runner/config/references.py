"""What one entry says of another: parsers, sandboxes, and the keys that an entry must have in the end. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.nearest import near
from runner.config.paths import show_path
from runner.config.positions import Positions
from runner.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.merge import Merged
    from runner.config.paths import Path

REQUIRED = {
    "agents": ("binary", "argv", "parser"),
    "tasks": ("prompt",),
    "sandboxes": ("argv",),
    "parsers": ("format",),
}


def check(merged: Merged) -> list[Problem]:
    """What a run must not start without: it is checked at every load, not only by validate."""
    return [*_missing(merged), *_unknown(merged, "parser", "parsers"), *_unknown(merged, "sandbox", "sandboxes")]


def _missing(merged: Merged) -> Iterator[Problem]:
    positions = Positions(merged)
    for section, required in REQUIRED.items():
        for name, entry in merged.sections[section].items():
            for key in required:
                if key not in entry:
                    path: Path = (section, name)
                    yield Problem(*positions.origin(path), f"missing key `{key}`", show_path(path))


def _unknown(merged: Merged, key: str, section: str) -> Iterator[Problem]:
    positions, known = Positions(merged), merged.sections[section]
    for name, entry in merged.sections["agents"].items():
        wanted = entry.get(key)
        if isinstance(wanted, str) and wanted not in known:
            path: Path = ("agents", name, key)
            hint = near(wanted, known)
            yield Problem(*positions.locate(path), f"unknown {key} `{wanted}`", show_path(path), hint)
