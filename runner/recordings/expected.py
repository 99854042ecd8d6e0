"""`expected.yaml`: what a recording must come to, as far as somebody wrote it down."""

from __future__ import annotations

import json

from runner.config.display import show_file
from runner.config.positions import nearest_place
from runner.config.project import UnreadableError, read_file
from runner.config.yaml_reader import parse
from runner.errors import ConfigError, Problem, did_you_mean
from runner.model import JsonObject, Usage
from runner.recordings.recording import EXPECTED, Recording
from runner.text import json_text, moment
from runner.values import asdict, dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from runner.config.yaml_reader import Document

MAX_EXPECTED = 64 << 20
"""Bytes: it may hold a long reply."""

SETTINGS = ("parser", "at")
RESULTS = tuple("status reason text usage tool_calls cost_usd session_id model error exit_code".split())
MAPPINGS = {"usage": tuple(asdict(Usage())), "error": ("class", "message", "retry_at", "evidence")}


@dataclass(frozen=True)
class Expected:
    """`results` are compared; `parser` is another parser than the agent's own, `at` when the agent ended, RFC 3339."""

    results: JsonObject
    parser: str | None
    at: str | None
    file: str
    document: Document

    def line(self, path: tuple[str, ...]) -> int:
        return nearest_place(self.document, path)[0]


def read_expected(recording: Recording) -> Expected:
    """Raises ConfigError with all that is wrong in the file."""
    path = recording.path(EXPECTED)
    file = show_file(path)
    try:
        document = parse(read_file(path, MAX_EXPECTED))
    except UnreadableError as error:
        hint = None if recording.has(EXPECTED) else "`runner parse --check --update` writes what is found now"
        raise ConfigError([Problem(file, 0, 0, str(error), hint=hint)]) from None
    problems = [Problem(file, fault.line, fault.column, fault.message, hint=fault.hint) for fault in document.faults]
    problems = problems or [
        Problem(file, *nearest_place(document, trail), message, ".".join(trail), hint)
        for trail, message, hint in _wrong(document.data)
    ]
    if problems:
        raise ConfigError(problems)
    results = {key: value for key, value in document.data.items() if key not in SETTINGS}
    return Expected(results, document.data.get("parser"), document.data.get("at"), file, document)


def _wrong(data: Any) -> Iterator[tuple[tuple[str, ...], str, str | None]]:
    """Yield what is wrong: path, message, hint."""
    if not isinstance(data, dict):
        yield (), "expected a mapping such as `status: success`", None
        return
    for key, value in data.items():
        if key not in (*SETTINGS, *RESULTS):
            yield (key,), f"unknown key `{key}`", _known(key, (*RESULTS, *SETTINGS))
        elif key in MAPPINGS and isinstance(value, dict):
            for inner in value:
                if inner not in MAPPINGS[key]:
                    yield (key, inner), f"unknown key `{inner}`", _known(inner, MAPPINGS[key])
        elif key in MAPPINGS and value is not None:
            yield (key,), f"expected a mapping or null, got `{json.dumps(value)}`", None
    if not set(data) - set(SETTINGS):
        yield (), "names nothing to compare", "write at least `status:`"
    if not isinstance(data.get("parser"), str | None):
        yield ("parser",), "expected the name of a parser", None
    if "at" in data and not _is_time(data["at"]):
        yield ("at",), "expected a time such as `2026-02-19T17:50:43Z`", None


def _known(key: str, known: tuple[str, ...]) -> str:
    return did_you_mean(key, known) or f"known are {', '.join(f'`{name}`' for name in known)}"


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and "T" in value and moment(value, 0.0) is not None
    except ValueError:
        return False


@dataclass(frozen=True)
class Difference:
    """`key` is dotted, `line` that of expected.yaml."""

    key: str
    expected: Any
    found: Any
    line: int


def differences(expected: Expected, found: JsonObject) -> list[Difference]:
    """Compare what is named; mappings key by key."""
    return [
        Difference(".".join(path), wanted, there, expected.line(path))
        for path, wanted, there in _pairs(expected.results, found, ())
        if not _equal(wanted, there)
    ]


def _pairs(wanted: JsonObject, found: JsonObject, trail: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    for key, value in wanted.items():
        there = found.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            yield from _pairs(value, there, (*trail, key))
        else:
            yield (*trail, key), value, there


def _equal(wanted: Any, found: Any) -> bool:
    """Whether they are the same; a sum of money may differ in its last bits."""
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, float) or isinstance(found, float):
        return isinstance(wanted, int | float) and isinstance(found, int | float) and abs(wanted - found) <= 1e-9
    return bool(wanted == found)


def expected_text(found: JsonObject, *, at: str | None = None, parser: str | None = None) -> str:
    """Return an `expected.yaml` that asks for what was found, as far as anything was; `found` is a conclusion."""
    settings = {"parser": parser, "at": at}
    lines = [f"{key}: {value}" for key, value in settings.items() if value is not None]
    for key in RESULTS:
        value = found[key]
        if isinstance(value, dict):
            kept = {name: inner for name, inner in value.items() if inner is not None and name != "evidence"}
            lines += [f"{key}:", *(f"  {name}: {json_text(inner)}" for name, inner in kept.items())] if kept else []
        elif value is not None or key in ("reason", "error"):
            lines.append(f"{key}: {value if key in ('status', 'reason') and value else json_text(value)}")
    return "\n".join(lines) + "\n"
