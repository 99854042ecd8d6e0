"""Prompts and templates: where they may stand, their syntax, their variables. Checked for a pair before it runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from fnmatch import fnmatchcase
from itertools import islice

from runner import template
from runner.config.config import Config
from runner.config.display import Path, near, show_file
from runner.config.project import UnreadableError, read_below
from runner.errors import ConfigError, Problem
from runner.model import JsonObject
from runner.template.error import unknown_variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Found = Iterator[tuple[Path, str]]

VARIABLES = frozenset("agent task prompt prompt_file model run_id repo project run_dir python vars".split()) | {
    "output_schema",
    "output_schema_file",
}
SHARED_VARIABLES = frozenset(("env",))
DEEP_VARIABLES = frozenset(("server",))
SANDBOX_LISTS = frozenset(("state", "git_dirs", "guarded"))
"""Variables for `each`: the agent's own state, the checkout's git folders, what in these makes git run programs."""
SANDBOX_ITEM = "item"
SANDBOX_VARIABLES = SANDBOX_LISTS | {"home", "logs", "workspace"}
"""What a sandbox's templates may name beyond what an agent's may."""
MAX_PROBLEMS = 100
MAX_PROMPT = 16 * 1024 * 1024
PROMPT_VARIABLES = VARIABLES - {"prompt", "prompt_file"}
_ONLY_SETTING = "of the settings there is the word `{{ settings.test_command }}` alone"
_TEST_COMMAND = re.compile(r"\{\{\s*settings\.test_command\s*\}\}")


def is_test_command(word: str) -> bool:
    """Whether a word of a preflight command stands for the words of the project's test command."""
    return _TEST_COMMAND.fullmatch(word) is not None


def check_pair(config: Config, agent: str, task: str | None) -> None:
    """Raise ConfigError with what is wrong with this pair; `task` None is a run with a prompt of its own."""
    problems = list(islice(_pair_problems(config, agent, task), MAX_PROBLEMS))
    if problems:
        raise ConfigError(problems)


def _pair_problems(config: Config, agent: str, task: str | None) -> Iterator[Problem]:
    yield from agent_problems(config, agent)
    if task is not None:
        yield from task_problems(config, task, agent)
        yield from prompt_problems(config, task, agent)
        yield from output_problems(config, task)


def output_problems(config: Config, name: str) -> Iterator[Problem]:
    """Check the schema of a task's answer."""
    if "output" in config.tasks[name]:
        from runner.config.outputs import problems  # noqa: PLC0415 - brings jsonschema, for such tasks alone

        yield from problems(config, name)


def agent_problems(config: Config, name: str) -> Iterator[Problem]:
    """Check an agent, its sandbox and its parser."""
    agent, path = config.agents[name], ("agents", name)
    names = VARIABLES | set(agent.get("options") or {})
    yield from _check(config, _of_agent(agent, path), names | SHARED_VARIABLES)
    yield from _not_passed(config, agent, path)
    for at, item in enumerate(agent["argv"]):
        if isinstance(item, dict) and item["when"] not in names and not item["when"].startswith("env."):
            yield _problem(config, (*path, "argv", at, "when"), unknown_variable(item["when"], names, 1, 1))
    yield from _check(config, texts_below(agent.get("state"), (*path, "state")), names | SHARED_VARIABLES)
    if agent.get("sandbox"):
        yield from sandbox_problems(config, agent["sandbox"], names)
    yield from _check(config, _files_of_rules(config.parser(agent["parser"]), ("parsers", agent["parser"])), names)


def _not_passed(config: Config, agent: JsonObject, path: Path) -> Iterator[Problem]:
    """Check that an agent's templates name only variables of the environment that `env.pass` lets through."""
    globs = (agent.get("env") or {}).get("pass") or []
    items = [(at, item) for at, item in enumerate(agent["argv"]) if isinstance(item, dict)]
    whens = [((*path, "argv", at, "when"), item["when"]) for at, item in items]
    named = [(where, name[4:], 1, 1) for where, name in whens if name.startswith("env.")]
    named += [(where, *found) for where, text in _of_agent(agent, path) for found in template.names_in_env(text)]
    for where, name, line, column in named:
        if not any(fnmatchcase(name, glob) for glob in globs):
            hint = near(name, globs) or f"only what `env.pass` names is known here: add `{name}` to it"
            yield Problem(
                *config.inside(where, line, column), f"unknown variable `env.{name}`", config.show(*where), hint
            )


def sandbox_problems(config: Config, name: str, names: Set[str]) -> Iterator[Problem]:
    """Check a sandbox; `names` are the variables of the agent that is in it."""
    known = names | SANDBOX_VARIABLES
    for at, item in enumerate(config.sandboxes[name]["argv"]):
        path: Path = ("sandboxes", name, "argv", at)
        if isinstance(item, str):
            yield from _check(config, [(path, item)], known)
            continue
        more = {SANDBOX_ITEM} if "each" in item else set()
        yield from _check(config, texts_below(item["args"], (*path, "args")), known | more)
        if ("when" in item) == ("each" in item):
            yield Problem(*config.locate(*path), "expected either `when` or `each`", config.show(*path))
        elif item.get("when", "agent") not in known:
            yield _problem(config, (*path, "when"), unknown_variable(item["when"], known, 1, 1))


