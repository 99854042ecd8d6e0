"""Log folders as years of use would leave them: `python -m benchmarks.histories FOLDER RUNS`."""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from runner import __version__
from runner.reasons import reason_of
from runner.records import metadata
from runner.records.metadata import SCHEMA_VERSION
from runner.text import rfc3339

if TYPE_CHECKING:
    from runner.model import JsonObject
    from runner.records.entries import RunError
    from runner.records.metadata import Record

AGENTS = [f"agent{number}" for number in range(10)]
TASKS = ["tidy", "documents", "tests", "triage_issues", "upgrade", "translate"]
REASONS = [None] * 16 + ["no_commits", "model_not_found", "usage_limit", "timeout", "crashed", "nothing_to_do"]
EVERY = 360  # seconds from run to run, whatever their number: a window of time holds as many of 1,000 as of 100,000
SKIPPED_EACH = 50


def make(root: Path, runs: int, now: float) -> None:
    """A project whose log folder holds `runs` closed runs, the last of them just before `now`."""
    dice = random.Random(runs)
    logs = root / "logs"
    for name in ("ids", "live"):
        (logs / name).mkdir(parents=True)
    with (logs / "runs.jsonl").open("w") as feed:
        for number in range(runs):
            began = now - (runs - number) * EVERY
            record = _record(dice, began, logs)
            folder = logs / record["task"] / record["agent"] / record["run_id"]
            if number % SKIPPED_EACH == 0:
                feed.write("\n" + json.dumps(_skipped(record)) + "\n")
                continue
            folder.mkdir(parents=True)
            (logs / "ids" / record["run_id"]).write_text(f"{record['task']}/{record['agent']}\n")
            (folder / "metadata.json").write_text(json.dumps(record, indent=2) + "\n")
            if record["error"]:  # the one that `why` reads
                (folder / "stdout.log").write_text('{"type": "result", "is_error": true, "result": "it went wrong"}\n')
            feed.write("\n" + json.dumps(metadata.line_of(record)) + "\n")


def _record(dice: random.Random, began: float, logs: Path) -> Record:
    agent, task, reason = dice.choice(AGENTS), dice.choice(TASKS), dice.choice(REASONS)
    row, run_id = reason_of(reason), time.strftime("%Y%m%d_%H%M%S", time.gmtime(began))
    took = round(dice.lognormvariate(4, 1), 3)
    tokens = dice.randrange(200_000)
    known = agent != AGENTS[0]
    failed = row.status != "success"
    error: RunError = {"class": reason, "message": row.meaning, "retry_at": None, "evidence": "stdout.log:1"}
    return {
        "run_id": run_id,
        "agent": agent,
        "task": task,
        "status": row.status,
        "reason": reason,
        "exit_code": row.exit_code,
        "agent_exit_code": 0,
        "agent_signal": None,
        "ended_by": "exit",
        "model": f"{agent}-{dice.choice(('small', 'large'))}",
        "session_id": f"{dice.getrandbits(128):032x}",
        "started_at": rfc3339(began),
        "ended_at": rfc3339(began + took),
        "elapsed_seconds": took,
        "argv": [f"/usr/bin/{agent}", "--print", "--output-format", "stream-json", "--prompt-file", "prompt.md"],
        "cwd": str(logs.parent),
        "trigger": "schedule",
        "text": " ".join(["I looked at the files and made the change that was asked for."] * 8),
        "usage": {
            "input_tokens": tokens if known else None,
            "output_tokens": tokens // 50 if known else None,
            "cache_read_tokens": tokens // 2 if known else None,
            "cache_write_tokens": None,
            "reasoning_tokens": None,
        },
        "cost_usd": tokens / 1e6 if known else None,
        "tool_calls": dice.randrange(30),
        "commits": [] if failed else [{"sha": f"{dice.getrandbits(160):040x}", "subject": "Bring the page up to date"}],
        "notes": [],
        "error": error if failed else None,
        "advice": row.advice if failed else None,
        "attempt": 1,
        "previous_run": None,
        "containment": "subreaper",
        "survivors": 0,
        "notification": {
            "state": "delivered",
            "attempts": 1,
            "delivered_at": rfc3339(began + took),
            "message_id": "abcdefghijkl",
            "last_error": None,
        },
        "config_hash": "0123456789abcdef",
        "schema_version": SCHEMA_VERSION,
        "runner_version": __version__,
    }


def _skipped(record: Record) -> JsonObject:
    error = {"class": "busy", "message": "another run works there", "retry_at": None, "evidence": None}
    return metadata.line_of(record) | {
        "status": "skipped",
        "reason": "busy",
        "elapsed_seconds": 0.0,
        "usage": None,
        "cost_usd": None,
        "commits": None,
        "error": error,
    }


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]), time.time())
