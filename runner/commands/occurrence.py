"""`runner occurrence`, which only the heartbeat starts: runs the agents of a schedule that is due."""

from __future__ import annotations

import time

from runner.commands.heartbeat import runner_argv
from runner.commands.open import open_project
from runner.schedule.occurrence import run_occurrence


def occurrence(project: str | None, name: str) -> int:
    """Run the occurrence. Raises UsageError for a process that the heartbeat did not start."""
    opened = open_project(project, close_lost=False)
    run_occurrence(opened.logs, name, runner_argv(opened.config.project.root), opened.environ, time.time)
    return 0
