"""One run of an agent by `runner run`, in a temporary project: its entry and parser, one task, an empty checkout."""

from __future__ import annotations

import fnmatch
import json
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import yaml

from runner import files, git, template
from runner.config import Config, stock_dir
from runner.errors import RunnerError, UsageError
from runner.process import capture
from runner.records.metadata import Record
from runner.run.plan import binary_variable
from runner.text import one_line
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

TASK = "debug_hello_simple"
_PROMPT = os.path.join("prompts", f"{TASK}.md")
_GITCONFIG = "[user]\n  name = runner doctor\n  email = doctor@localhost\n"
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
class Scratch:
    """`folder` holds the YAML and the logs, `repo` is where the agent works, `home` is a home folder."""

    root: str
    agent: str

    @property
    def folder(self) -> str:
        return os.path.join(self.root, "project")

    @property
    def repo(self) -> str:
        return os.path.join(self.root, "repo")

    @property
    def home(self) -> str:
        return os.path.join(self.root, "home")


def make_scratch(root: str, config: Config, name: str, entry: JsonObject, environ: Mapping[str, str]) -> Scratch:
    """Make the project; `entry` is what the agent runs by. Raises RunnerError."""
    scratch = Scratch(root, name)
    for folder in (scratch.folder, scratch.repo, scratch.home, os.path.join(scratch.folder, "prompts")):
        os.mkdir(folder, 0o700)
    for file, data in (("agents.yaml", _agents(config, name, entry)), ("tasks.yaml", _tasks(config, environ))):
        files.write_text(os.path.join(scratch.folder, file), _as_yaml(data))
    with open(os.path.join(stock_dir(), _PROMPT), encoding="utf-8") as prompt:
        files.write_text(os.path.join(scratch.folder, _PROMPT), prompt.read())
    init_repository(scratch.repo, scratch.home, environ)
    return scratch


def init_repository(repo: str, home: str, environ: Mapping[str, str]) -> None:
    """Make a repository with one commit, by an identity of its own in `home`. Raises RunnerError."""
    files.write_text(os.path.join(home, ".gitconfig"), _GITCONFIG)
    for words in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", "first"]):
        (done,) = git.run_all([words], repo, {**environ, "HOME": home})
        if done.code != 0:
            raise RunnerError(f"cannot make a scratch repository: {done.err.decode(errors='replace').strip()}")


def _agents(config: Config, name: str, entry: JsonObject) -> JsonObject:
    parser, sandbox = entry["parser"], entry.get("sandbox")
    return {
        "stock": False,
        "agents": {name: entry},
        "parsers": {parser: config.parser(parser)},
        **({"sandboxes": {sandbox: config.sandboxes[sandbox]}} if sandbox else {}),
    }


def _tasks(config: Config, environ: Mapping[str, str]) -> JsonObject:
    home = environ.get("HOME", "")
    folders = [
        os.path.join(home, path[2:]) if path.startswith("~/") else path for path in config.settings.get("path") or []
    ]
    return {"stock": False, "settings": {"path": folders}, "tasks": {TASK: {"prompt": _PROMPT}}}


def _as_yaml(data: JsonObject) -> str:
    # JSON is not quite YAML: it writes some characters as two.
    plain = json.loads(json.dumps(data))  # without shared parts, which would become anchors
    text: str = yaml.safe_dump(plain, sort_keys=False)
    return text


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
    kept = {name: value for name, value in environ.items() if name not in _NOT_FOR_A_TRIAL}
    return {**kept, binary_variable(agent): binary}


def walled_environment(
    environ: Mapping[str, str], binary: str, scratch: Scratch, pointing: Mapping[str, str]
) -> dict[str, str]:
    """Only what programs need to start, without home folder, keys or network."""
    variables = {**harmless(environ), **WALL, "HOME": scratch.home, **pointing}
    return {**variables, binary_variable(scratch.agent): binary}


def harmless(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that programs need to start, and that hold no login."""
    return {
        name: value
        for name, value in environ.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in _HARMLESS)
    }


def write_files(home: str, given: Mapping[str, str], said: str) -> None:
    """Write settings files below a scratch home; `said` named them. Raises UsageError for one that leads out of it."""
    for path, content in given.items():
        where = os.path.normpath(os.path.join(home, path))
        if not where.startswith(os.path.join(home, "")):
            raise UsageError(f"`{said}`: `{path}` is not below the home folder")
        os.makedirs(os.path.dirname(where), mode=0o700, exist_ok=True)
        with open(where, "w", encoding="utf-8") as file:
            file.write(content)


def rendered(given: Mapping[str, str], server: str) -> dict[str, str]:
    """Render the values of `deep.env` or `deep.files`. Raises RunnerError."""
    try:
        return {name: template.render(text, {"server": server}) for name, text in given.items()}
    except template.TemplateError as error:
        raise RunnerError(f"`deep`: {error.message}") from None
