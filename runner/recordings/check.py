"""A project's recordings against its rules: what each comes to, and how that differs from what it must come to."""

from __future__ import annotations

import os
from datetime import datetime

from runner.config import Config
from runner.errors import ConfigError, UsageError
from runner.model import JsonObject, Outcome
from runner.recordings.expected import Difference, Expected, differences, expected_text, read_expected
from runner.recordings.judged import (
    Judged,
    Output,
    Rules,
    conclusion,
    files_of_rules,
    judge_output,
    rules_of,
    stream_of,
)
from runner.recordings.recording import EXPECTED, FILES, STDERR, STDOUT, Ended, Recording, RecordingError
from runner.text import moment
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo


@dataclass(frozen=True)
class Checked:
    """`problems` are why it cannot be judged or compared; `found` is the conclusion, where there is one.

    `written`: its expected.yaml was made now, from what was found.
    """

    recording: Recording
    differences: tuple[Difference, ...] = ()
    problems: tuple[str, ...] = ()
    found: JsonObject | None = None
    written: bool = False

    @property
    def as_expected(self) -> bool:
        return not self.differences and not self.problems


class Checker:
    """Reads each parser once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._rules: dict[str, Rules] = {}

    def check(self, recording: Recording, *, update: bool = False) -> Checked:
        """Compare one recording; with `update` an expected.yaml that is missing is written, none is changed.

        Raises ConfigError for rules that do not work.
        """
        try:
            expected = None if update and not recording.has(EXPECTED) else read_expected(recording)
        except ConfigError as error:
            return Checked(recording, problems=tuple(map(str, error.problems)))
        try:
            found = conclusion(self.judge(recording, expected))
            if expected is None:
                return self._write(recording, found)
        except (UsageError, RecordingError) as error:
            return Checked(recording, problems=(f"{error.message} ({error.hint})" if error.hint else error.message,))
        return Checked(recording, tuple(differences(expected, found)), found=found)

    def judge(self, recording: Recording, expected: Expected | None = None) -> Judged:
        """Raises UsageError and RecordingError for what it lacks, ConfigError for rules that do not work."""
        rules = self.rules_of(recording, expected.parser if expected else None)
        return judge_output(rules, output_of(recording, rules, expected.at if expected else None))

    def rules_of(self, recording: Recording, parser: str | None = None) -> Rules:
        """Return the rules of a parser, by default the agent's own. Raises UsageError and ConfigError."""
        if parser is None and recording.agent not in self._config.agents:
            hint = "the folder's name is the agent's; `parser:` in expected.yaml names a parser without an agent"
            raise UsageError(f"{recording.folder}: unknown agent `{recording.agent}`", hint=hint)
        name: str = parser or self._config.agents[recording.agent]["parser"]
        if name not in self._rules:
            self._rules[name] = rules_of(self._config, name)
        return self._rules[name]

    def _write(self, recording: Recording, found: JsonObject) -> Checked:
        at = recording.ended().at
        with open(recording.path(EXPECTED), "x", encoding="utf-8") as file:
            file.write(expected_text(found, at=at))
        return Checked(recording, found=found, written=True)


def output_of(recording: Recording, rules: Rules, at: str | None = None) -> Output:
    """Return what a recording holds; `at` is stronger than the time in exit.json, and that than the time of `stdout`.

    Raises UsageError and RecordingError for what it lacks.
    """
    ended = recording.ended()
    stdout, stderr = recording.path(STDOUT), recording.path(STDERR)
    when, zone = _time(recording, at or ended.at)
    return Output(
        outcome=outcome_of(ended, _written_at(stdout) if when is None else when),
        stdout=stream_of(stdout),
        stderr=stream_of(stderr) if recording.has(STDERR) else None,
        zone=zone,
        files=files_of_rules(rules, recording.path(FILES)),
    )


def outcome_of(ended: Ended, when: float) -> Outcome:
    """Return the end as the supervisor would have seen it; one that was stopped was ended by its timeout."""
    if ended.timed_out or ended.code is None:
        return Outcome("timeout", when, when, ended.seconds)
    if ended.code < 0:
        return Outcome("exit", when, when, ended.seconds, signal=-ended.code)
    return Outcome("exit", when, when, ended.seconds, exit_code=ended.code)


def _time(recording: Recording, at: str | None) -> tuple[float | None, tzinfo | None]:
    """Return the time and its zone."""
    if at is None:
        return None, None
    try:
        return moment(at, 0.0), datetime.fromisoformat(at).tzinfo
    except ValueError:
        raise RecordingError(
            f"{recording.folder}: expected a time such as `2026-02-19T17:50:43Z`, got `{at}`"
        ) from None


def _written_at(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}") from None


def of_agents(recordings: list[Recording], agents: tuple[str, ...], config: Config) -> list[Recording]:
    """Return those of some agents, all without any. Raises UsageError for an agent that has none, or that is none."""
    for name in agents:
        if all(recording.agent != name for recording in recordings):
            config.agent(name)
            raise UsageError(f"there is no recording of `{name}`")
    return [recording for recording in recordings if not agents or recording.agent in agents]