def unused_sandboxes(config: Config) -> Iterator[Problem]:
    """Check the sandboxes that no agent names: with the options of every agent."""
    used = {agent.get("sandbox") for agent in config.agents.values()}
    names = VARIABLES | {option for agent in config.agents.values() for option in agent.get("options") or {}}
    for name in config.sandboxes:
        if name not in used:
            yield from sandbox_problems(config, name, names)


def deep_problems(config: Config, name: str) -> Iterator[Problem]:
    """Check what no run uses, only the doctor."""
    pointing = config.agents[name].get("deep") or {}
    for key in ("env", "files"):
        yield from _check(config, texts_below(pointing.get(key), ("agents", name, "deep", key)), DEEP_VARIABLES)


def task_problems(config: Config, name: str, agent: str | None) -> Iterator[Problem]:
    """Check a task; without an `agent`, with the options of every agent that may run it."""
    task, path = config.tasks[name], ("tasks", name)
    yield from _check(
        config,
        [*_environment(task, path), *_commands(task, path), *_verify(task, path), *_gate(task, path)],
        VARIABLES | options_of(config, name, agent),
    )
    notify = task.get("notify")
    if isinstance(notify, dict):
        yield from _check(config, texts_below(notify, (*path, "notify")), SHARED_VARIABLES)


def prompt_problems(config: Config, name: str, agent: str | None) -> Iterator[Problem]:
    """Check a task's prompt file; without an `agent`, with the options of every agent that may run it."""
    if "prompt" not in config.tasks[name]:  # which has been told
        return
    path = config.tasks[name]["prompt"]
    try:
        text = read_prompt(config, name)
    except UnreadableError as error:
        place = config.locate("tasks", name, "prompt")
        yield Problem(*place, f"the prompt file `{show_file(path)}` {error}", config.show("tasks", name, "prompt"))
        return
    for found in template.check(text, PROMPT_VARIABLES | options_of(config, name, agent)):
        yield Problem(show_file(path), found.line, found.column, found.message, "", found.hint)


def read_prompt(config: Config, name: str) -> str:
    """Return the text of a task's prompt file. Raise UnreadableError."""
    return read_below(config.project.root, config.tasks[name]["prompt"], MAX_PROMPT)


def shared_problems(config: Config) -> Iterator[Problem]:
    yield from _check(config, texts_below(config.notify, ("notify",)), SHARED_VARIABLES)
    yield from _check(config, texts_below(config.settings, ("settings",)), SHARED_VARIABLES)


def options_of(config: Config, task: str, agent: str | None) -> frozenset[str]:
    """Return the options of the agent, without one those of every agent that may run the task."""
    names = (config.tasks[task].get("agents") or config.agents) if agent is None else (agent,)
    agents = (config.agents[name] for name in names if name in config.agents)
    return frozenset(option for entry in agents for option in entry.get("options") or {})


def _of_agent(agent: JsonObject, path: Path) -> Found:
    yield (*path, "binary"), agent["binary"]
    for at, item in enumerate(agent["argv"]):
        if isinstance(item, str):
            yield (*path, "argv", at), item
        else:
            yield from texts_below(item["args"], (*path, "argv", at, "args"))
    yield from texts_below(agent.get("schema_args"), (*path, "schema_args"))
    if "stdin" in agent:
        yield (*path, "stdin"), agent["stdin"]
    for where, content in (agent.get("files") or {}).items():
        yield (*path, "files", where), where
        yield (*path, "files", where), content
    yield from _environment(agent, path)
    yield from _commands(agent, path)


def _environment(entry: JsonObject, path: Path) -> Found:
    return texts_below((entry.get("env") or {}).get("set"), (*path, "env", "set"))


def _commands(entry: JsonObject, path: Path) -> Found:
    for at, words in enumerate(entry.get("preflight") or []):
        named = texts_below(words, (*path, "preflight", at))
        yield from ((where, word) for where, word in named if not is_test_command(word))


def _verify(task: JsonObject, path: Path) -> Found:
    for at, check in enumerate((task.get("verify") or {}).get("checks") or ()):
        yield from texts_below(check["run"], (*path, "verify", "checks", at, "run"))


def _gate(task: JsonObject, path: Path) -> Found:
    return texts_below((task.get("when") or {}).get("run"), (*path, "when", "run"))


def texts_below(value: Any, path: Path) -> Found:
    """Yield every text below a value."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts_below(inner, (*path, key))


def _files_of_rules(rules: Any, path: Path) -> Found:
    """Yield the files that a parser's rules read: `in: {file: ...}`."""
    if isinstance(rules, dict | list):
        for key, inner in rules.items() if isinstance(rules, dict) else enumerate(rules):
            if key == "in" and isinstance(inner, dict) and isinstance(inner.get("file"), str):
                yield (*path, "in", "file"), inner["file"]
            else:
                yield from _files_of_rules(inner, (*path, key))


def _check(config: Config, templates: Iterable[tuple[Path, str]], names: Set[str]) -> Iterator[Problem]:
    for path, text in templates:
        for error in template.check(text, names):
            yield _problem(config, path, error)


def _problem(config: Config, path: Path, error: template.TemplateError) -> Problem:
    place = config.inside(path, error.line, error.column)
    hint = _ONLY_SETTING if "preflight" in path and "`settings`" in error.message else error.hint
    return Problem(*place, error.message, config.show(*path), hint)
