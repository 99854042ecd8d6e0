"""The templates of an agent and a task, and the prompt: syntax, variables, files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner import template
from runner.config.paths import show_path
from runner.config.snapshot import UnreadableError, read_file, shown
from runner.errors import Problem
from runner.template.error import unknown_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Set

    from runner.config.paths import Path
    from runner.config.value import Config
    from runner.model import JsonObject

VARIABLES = frozenset(
    ("agent", "task", "prompt", "prompt_file", "model", "run_id", "repo", "project", "run_dir", "python", "vars")
)
_NOT_IN_PROMPT = frozenset(("prompt", "prompt_file"))
MAX_PROMPT = 4 * 1024 * 1024


def agent_problems(config: Config, name: str) -> list[Problem]:
    agent = config.agents[name]
    names = VARIABLES | set(agent.get("options") or {})
    path: Path = ("agents", name)
    problems = _check_all(config, list(_agent_templates(agent, path)), names)
    for at, item in enumerate(agent["argv"]):
        if isinstance(item, dict) and item["when"] not in names:
            problems.append(_inside(config, (*path, "argv", at, "when"), unknown_variable(item["when"], names, 1, 1)))
    sandbox = agent.get("sandbox")
    if sandbox is not None and sandbox in config.sandboxes:
        words = config.sandboxes[sandbox]["argv"]
        problems += _check_all(config, _listed(words, ("sandboxes", sandbox, "argv")), names)
    return problems


def task_problems(config: Config, name: str, agent: str | None) -> list[Problem]:
    """`agent` None: with the options of every agent that may run the task."""
    task = config.tasks[name]
    path: Path = ("tasks", name)
    names = VARIABLES | _options(config, agent)
    return _check_all(config, [*_environment(task, path), *_commands(task, path)], names)


def prompt_problems(config: Config, name: str, agent: str | None) -> list[Problem]:
    """The prompt file of a task: it lies where it may, it can be read, its template is right."""
    path = config.tasks[name]["prompt"]
    try:
        text = read_prompt(path)
    except UnreadableError as error:
        return [
            Problem(*config.locate("tasks", name, "prompt"), f"the prompt `{path}` {error}", f"tasks.{name}.prompt")
        ]
    names = (VARIABLES - _NOT_IN_PROMPT) | _options(config, agent)
    return [
        Problem(shown(path), error.line, error.column, error.message, "", error.hint)
        for error in template.check(text, names)
    ]


def read_prompt(path: str) -> str:
    """Raises UnreadableError."""
    try:
        return read_file(path, MAX_PROMPT).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError("is not UTF-8") from None


def _options(config: Config, agent: str | None) -> set[str]:
    agents = config.agents if agent is None else (agent,)
    return {option for name in agents for option in config.agents[name].get("options") or {}}


def _agent_templates(agent: JsonObject, path: Path) -> Iterator[tuple[Path, str]]:
    yield (*path, "binary"), agent["binary"]
    for at, item in enumerate(agent["argv"]):
        if isinstance(item, str):
            yield (*path, "argv", at), item
        else:
            yield from _listed(item["args"], (*path, "argv", at, "args"))
    if agent.get("stdin") is not None:
        yield (*path, "stdin"), agent["stdin"]
    for where, content in (agent.get("files") or {}).items():
        yield (*path, "files", where), where
        yield (*path, "files", where), content
    yield from _environment(agent, path)
    yield from _commands(agent, path)


def _environment(entry: JsonObject, path: Path) -> Iterator[tuple[Path, str]]:
    for name, value in ((entry.get("env") or {}).get("set") or {}).items():
        yield (*path, "env", "set", name), value


def _commands(entry: JsonObject, path: Path) -> Iterator[tuple[Path, str]]:
    for at, words in enumerate(entry.get("preflight") or []):
        yield from _listed(words, (*path, "preflight", at))


def _listed(words: list[str], path: Path) -> list[tuple[Path, str]]:
    return [((*path, at), word) for at, word in enumerate(words)]


def _check_all(config: Config, templates: Iterable[tuple[Path, str]], names: Set[str]) -> list[Problem]:
    found = ((path, error) for path, text in templates for error in template.check(text, names))
    return [_inside(config, path, error) for path, error in found]


def _inside(config: Config, path: Path, error: template.TemplateError) -> Problem:
    place = config.inside(path, error.line, error.column)
    return Problem(*place, error.message, show_path(path), error.hint)
