"""`runner tasks`: what one may ask an agent to do."""

from __future__ import annotations

import os

from runner.commands.entry import short_place, show_entry, where
from runner.commands.table import table
from runner.text import json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.config import Config
    from runner.model import JsonObject


def list_tasks(config: Config, as_json: bool) -> int:
    tasks = [_described(config, name) for name in sorted(config.tasks)]
    if as_json:
        print(json_text(tasks, 2))
    elif tasks:
        head = ("TASK", "PROMPT", "COMMIT", "DEFINED IN")
        print(table(head, [_row(task) for task in tasks]), end="")
    else:
        print("no tasks; add one to tasks.yaml")
    return 0


def show_task(config: Config, name: str, as_json: bool) -> int:
    """Raises UsageError for an unknown name."""
    return show_entry(config, "tasks", name, config.task(name), as_json=as_json)


def _described(config: Config, name: str) -> JsonObject:
    task = config.tasks[name]
    return {
        "name": name,
        "description": task.get("description"),
        "prompt": task["prompt"],
        "requires_commit": task.get("requires_commit", False),
        "auto_commit": task.get("auto_commit", False),
        "defined": where(config, ("tasks", name)),
    }


def _row(task: JsonObject) -> tuple[str, ...]:
    commit = "required" if task["requires_commit"] else "auto" if task["auto_commit"] else "-"
    return task["name"], os.path.basename(task["prompt"]), commit, short_place(task["defined"])
