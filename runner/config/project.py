"""Where the configuration is: the project's folder and the stock set."""

from __future__ import annotations

import os
from collections.abc import Mapping

from runner.errors import UsageError
from runner.values import dataclass

AGENTS = "agents.yaml"
TASKS = "tasks.yaml"


@dataclass(frozen=True)
class Project:
    """The folder that holds agents.yaml and tasks.yaml, or would; a file that is not there is None.

    `is_stock`: the folder is the stock set itself, so there is nothing to merge.
    """

    root: str
    agents_file: str | None
    tasks_file: str | None
    is_stock: bool


def state_home(environ: Mapping[str, str]) -> str | None:
    """Return the runner's folder below XDG_STATE_HOME; None without a home."""
    base = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        home = environ.get("HOME", "")
        if not os.path.isabs(home):
            return None
        base = os.path.join(home, ".local", "state")
    return os.path.join(base, "runner")


def stock_dir() -> str:
    """Return the folder of the stock agents.yaml, tasks.yaml, prompts/ and schema/."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    installed = os.path.join(package, "stock")
    return installed if os.path.isdir(installed) else os.path.dirname(package)


def find_project(start: str, explicit: str | None) -> Project:
    """Return the nearest folder from `start` upwards with an agents.yaml, else the git top level, else `start`.

    `explicit` names the folder itself. Raise UsageError when it is not a folder.
    """
    if explicit is not None:
        folder = os.path.abspath(os.path.join(start, explicit))
        if not os.path.isdir(folder):
            raise UsageError(
                f"the project `{explicit}` is not a folder", hint="give a folder to --project or RUNNER_PROJECT"
            )
        return project_at(folder)
    start = os.path.abspath(start)
    root = _upwards(start, AGENTS) or _upwards(start, ".git") or start
    return project_at(root)


def project_at(root: str) -> Project:
    stock = stock_dir()
    is_stock = os.path.realpath(root) == os.path.realpath(stock)
    return Project(root, _existing(root, AGENTS), _existing(root, TASKS), is_stock)


def _existing(folder: str, name: str) -> str | None:
    path = os.path.join(folder, name)
    # A dangling link or a folder of that name exists; reading it reports what is wrong.
    return path if os.path.lexists(path) else None


def _upwards(folder: str, name: str) -> str | None:
    while not os.path.lexists(os.path.join(folder, name)):
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
    return folder
