"""What one entry says of another: parsers, sandboxes, and the keys that an entry must have in the end. Pure."""

from __future__ import annotations

import os
import re

from runner.config.merge import BUILT_IN_PARSER
from runner.config.messages import listed
from runner.config.nearest import near
from runner.config.paths import show_path
from runner.config.positions import Positions
from runner.errors import Problem
from runner.parsers import RuleError, compile_parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.merge import Merged
    from runner.config.paths import Path

_FEW = 8
REQUIRED = {
    "agents": ("binary", "argv", "parser"),
    "tasks": ("prompt",),
    "sandboxes": ("argv",),
    "parsers": ("format",),
}


def check(merged: Merged) -> Iterator[Problem]:
    """What a run must not start without: it is checked at every load, not only by validate."""
    positions = Positions(merged)
    yield from _missing(merged, positions)
    yield from _unknown(merged, positions, "parser", "parsers")
    yield from _unknown(merged, positions, "sandbox", "sandboxes")
    yield from _rules(merged, positions)
    yield from _patterns(merged, positions)
    yield from _prompts(merged, positions)


def _missing(merged: Merged, positions: Positions) -> Iterator[Problem]:
    for section, required in REQUIRED.items():
        for name, entry in merged.sections[section].items():
            for key in required:
                if key not in entry and (section, name) not in merged.broken:
                    path: Path = (section, name)
                    yield Problem(*positions.origin(path), f"missing key `{key}`", show_path(path))


def _unknown(merged: Merged, positions: Positions, key: str, section: str) -> Iterator[Problem]:
    known = merged.sections[section]
    for name, entry in merged.sections["agents"].items():
        wanted = entry.get(key)
        if isinstance(wanted, str) and wanted not in known:
            path: Path = ("agents", name, key)
            hint = near(wanted, known) or (f"known: {listed(sorted(known), 'and')}" if 0 < len(known) <= _FEW else None)
            yield Problem(*positions.locate(path), f"unknown {key} `{wanted}`", show_path(path), hint)


def _rules(merged: Merged, positions: Positions) -> Iterator[Problem]:
    origin = merged.origins.get(("parsers", BUILT_IN_PARSER))
    if origin is not None and not origin.layer.source.stock:
        path: Path = ("parsers", BUILT_IN_PARSER)
        yield Problem(*positions.origin(path), "the built-in parser cannot be replaced", show_path(path), "rename it")
    for name, rules in merged.sections["parsers"].items():
        try:
            if "format" in rules:
                compile_parser(rules, strict=True)
        except RuleError as error:
            for trail, message in error.problems:
                path = ("parsers", name, *(str(step) if trail[:1] == ("exit",) else step for step in trail))
                place = positions.origin(path) if message.startswith("unknown key") else positions.locate(path)
                yield Problem(*place, message, show_path(positions.spelled(path)))


def _patterns(merged: Merged, positions: Positions) -> Iterator[Problem]:
    for name, task in merged.sections["tasks"].items():
        try:
            re.compile(task.get("nothing_to_do", ""))
        except (re.error, OverflowError, RecursionError) as error:
            path: Path = ("tasks", name, "nothing_to_do")
            place = positions.inside(path, 1, (getattr(error, "colno", None) or 1))
            yield Problem(*place, f"is no regular expression: {error}", show_path(path))


def _prompts(merged: Merged, positions: Positions) -> Iterator[Problem]:
    """A prompt stays below its file's folder by name; symbolic links are looked at when it is read."""
    for name, task in merged.sections["tasks"].items():
        path: Path = ("tasks", name, "prompt")
        if "prompt" in task:
            folder = merged.origins[path].layer.source.folder
            if os.path.commonpath((task["prompt"], folder)) != folder:
                message = "lies outside the folder of this file"
                yield Problem(*positions.locate(path), message, show_path(path), "move the prompt below it")
