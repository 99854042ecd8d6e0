"""One run of an agent in a scratch project, by `runner run`."""

from __future__ import annotations

import fnmatch
import json
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from runner import template
from runner.doctor.scratch import TASK, Scratch
from runner.errors import RunnerError
from runner.process import capture
from runner.records.metadata import Record
from runner.run.plan import binary_variable
from runner.text import one_line
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

_CLOSING_SECONDS = 60.0  # for the runner itself, on top of the run's timeout
_GRACE = 15.0
_HARMLESS = ("PATH", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LC_*", "TZ", "TMPDIR", "RUNNER_CONTAINMENT")
_NOT_FOR_A_TRIAL = ("RUNNER_PROJECT", "AGENT_RUNNER_TIMEOUT_SECONDS")
_CLOSED = "http://127.0.0.1:9"
# A program that heeds these reaches only loopback: no service, no package registry.
WALL = {
    "HTTP_PROXY": _CLOSED,
    "HTTPS_PROXY": _CLOSED,
    "http_proxy": _CLOSED,
    "https_proxy": _CLOSED,
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "npm_config_registry": f"{_CLOSED}/",
}


@dataclass(frozen=True)
class Trial:
    """`record` is metadata.json of the run; the outputs are those of the agent."""

    record: Record
    stdout: bytes
    transcript: bytes


def run(
    scratch: Scratch,
    environ: Mapping[str, str],
    seconds: float,
    model: str | None = None,
    *,
    around: AbstractContextManager[object] | None = None,
) -> Trial:
    """Run the agent; `around` is entered once the command has started, so that no thread runs during the fork.

    Raises RunnerError.
    """
    words = ["run", scratch.agent, TASK, "--json", "--repo", scratch.repo, "--timeout", f"{seconds:g}s"]
    argv = [sys.executable, "-P", "-m", "runner", "-C", scratch.folder, *words, *(["--model", model] if model else [])]
    child = capture.start(argv, environ, scratch.folder)
    with around or nullcontext():
        done = capture.finish(child, seconds + _CLOSING_SECONDS, _GRACE)
    try:
        record = json.loads(done.out)
        folder = os.path.join(scratch.folder, "logs", TASK, scratch.agent, record["run_id"])
    except (ValueError, KeyError, TypeError):
        raise RunnerError(one_line(done.err.decode(errors="replace")) or f"the run ended with {done.code}") from None
    return Trial(record, _read(os.path.join(folder, "stdout.log")), _read(os.path.join(folder, "transcript.log")))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # a skipped run has none
        return b""


def live_environment(environ: Mapping[str, str], agent: str, binary: str) -> dict[str, str]:
    """The user's own environment, logins included."""
    kept = {name: value for name, value in environ.items() if name not in _NOT_FOR_A_TRIAL}
    return {**kept, binary_variable(agent): binary}


def walled_environment(
    environ: Mapping[str, str], binary: str, scratch: Scratch, pointing: Mapping[str, str]
) -> dict[str, str]:
    """Only what programs need to start, without home folder, keys or network."""
    kept = {
        name: value
        for name, value in environ.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in _HARMLESS)
    }
    return {**kept, **WALL, "HOME": scratch.home, **pointing, binary_variable(scratch.agent): binary}


def write_files(scratch: Scratch, given: Mapping[str, str]) -> None:
    """Write settings files below the scratch home. Raises RunnerError for a path that leads out of it."""
    for path, content in given.items():
        where = os.path.normpath(os.path.join(scratch.home, path))
        if not where.startswith(os.path.join(scratch.home, "")):
            raise RunnerError(f"`deep.files`: `{path}` is not below the home folder")
        os.makedirs(os.path.dirname(where), mode=0o700, exist_ok=True)
        with open(where, "w", encoding="utf-8") as file:
            file.write(content)


def rendered(given: Mapping[str, str], server: str) -> dict[str, str]:
    """Render the values of `deep.env` or `deep.files`. Raises RunnerError."""
    try:
        return {name: template.render(text, {"server": server}) for name, text in given.items()}
    except template.TemplateError as error:
        raise RunnerError(f"`deep`: {error.message}") from None
