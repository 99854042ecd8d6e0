"""What most commands begin with: the project, its configuration, its logs, its messages."""

from __future__ import annotations

import os
import time

from runner.config import Config, find_project, load
from runner.config.project import state_home
from runner.errors import ConfigError, Problem, RunnerError, UsageError
from runner.model import JsonObject
from runner.notify import config_alert, last_good
from runner.notify.channels.settings import rendered
from runner.notify.delivery import flush
from runner.notify.last_good import LastGoodConfig, LastGoodFile, logs_of, nearest
from runner.notify.notifier import Notifier
from runner.notify.outbox import Outbox
from runner.notify.policy import Policy, read_policy
from runner.records.folder import Logs
from runner.records.metadata import Record
from runner.run import recovery
from runner.template import TemplateError
from runner.values import dataclass, replace

_BUDGET = 20.0  # seconds for messages that wait
_REFUSED_BUDGET = 5.0  # of a run that is refused


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

    def notifier(self, task: JsonObject) -> Notifier:
        return Notifier(self.logs, Outbox(self.logs, self.environ), self.policy(task))

    def notifier_of(self, task: str) -> Notifier:
        """By the name of a task that may be gone by now."""
        return self.notifier(self.config.tasks.get(task, {}))


class Watch:
    """Around a command that may run while nobody watches: logs and reports what is wrong with the configuration.

    `report`: send a message, as nobody sees it at a terminal. `log_always`: log it each time, not only when it is new.
    What is wrong is sent once: the same words, or the same agent and task, say it again each minute.
    """

    def __init__(self, project: str | None, *, report: bool, log_always: bool = True, words: str = "") -> None:
        self.is_new = True
        self._report = report
        self._log_always = log_always
        self._project = project
        self._environ = dict(os.environ)
        # Asked once: a run may move or remove the current folder.
        self._where = _whereabouts(project, self._environ)
        self._cause = last_good.LOADING
        # Only as a digest: they may hold a secret.
        self._words = f"words {last_good.digest_of(os.fsencode(words))}"
        self._is_open = False

    def open(self, pair: str | None = None, *, close_lost: bool = True) -> Opened:
        """As open_project. What goes wrong from then on is about `pair`, the agent and task."""
        opened = open_project(self._project, close_lost=close_lost)
        self._is_open = True
        self._cause = pair or self._cause
        start, root = self._where
        found = last_good.missing_files(state_home(self._environ), start, root)
        if found is not None and self._report:
            file, error = found
            config_alert.report(file, last_good.MISSING, error, self._environ, log_always=False)
        elif found is not None:
            found[0].delete()  # a person at a terminal knows what is missing
        return opened

    def tell(self, cause: str, error: ConfigError | None) -> bool:
        """Report a part of the configuration that is wrong, or None when it is right; return whether that is new."""
        file, known = self._last_good()
        if error is not None:
            return config_alert.report(file, cause, error, self._environ, log_always=False)
        last_good.resolve(file, known, cause)
        return False

    def logs(self) -> Logs:
        """The project's logs, where the configuration cannot say it: by the last one that was valid."""
        file, known = self._last_good()
        return logs_of(known.logs, file.root, self._environ)

    def _last_good(self) -> tuple[LastGoodFile, LastGoodConfig]:
        state = state_home(self._environ)
        start, root = self._where
        return nearest(state, start, root) or (LastGoodFile(state or os.devnull, root), LastGoodConfig())

    def look_after(self, budget: float = _BUDGET) -> tuple[int, int, int]:
        """Close lost runs and send what waits, without a configuration; how many were lost, delivered, remain."""
        file, known = self._last_good()
        logs = logs_of(known.logs, file.root, self._environ)
        notifier = Notifier(logs, Outbox(logs, self._environ), last_good.policy_of(known, self._environ))
        lost = recovery.close_lost(logs, lambda _: notifier)
        return (len(lost), *flush(notifier, budget, due_only=True))

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None and not isinstance(error, (ConfigError, UsageError)):
            return
        if error is not None:
            error.reported = True
            if isinstance(error, UsageError) and not self._is_open:
                self._cause = self._words
                self._remember_channels()
        file, known = self._last_good()
        if error is None:
            last_good.resolve(file, known, self._cause)
        elif self._report:
            self.is_new = config_alert.report(file, self._cause, error, self._environ, log_always=self._log_always)
            if not self.is_new:
                self._try_to_look_after()
        elif isinstance(error, ConfigError):
            config_alert.note(self.logs(), error.lines(), time.time())

    def _remember_channels(self) -> None:
        """The first words ever may be the wrong ones."""
        try:
            if self._report:
                open_project(self._project, close_lost=False)
        except (RunnerError, OSError):
            pass  # by the last that were valid, then

    def _try_to_look_after(self) -> None:
        logs = self.logs()
        try:
            if os.path.isdir(logs.root):
                self.look_after(_REFUSED_BUDGET)
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
        last_good.remember(LastGoodFile(state, found.root), config, environ)
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
        return tuple(recovery.close_lost(opened.logs, opened.notifier_of))
    except (RunnerError, OSError) as error:
        opened.logs.note(f"cannot close lost runs: {error}", time.time())
        return ()
