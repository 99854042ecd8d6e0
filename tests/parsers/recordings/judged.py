"""A recording, read by its parser and judged as the run that it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from runner.model import Changes, Expectations, Outcome, Reply, Verdict
from runner.run.judge import judge
from tests.parsers.recordings.row import BEGAN, TRANSCRIPTS, Row, rows
from tests.parsing import read, stock


@dataclass(frozen=True)
class Recording:
    agent: str
    version: str
    scenario: str

    def __str__(self) -> str:
        return f"{self.agent}-{self.version}-{self.scenario}"

    @property
    def folder(self) -> Path:
        return TRANSCRIPTS / self.agent / self.version / self.scenario

    @property
    def parser(self) -> str:
        """By the format that was asked for, which its expected.yaml names, too."""
        label = self.scenario.rpartition("-")[2]
        return f"{self.agent}-{label if label in ('text', 'json') else 'jsonl'}"

    @property
    def table(self) -> dict[str, Any]:
        return stock(self.parser)

    @property
    def stdout(self) -> bytes:
        return _content(self.folder / "stdout")

    @property
    def stderr(self) -> bytes:
        return _content(self.folder / "stderr")

    @property
    def outcome(self) -> Outcome:
        """A recording that was stopped at its time is a run that was ended by its timeout."""
        ended = json.loads(_content(self.folder / "exit.json"))
        code, seconds = ended["code"], ended["seconds"]
        if ended["timed_out"]:
            return Outcome("timeout", BEGAN, BEGAN, seconds)
        if code < 0:
            return Outcome("exit", BEGAN, BEGAN, seconds, signal=-code)
        return Outcome("exit", BEGAN, BEGAN, seconds, exit_code=code)

    def concluded(self) -> tuple[Reply, Verdict]:
        reply = read(self.table, self.stdout, self.stderr, now=BEGAN)
        return reply, concluded(reply, self.outcome)


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


def concluded(reply: Reply, outcome: Outcome) -> Verdict:
    """Without a postcondition."""
    return judge(Expectations(), outcome, reply, Changes(repository=True))


def recordings() -> list[tuple[Recording, Row]]:
    """Every recording with what it must come to."""
    return [(Recording(*names), row) for names, row in rows().items()]


def written(verdict: Verdict) -> str:
    return verdict.status if verdict.reason is None else f"{verdict.status} {verdict.reason}"
