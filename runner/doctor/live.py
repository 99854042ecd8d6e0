"""`runner doctor --live`: one run against the real service, in a scratch repository."""

from __future__ import annotations

import tempfile

from runner import files
from runner.config import state_home
from runner.config.load import cache_path
from runner.doctor import scratch, trial
from runner.doctor.check import Check
from runner.errors import RunnerError
from runner.notify.last_valid import Place
from runner.process.spawn import LaunchError
from runner.records.summary import tokens_text
from runner.units import format_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.config import Config
    from runner.model import JsonObject

_SECONDS = 300.0


def live(config: Config, name: str, binary: str, environ: Mapping[str, str]) -> Check:
    """One run in a scratch repository, with the user's own login; a limit is a warning."""
    try:
        with tempfile.TemporaryDirectory(prefix="runner-doctor-") as root:
            place = scratch.make(root, config, name, _entry(config.agents[name]), environ)
            try:
                done = trial.run(place, name, trial.live_environment(environ, name, binary), _SECONDS)
            finally:
                _forget(place.project, environ)
    except (RunnerError, LaunchError) as error:
        return Check("live", "fail", str(error))
    return _live_check(done.record)


def _entry(agent: JsonObject) -> JsonObject:
    """The agent without the commands that come before an unattended run: somebody looks on."""
    return {key: value for key, value in agent.items() if key != "preflight"}


def _forget(project: str, environ: Mapping[str, str]) -> None:
    """The cache and the memory of a project that is gone."""
    home = state_home(environ)
    if home is not None:
        files.unlink(cache_path(home, project))
        Place(home, project).forget()


def _live_check(record: JsonObject) -> Check:
    if record["status"] == "success":
        facts = [format_duration(record["elapsed_seconds"]), record["model"], tokens_text(record)]
        return Check("live", "ok", "it answered: " + ", ".join(fact for fact in facts if fact))
    error = record["error"]
    found = f"{record['status']} ({record['reason']}): {error['message']}"
    if error["retry_at"]:
        found += f", until {error['retry_at']}"
    return Check("live", "warn" if record["status"] == "rate_limited" else "fail", found, record["advice"])
