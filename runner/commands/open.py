"""What most commands begin with: the project, its configuration, its logs, its post."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner import recover
from runner.config import Config, find_project, load
from runner.config.project import state_home
from runner.errors import ConfigError, Problem, RunnerError
from runner.logs import Logs
from runner.outbox import Outbox
from runner.policy import Policy, read_policy, rendered
from runner.post import Post
from runner.template import TemplateError

if TYPE_CHECKING:
    from runner.model import JsonObject


@dataclass(frozen=True)
class Opened:
    """A project that is open; `lost` are the records of the runs that were found without their runner, and closed."""

    config: Config
    logs: Logs
    environ: dict[str, str]
    lost: tuple[JsonObject, ...] = ()

    @property
    def state(self) -> str:
        """A folder for what no project owns."""
        return state_home(self.environ) or self.logs.path("state")

    def policy(self, task: JsonObject) -> Policy:
        """Who hears of a task's runs. Raises ConfigError for a template that cannot be rendered."""
        try:
            return read_policy(self.config.notify, task, self.environ)
        except TemplateError as error:
            place = self.config.locate("notify")
            raise ConfigError([Problem(*place, error.message, "notify", error.hint)]) from None

    def post(self, task: JsonObject) -> Post:
        return Post(self.logs, Outbox(self.logs, self.environ), self.policy(task))

    def post_of(self, task: str) -> Post:
        """By the name of a task that may be gone by now."""
        return self.post(self.config.tasks.get(task, {}))


def note_config_error(project: str | None, error: ConfigError) -> None:
    """Into the runner's own log, where there is a log folder: cron's output is read by nobody."""
    root = find_project(os.getcwd(), project or os.environ.get("RUNNER_PROJECT")).root
    logs = Logs(os.path.join(root, "logs"))
    if os.path.isdir(logs.root):
        logs.note("\n".join(error.lines()), time.time())


def open_project(project: str | None, *, close_lost: bool = True) -> Opened:
    """And close its lost runs, unless the caller does. Raises UsageError for a folder that is none, and ConfigError."""
    environ = dict(os.environ)
    found = find_project(os.getcwd(), project or environ.get("RUNNER_PROJECT"))
    config = load(found, state_home(environ))
    config = replace(config, settings=_settings(config, environ))
    opened = Opened(config, Logs(os.path.join(found.root, config.settings.get("logs") or "logs")), environ)
    return replace(opened, lost=_close_lost(opened)) if close_lost else opened


def _settings(config: Config, environ: dict[str, str]) -> JsonObject:
    try:
        return rendered(config.settings, environ)
    except TemplateError as error:
        raise ConfigError([Problem(*config.locate("settings"), error.message, "settings", error.hint)]) from None


def _close_lost(opened: Opened) -> tuple[JsonObject, ...]:
    """Whoever comes next closes what nobody closed; what cannot be done now does not stop the command."""
    try:
        return tuple(recover.close_lost(opened.logs, opened.post_of))
    except (RunnerError, OSError) as error:
        opened.logs.note(f"cannot close lost runs: {error}", time.time())
        return ()
