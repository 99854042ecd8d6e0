"""What most commands begin with: the project, its configuration, its logs, its post."""

from __future__ import annotations

import os
import time

from runner.config import Config, find_project, load
from runner.config.project import state_home
from runner.errors import ConfigError, Problem, RunnerError, UsageError
from runner.notify import config_alert
from runner.notify.delivery import flush
from runner.notify.last_valid import Memory, Place, logs_of, nearest
from runner.notify.notifier import Post
from runner.notify.outbox import Outbox
from runner.notify.policy import Policy, read_policy, rendered
from runner.records.folder import Logs
from runner.run import recovery
from runner.template import TemplateError
from runner.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject
    from runner.records.metadata import Record


_BUDGET = 20.0  # seconds for messages that wait


@dataclass(frozen=True)
class Opened:
    """A project that is open; `lost` are the records of the runs that were found without their runner, and closed."""

    config: Config
    logs: Logs
    environ: dict[str, str]
    lost: tuple[Record, ...] = ()

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


class Watch:
    """Around a command that may run while nobody looks: what is wrong with the configuration is noted and told.

    `told`: somebody is to hear of it, who does not see it at a terminal. `each`: note it each time, not only as news.
    """

    def __init__(self, project: str | None, *, told: bool, each: bool = True) -> None:
        self.news = True
        self._told = told
        self._each = each
        self._project = project
        self._environ = dict(os.environ)
        self._cause = config_alert.LOADING

    def open(self, pair: str | None = None, *, close_lost: bool = True) -> Opened:
        """As open_project. What goes wrong from then on is about `pair`, the agent and task."""
        opened = open_project(self._project, close_lost=close_lost)
        self._cause = pair or self._cause
        start, root = _whereabouts(self._project, self._environ)
        gone = config_alert.missing(state_home(self._environ), start, root)
        if gone is not None and self._told:
            config_alert.config_broken(*gone, config_alert.GONE, self._environ, time.time(), each=False)
        elif gone is not None:
            gone[0].forget()  # whoever sits there knows what is gone
        return opened

    def logs(self) -> Logs:
        """The project's logs, where the configuration cannot say it: by the last one that was valid."""
        place, known = self._remembered()
        return logs_of(known.logs, place.root, self._environ)

    def _remembered(self) -> tuple[Place, Memory]:
        state = state_home(self._environ)
        start, root = _whereabouts(self._project, self._environ)
        return nearest(state, start, root) or (Place(state or os.devnull, root), Memory())

    def look_after(self) -> tuple[int, int, int]:
        """What needs no configuration: close lost runs, send what waits; how many were lost, delivered, remain."""
        place, known = self._remembered()
        logs = logs_of(known.logs, place.root, self._environ)
        post = Post(logs, Outbox(logs, self._environ), config_alert.last_policy(known, self._environ))
        lost = recovery.close_lost(logs, lambda _: post)
        return (len(lost), *flush(logs, post, _BUDGET, due_only=True))

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None and not isinstance(error, (ConfigError, UsageError)):
            return
        place, _ = self._remembered()
        if error is None:
            config_alert.well(place, self._cause)
        elif self._told:
            self.news = config_alert.config_broken(
                place, error, self._cause, self._environ, time.time(), each=self._each
            )
        elif isinstance(error, ConfigError):
            config_alert.note(self.logs(), error.lines(), time.time())

    def _try_to_look_after(self) -> None:
        logs = self.logs()
        try:
            if os.path.isdir(logs.root):
                self.look_after()
        except (RunnerError, OSError) as failure:
            logs.note(f"cannot look after the messages: {failure}", time.time())


def _whereabouts(project: str | None, environ: dict[str, str]) -> tuple[str, str]:
    """The folder that was meant and the project's, also where the one that was named is gone."""
    explicit = project or environ.get("RUNNER_PROJECT")
    start = os.path.abspath(explicit) if explicit else os.getcwd()
    try:
        return start, find_project(os.getcwd(), explicit).root
    except UsageError:
        return start, start


def open_project(project: str | None, *, close_lost: bool = True) -> Opened:
    """And close its lost runs, unless the caller does. Raises UsageError for a folder that is none, and ConfigError."""
    environ = dict(os.environ)
    found = find_project(os.getcwd(), project or environ.get("RUNNER_PROJECT"))
    state = state_home(environ)
    config = load(found, state)
    if state is not None:
        config_alert.remember(Place(state, found.root), config, environ)
    config = replace(config, settings=_settings(config, environ))
    opened = Opened(config, Logs(os.path.join(found.root, config.settings.get("logs") or "logs")), environ)
    return replace(opened, lost=_close_lost(opened)) if close_lost else opened


def _settings(config: Config, environ: dict[str, str]) -> JsonObject:
    try:
        return rendered(config.settings, environ)
    except TemplateError as error:
        raise ConfigError([Problem(*config.locate("settings"), error.message, "settings", error.hint)]) from None


def _close_lost(opened: Opened) -> tuple[Record, ...]:
    """Whoever comes next closes what nobody closed; what cannot be done now does not stop the command."""
    try:
        return tuple(recovery.close_lost(opened.logs, opened.post_of))
    except (RunnerError, OSError) as error:
        opened.logs.note(f"cannot close lost runs: {error}", time.time())
        return ()
