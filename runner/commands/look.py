"""What a command that only looks begins with: the logs, and nothing of messages."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from runner.config import find_project, load
from runner.config.project import state_home
from runner.errors import ConfigError
from runner.memory import Memory, Place, logs_of

if TYPE_CHECKING:
    from runner.logs import Logs


def open_logs(project: str | None) -> Logs:
    """The logs, also where the configuration is broken: then one wants to read them. Raises UsageError."""
    found = find_project(os.getcwd(), project or os.environ.get("RUNNER_PROJECT"))
    state = state_home(os.environ)
    try:
        return logs_of(load(found, state).settings.get("logs"), found.root, os.environ)
    except ConfigError:
        known = Place(state, found.root).read() if state is not None else None
        logs = logs_of((known or Memory()).logs, found.root, os.environ)
        print(f"warning: the configuration is broken (`runner validate`); looking in `{logs.root}`", file=sys.stderr)
        return logs
