"""What a command that only looks begins with: the logs, in which no lost run is open."""

from __future__ import annotations

import os
import sys

from runner.config import find_project, load
from runner.config.project import state_home
from runner.errors import ConfigError
from runner.notify.last_good import LastGoodConfig, LastGoodFile, logs_of
from runner.records.folder import Logs


def open_logs(project: str | None, *, closing: bool = True) -> Logs:
    """The logs, also where the configuration is broken: then one wants to read them. Raises UsageError.

    With `closing` lost runs are closed first, as any command does that opens the project.
    """
    found = find_project(os.getcwd(), project or os.environ.get("RUNNER_PROJECT"))
    state = state_home(os.environ)
    try:
        logs = logs_of(load(found, state).settings.get("logs"), found.root, os.environ)
    except ConfigError:
        known = LastGoodFile(state, found.root).read() if state is not None else None
        logs = logs_of((known or LastGoodConfig()).logs, found.root, os.environ)
        print(f"warning: the configuration is broken (`runner validate`); looking in `{logs.root}`", file=sys.stderr)
        return logs
    if closing and logs.has_lost():
        from runner.commands._project import open_project  # noqa: PLC0415 - 10 ms, for this rare case

        open_project(project)
    return logs
