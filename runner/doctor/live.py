"""`runner doctor --live`: one run against the real service, in a scratch repository."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping

from runner import files
from runner.config import Config, state_home
from runner.config.load import cache_path
from runner.doctor import trial
from runner.doctor.check import Check
from runner.errors import RunnerError
from runner.notify.last_good import LastGoodFile
from runner.process.spawn import LaunchError
from runner.records.metadata import Record
from runner.records.summary import facts
from runner.units import format_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

_SECONDS = 300.0


def live(config: Config, name: str, binary: str, environ: Mapping[str, str]) -> Check:
    """Check one run in a scratch repository, with the user's own login; a limit is a warning."""
    try:
        with tempfile.TemporaryDirectory(prefix="runner-doctor-") as root:
            project = trial.make_scratch(root, config, name, _entry(config.agents[name]), environ)
            try:
                done = trial.run(project, trial.live_environment(environ, name, binary), _SECONDS)
            finally:
                _forget(project.folder, environ)
    except (RunnerError, LaunchError) as error:
        return Check("live", "fail", str(error))
    return _live_check(done.record)


def _entry(agent: JsonObject) -> JsonObject:
    """The entry without the commands that precede an unattended run: a person is watching."""
    return {key: value for key, value in agent.items() if key != "preflight"}


def _forget(project: str, environ: Mapping[str, str]) -> None:
    home = state_home(environ)
    if home is not None:
        files.unlink(cache_path(home, project))
        LastGoodFile(home, project).delete()


def _live_check(record: Record) -> Check:
    known = facts(record)
    if record["status"] == "success":
        parts = [format_duration(record["elapsed_seconds"] or 0.0), record["model"], known.tokens]
        return Check("live", "ok", "it answered: " + ", ".join(part for part in parts if part))
    known = facts(record)
    message = record["error"]["message"] if record["error"] else ""
    found = f"{record['status']} ({record['reason']}): {message}"
    if known.retry_at:
        found += f", until {known.retry_at}"
    return Check("live", "warn" if record["status"] == "rate_limited" else "fail", found, known.advice)
