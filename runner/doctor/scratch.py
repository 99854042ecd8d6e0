"""A temporary project of one agent: its entry and parser, one task, an empty checkout, a home folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from runner import files, git
from runner.config import Config, stock_dir
from runner.errors import RunnerError
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

TASK = "debug_hello_simple"
_PROMPT = os.path.join("prompts", f"{TASK}.md")
_GITCONFIG = "[user]\n  name = runner doctor\n  email = doctor@localhost\n"


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


def make(root: str, config: Config, name: str, entry: JsonObject, environ: Mapping[str, str]) -> Scratch:
    """Make the project; `entry` is what the agent runs by. Raises RunnerError."""
    scratch = Scratch(root, name)
    for folder in (scratch.folder, scratch.repo, scratch.home, os.path.join(scratch.folder, "prompts")):
        os.mkdir(folder, 0o700)
    for file, data in (("agents.yaml", _agents(config, name, entry)), ("tasks.yaml", _tasks(config, environ))):
        files.write_text(os.path.join(scratch.folder, file), _as_yaml(data))
    with open(os.path.join(stock_dir(), _PROMPT), encoding="utf-8") as prompt:
        files.write_text(os.path.join(scratch.folder, _PROMPT), prompt.read())
    files.write_text(os.path.join(scratch.home, ".gitconfig"), _GITCONFIG)
    for words in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", "first"]):
        (done,) = git.run_all([words], scratch.repo, {**environ, "HOME": scratch.home})
        if done.code != 0:
            raise RunnerError(f"cannot make a scratch repository: {done.err.decode(errors='replace').strip()}")
    return scratch


def _agents(config: Config, name: str, entry: JsonObject) -> JsonObject:
    parser, sandbox = entry["parser"], entry.get("sandbox")
    return {
        "stock": False,
        "agents": {name: entry},
        "parsers": {parser: config.parser(parser)},
        **({"sandboxes": {sandbox: config.sandboxes[sandbox]}} if sandbox else {}),
    }


def _tasks(config: Config, environ: Mapping[str, str]) -> JsonObject:
    """The task, without a channel for messages."""
    home = environ.get("HOME", "")
    folders = [
        os.path.join(home, path[2:]) if path.startswith("~/") else path for path in config.settings.get("path") or []
    ]
    return {"stock": False, "settings": {"path": folders}, "tasks": {TASK: {"prompt": _PROMPT}}}


def _as_yaml(data: JsonObject) -> str:
    # JSON is not quite YAML: it writes some characters as two. Heavy, and only these trials need it.
    import yaml  # noqa: PLC0415

    plain = json.loads(json.dumps(data))  # without shared parts, which would become anchors
    text: str = yaml.safe_dump(plain, sort_keys=False)
    return text
