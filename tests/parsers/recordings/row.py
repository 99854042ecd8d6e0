"""What each recording must come to: its `expected.yaml`, as `runner parse --check` reads it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from runner.model import Usage
from runner.recordings.expected import Expected, read_expected
from runner.recordings.recording import Recording, find_recordings
from runner.text import from_rfc3339

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "data" / "transcripts"
BEGAN = 1_795_363_000.0  # 2026-11-22T15:56:40Z, the day of the recordings
HELLO = "Hello from the stub model, set a."


@dataclass(frozen=True)
class Row:
    """`verdict` is the status and the reason; `wait` is when it may be tried again, in seconds from BEGAN."""

    version: str
    scenario: str
    parser: str | None
    verdict: str
    text: str
    usage: Usage
    tool_calls: int | None
    wait: float | None = None


def row_of(recording: Recording) -> Row:
    """Raises KeyError for what a recording of ours must name, and does not."""
    expected = read_expected(recording)
    found = expected.results
    error = found["error"] or {"retry_at": None}
    assert from_rfc3339(expected.at or "") == BEGAN
    assert (found["error"] is None) == (found["status"] == "success")
    return Row(
        version=recording.version or "",
        scenario=recording.name,
        parser=expected.parser,
        verdict=" ".join(filter(None, (found["status"], found["reason"]))),
        text=found["text"],
        usage=_usage(expected),
        tool_calls=found["tool_calls"],
        wait=None if error["retry_at"] is None else from_rfc3339(error["retry_at"]) - BEGAN,
    )


def _usage(expected: Expected) -> Usage:
    counts = expected.results["usage"]
    names = [name for name in Usage.__match_args__ if name.endswith("_tokens")]
    assert list(counts) == names, f"{expected.file}: all counts, unknown ones too"
    return Usage(**counts)


@cache
def rows() -> dict[tuple[str, str, str], Row]:
    """By agent, version and scenario."""
    return {
        (recording.agent, recording.version or "", recording.name): row_of(recording)
        for recording in find_recordings(str(TRANSCRIPTS))
    }
