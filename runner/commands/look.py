"""What a command that only looks begins with: the logs, in which no lost run is open."""

from __future__ import annotations

import os
import sys

from runner.config import find_project, load
from runner.config.project import state_home
from runner.errors import ConfigError
from runner.logs import Logs


def open_logs(project: str | None, *, closing: bool = True) -> Logs:
    """The logs, also where the configuration is broken: then one wants to read them. Raises UsageError.

    With `closing` lost runs are closed first, as any command does that opens the project.
    """
    try:
        found = find_project(os.getcwd(), project or os.environ.get("RUNNER_PROJECT"))
        config = load(found, state_home(os.environ))
    except ConfigError:
        root = find_project(os.getcwd(), project or os.environ.get("RUNNER_PROJECT")).root
        folder = os.path.join(root, "logs")
        print(f"warning: the configuration is broken (`runner validate`); looking in `{folder}`", file=sys.stderr)
        return Logs(folder)
    logs = Logs(config.settings.get("logs") or os.path.join(found.root, "logs"))
    if closing and logs.has_lost():
        # All that sends messages is ten milliseconds of import, which only this rare case needs.
        from runner.commands.open import open_project  # noqa: PLC0415

        open_project(project)
    return logs
