"""`runner schema`: the JSON Schemas, for editors and other programs."""

from __future__ import annotations

import os

from runner.config import stock_dir
from runner.errors import UsageError, did_you_mean

NAMES = (
    *("agents", "tasks", "metadata", "runs", "show", "stats", "triage", "prune", "ps", "parse", "run", "dry-run"),
    *("agent-list", "task-list", "entry", "validate", "doctor", "messages", "held", "cron", "cron-next", "budgets"),
    "prices",
)


def print_schema(name: str) -> int:
    """Raises UsageError for an unknown name."""
    if name not in NAMES:
        raise UsageError(f"unknown schema `{name}`", hint=did_you_mean(name, NAMES) or f"one of {', '.join(NAMES)}")
    with open(os.path.join(stock_dir(), "schema", f"{name}.schema.json"), encoding="utf-8") as file:
        print(file.read(), end="")
    return 0
