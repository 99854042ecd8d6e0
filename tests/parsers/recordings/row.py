"""What a recording must come to, and the numbers behind them all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner.model import Usage

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "data" / "transcripts"
BEGAN = 1_795_363_000.0  # 2026-11-22T15:56:40Z, the day of the recordings


@dataclass(frozen=True)
class Row:
    """`verdict` is the status and the reason; `wait` is when it may be tried again, in seconds from BEGAN."""

    version: str
    scenario: str
    verdict: str
    text: str
    usage: Usage
    tool_calls: int | None
    wait: float | None = None


HELLO = "Hello from the stub model, set a."
STEP = "I will run one command."
DONE = "Done: committed stub-a.txt."
MENTION = (
    "All good. I documented the 429 rate limit path: 'Rate limit exceeded', 'usage limit reached', 'quota exceeded', "
    "'model not found', 'invalid api key', 'Error: 500'. Nothing failed."
)

# What the model server counted, call by call: fresh input, cache reads, cache writes, visible output, reasoning.
# `hello` is one call, everything with a tool is two. Providers differ in which of these they tell, never in the sums.
ONE_SENT, ONE_READ, ONE_WRITTEN = 1201 + 256 + 64, 256, 64
ONE_PRODUCED, ONE_THOUGHT = 37 + 12, 12
STEP_SENT, STEP_READ, STEP_WRITTEN = 1301 + 128 + 32, 128, 32
STEP_PRODUCED, STEP_THOUGHT = 41 + 8, 8
TWO_SENT, TWO_READ, TWO_WRITTEN = STEP_SENT + 1402 + 512 + 16, STEP_READ + 512, STEP_WRITTEN + 16
TWO_PRODUCED, TWO_THOUGHT = STEP_PRODUCED + 23 + 4, STEP_THOUGHT + 4
UNKNOWN = Usage()

ENDED = "failed no_terminal_event"
TIMEOUT = "timed_out timeout"
