"""`runner tasks`: what an agent can be asked to do."""

from __future__ import annotations

import os

from runner.commands._project import open_project
from runner.commands._show import print_json, print_yaml, short_place, where
from runner.commands._table import table
from runner.config import Config
from runner.model import JsonObject
from runner.text import json_text


def tasks(project: str | None, *, as_json: bool) -> int:
    config = open_project(project).config
    found = [_described(config, name) for name in sorted(config.tasks)]
    if as_json:
        print(json_text(found, 2))
    elif found:
        head = ("TASK", "PROMPT", "COMMIT", "DEFINED IN")
        print(table(head, [_row(task) for task in found]), end="")
    else:
        print("no tasks; add one to tasks.yaml")
    return 0


def show(project: str | None, name: str, *, as_json: bool) -> int:
    """Raises UsageError for an unknown name."""
    config = open_project(project).config
    entry = config.task(name)
    if as_json:
        print_json(config, ("tasks", name), entry)
    else:
        print_yaml(config, ("tasks", name), entry)
    return 0


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
