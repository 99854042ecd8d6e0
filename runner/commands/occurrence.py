"""`runner occurrence`: what the heartbeat starts for a schedule that is due; for no one else."""

from __future__ import annotations

import time

from runner.commands.heartbeat import runner_words
from runner.commands.open import open_project
from runner.schedule import occurrence as turns


def occurrence(project: str | None, name: str) -> int:
    """Raises UsageError for whoever was not started by the heartbeat."""
    opened = open_project(project, close_lost=False)
    turns.carry_out(opened.logs, name, runner_words(opened.config.project.root), opened.environ, time.time)
    return 0
