"""The command line of the heartbeat, as cron and systemd start it. Pure."""

from __future__ import annotations

import os

from runner.errors import RunnerError
from runner.text import one_line
from runner.values import dataclass

_UNSUPPORTED = ("\n", "\r", "\0")


@dataclass(frozen=True)
class HeartbeatCommand:
    """Absolute paths: the interpreter that has the runner, the project's folder, the folders of PATH."""

    python: str
    project: str
    path: tuple[str, ...]

    def argv(self) -> list[str]:
        """Use `env`, because a crontab may name any shell, and keep the current folder out of Python's path.

        Raises RunnerError for a path that no line can hold.
        """
        for place in (self.python, self.project, *self.path):
            if any(mark in place for mark in _UNSUPPORTED):
                raise RunnerError(
                    f"the path `{one_line(place)}` holds a line break", hint="no crontab and no unit can name it"
                )
        path = f"PATH={os.pathsep.join(self.path)}"
        return ["/usr/bin/env", path, self.python, "-P", "-m", "runner", "-C", self.project, "heartbeat"]
