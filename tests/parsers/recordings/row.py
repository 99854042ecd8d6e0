"""What each recording must come to: the rows of NAME.yaml beside this file, one table an agent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from runner.model import Usage

TRANSCRIPTS = Path(__file__).resolve().parents[2] / "data" / "transcripts"
BEGAN = 1_795_363_000.0  # 2026-11-22T15:56:40Z, the day of the recordings
HELLO = "Hello from the stub model, set a."
TEXTS = {
    "": "",
    "hello": HELLO,
    "step": "I will run one command.",
    "done": "Done: committed stub-a.txt.",
    "mention": (
        "All good. I documented the 429 rate limit path: 'Rate limit exceeded', 'usage limit reached', "
        "'quota exceeded', 'model not found', 'invalid api key', 'Error: 500'. Nothing failed."
    ),
}


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


@cache
def usages(agent: str) -> dict[str, Usage]:
    """The counts that an agent's rows name.

    The model server counted 1201 fresh + 256 read + 64 written and 37 visible + 12 thought for one call. A run with a
    tool is two calls: 1301 + 128 + 32 and 41 + 8, then 1402 + 512 + 16 and 23 + 4. Agents differ in what they tell.
    """
    return {"unknown": Usage()} | {name: Usage(*numbers) for name, numbers in _table(agent)["usage"].items()}


def rows(agent: str) -> list[Row]:
    """Raises KeyError for a text or usage that nothing defines."""
    texts, counts = TEXTS | _table(agent).get("texts", {}), usages(agent)
    return [
        Row(version, scenario, verdict, texts[text], counts[usage], *rest)
        for version, scenario, verdict, text, usage, *rest in _table(agent)["rows"]
    ]


@cache
def _table(agent: str) -> dict:  # type: ignore[type-arg]  # as the YAML has it
    return yaml.safe_load(Path(__file__).with_name(f"{agent}.yaml").read_text())  # type: ignore[no-any-return]
