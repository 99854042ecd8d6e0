"""Rules of a project that none of its recordings made fire, for `runner validate`: notes, within bounds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

from runner.config import Config
from runner.config.project import UnreadableError, read_file
from runner.config.senseless import unfired_rules
from runner.errors import ConfigError, Problem, RunnerError
from runner.recordings.expected import read_expected
from runner.recordings.recording import EXPECTED, RECORDINGS, STDERR, STDOUT, Recording, find_recordings

_SECONDS = 3.0
_MAX_STREAM = 4 << 20  # bytes
_MAX_ALL = 32 << 20  # bytes, for each parser
_MAX_RECORDINGS = 200  # for each parser


def unfired_notes(config: Config) -> Iterator[Problem]:
    """Note each rule of the project that fired in none of its recordings; what cannot be read is passed over.

    Once the time is up no other parser is looked at.
    """
    deadline = time.monotonic() + _SECONDS
    for name, recordings in _by_parser(config).items():
        outputs = _outputs(recordings, deadline)
        if time.monotonic() >= deadline:
            return
        yield from unfired_rules(config, name, outputs, whole=len(outputs) == len(recordings))


def _by_parser(config: Config) -> dict[str, list[Recording]]:
    folder = os.path.join(config.project.root, RECORDINGS)
    try:
        recordings = find_recordings(folder) if os.path.isdir(folder) else []
    except RunnerError:  # `runner parse --check` says what is wrong with them
        return {}
    found: dict[str, list[Recording]] = {}
    for recording in recordings:
        name = _parser_of(recording, config)
        if name in config.parsers:
            found.setdefault(name, []).append(recording)
    return found


def _parser_of(recording: Recording, config: Config) -> str:
    agent = config.agents.get(recording.agent, {})
    try:
        expected = read_expected(recording) if recording.has(EXPECTED) else None
    except ConfigError:
        expected = None
    return (expected.parser if expected else None) or str(agent.get("parser", ""))


def _outputs(recordings: Sequence[Recording], deadline: float) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    room = _MAX_ALL
    for recording in recordings[:_MAX_RECORDINGS]:
        try:
            stderr = read_file(recording.path(STDERR), _MAX_STREAM) if recording.has(STDERR) else b""
            output = read_file(recording.path(STDOUT), _MAX_STREAM), stderr
        except UnreadableError:
            continue
        room -= len(output[0]) + len(output[1])
        if room < 0 or time.monotonic() >= deadline:
            break
        found.append(output)
    return found
