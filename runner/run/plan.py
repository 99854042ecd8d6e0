"""Pure: configuration and request → Invocation."""

from __future__ import annotations

import os

from runner import template
from runner.errors import UsageError, did_you_mean
from runner.git import LOCAL_VARS
from runner.model import Invocation, Skipped
from runner.run.environment import BASE_ENVIRONMENT, matcher, passed
from runner.run.limits import budget_of, expectations_of, limits_of
from runner.run.requires import expand, missing_of
from runner.run.site import Machine
from runner.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    from runner.model import JsonObject, Request

    Locate: TypeAlias = Callable[..., tuple[str, int, int]]

RUN_ID_VARIABLE = "RUNNER_RUN_ID"
RUN_DIR_VARIABLE = "RUNNER_RUN_DIR"
PROMPT_TASK = "prompt"


class TemplateFaultError(Exception):
    """A template of the configuration that cannot be rendered: where it stands, and what is wrong in it."""

    def __init__(self, path: tuple[str | int, ...], error: template.TemplateError) -> None:
        super().__init__(error.message)
        self.path = path
        self.error = error


def nowhere(*_path: str | int) -> tuple[str, int, int]:
    return "", 0, 0


@dataclass(frozen=True)
class RunConfig:
    """The configuration's part in one run: merged mappings, as config.load gives them.

    `locate` gives file, line and column of a value, by its path. `schema` is the text of the one of the task's output.
    """

    agent: JsonObject
    task: JsonObject
    parser: JsonObject
    settings: JsonObject
    digest: str
    prompt: str
    sandbox: JsonObject | None = None
    schema: str = ""
    locate: Locate = nowhere


def plan(config: RunConfig, request: Request, machine: Machine, run_id: str) -> Invocation:
    """Everything that one run needs, under the given id. Raises UsageError, TemplateFaultError and Skipped."""
    agent, task = config.agent, config.task
    model = _first(
        request.model, _from_environ(agent.get("model"), machine), task.get("model"), _default(agent.get("model"))
    )
    missing = missing_of(request.agent, agent, task, model, machine)
    if missing is not None:
        raise Skipped("missing_requirement", missing)
    run_dir = os.path.join(machine.logs, request.task, request.agent, run_id)
    variables = _variables(request, config, machine, run_dir, model)
    text = (
        config.prompt
        if request.prompt is not None
        else _render(config.prompt, variables, "tasks", request.task, "prompt")
    )
    variables["prompt"] = text
    own = {**variables, "env": passed(agent, task, machine)}
    env = _environment(request, config, {"agents": own, "tasks": variables}, machine)
    prefix, folders = _confined(request.agent, config, variables, env, machine)
    return Invocation(
        run_id=run_id,
        agent=request.agent,
        task=request.task,
        argv=(*prefix, *_argv(request.agent, agent, own, machine), *_schema_args(request.agent, config, own)),
        env=env,
        cwd=machine.repo,
        run_dir=run_dir,
        stdin=_optional(agent.get("stdin"), own, "agents", request.agent, "stdin"),
        prompt=text,
        files=_files(request.agent, agent, own, run_dir),
        model=model,
        limits=limits_of(request.timeout, agent, task, machine.environ),
        expectations=expectations_of(task, agent, config.parser, config.schema),
        parser_name=agent["parser"],
        parser=config.parser,
        trigger=request.trigger,
        config_hash=config.digest,
        install=agent.get("install"),
        attempt=request.attempt,
        previous_run=request.previous_run,
        preflight=_preflight(request, config, {"agents": own, "tasks": variables}) if request.unattended else (),
        wrapped=len(prefix),
        folders=folders,
        verify=_verify(request, config, {"agents": own, "tasks": variables}, machine) if "verify" in task else None,
        when=_when(request.task, task["when"], variables) if "when" in task else None,
        budget=budget_of(agent, task, config.settings),
    )


def _preflight(
    request: Request, config: RunConfig, variables: Mapping[str, Mapping[str, Any]]
) -> tuple[JsonObject, ...]:
    """`variables`: by section, as for `_environment`."""
    from runner.run.preflight import commands  # noqa: PLC0415 - only what a schedule starts needs it

    def render(word: str, *path: str | int) -> str:
        return _render(word, variables[str(path[0])], *path)

    entries = {("agents", request.agent): config.agent, ("tasks", request.task): config.task}
    return commands(entries, config.settings, render)


def _when(task: str, when: JsonObject, variables: Mapping[str, Any]) -> JsonObject:
    words = enumerate(when.get("run", ()))
    return {**when, "run": [_render(word, variables, "tasks", task, "when", "run", at) for at, word in words]}


def _verify(
    request: Request, config: RunConfig, variables: Mapping[str, Mapping[str, Any]], machine: Machine
) -> JsonObject:
    """The checks, with an environment without the agent's own, and the sandbox's words for the checkout and a clone."""
    from runner.run.checks import TREE, planned, verify_settings  # noqa: PLC0415 - only where a task has checks

    given = verify_settings(config.task["verify"])
    checks = planned(given, request.task, lambda word, *path: _render(word, variables["tasks"], *path))
    env = _environment(request, replace(config, agent={}), variables, machine)
    clone = os.path.join(str(variables["agents"]["run_dir"]), TREE)
    there = {**variables["tasks"], "repo": clone}
    prefix, _ = _confined(request.agent, config, variables["tasks"], env, machine)
    tree_prefix, _ = _confined(request.agent, config, there, env, replace(machine, repo=clone))
    return {**given, "checks": checks, "env": env, "prefix": list(prefix), "tree_prefix": list(tree_prefix)}


def _variables(
    request: Request, config: RunConfig, machine: Machine, run_dir: str, model: str | None
) -> dict[str, Any]:
    """What templates may use; an agent's option never hides one of the names that all agents have."""
    return {
        **_options(request, config.agent, config.task, machine),
        "agent": request.agent,
        "task": request.task,
        "prompt_file": os.path.join(run_dir, "prompt.md"),
        "model": model,
        "run_id": os.path.basename(run_dir),
        "repo": machine.repo,
        "project": machine.project,
        "run_dir": run_dir,
        "python": machine.python,
        "vars": {**config.task.get("vars", {}), **request.vars},
        "output_schema": config.schema or None,
        "output_schema_file": config.task["output"]["schema"] if config.schema else None,
    }


def _render(text: str, variables: Mapping[str, object], *path: str | int) -> str:
    try:
        return template.render(text, variables)
    except template.TemplateError as error:
        raise TemplateFaultError(path, error) from None


def _optional(text: str | None, variables: Mapping[str, object], *path: str | int) -> str | None:
    return None if text is None else _render(text, variables, *path)


def _first(*values: Any) -> Any:
    """The first value that is given: neither None nor empty."""
    return next((value for value in values if value not in (None, "")), None)


def _from_environ(rule: JsonObject | None, machine: Machine) -> str | None:
    names = (rule or {}).get("env") or []
    return next((machine.environ[name] for name in names if machine.environ.get(name)), None)


def _default(rule: JsonObject | None) -> Any:
    return (rule or {}).get("default")


def _options(request: Request, agent: JsonObject, task: JsonObject, machine: Machine) -> dict[str, Any]:
    """Every option of the agent with its value: --set, environment, task, default."""
    rules: JsonObject = agent.get("options") or {}
    for name in request.options:
        if name not in rules:
            hint = did_you_mean(name, rules) or ("it has " + (", ".join(f"`{known}`" for known in rules) or "none"))
            raise UsageError(f"agent `{request.agent}` has no option `{name}`", hint=hint)
    values = {}
    for name, rule in rules.items():
        wished = (task.get("options") or {}).get(name)
        value = _first(request.options.get(name), _from_environ(rule, machine), wished, _default(rule))
        choices = rule.get("choices")
        if choices and value is not None and value not in choices:
            allowed = ", ".join(f"`{choice}`" for choice in choices)
            raise UsageError(
                f"option `{name}` of agent `{request.agent}` is `{value}`", hint=f"expected one of {allowed}"
            )
        values[name] = value
    return values


def _argv(name: str, agent: JsonObject, variables: Mapping[str, Any], machine: Machine) -> tuple[str, ...]:
    override = machine.environ.get(binary_variable(name))
    words = [override or _render(agent["binary"], variables, "agents", name, "binary")]
    for index, item in enumerate(agent.get("argv") or []):
        path = ("agents", name, "argv", index)
        if isinstance(item, str):
            words.append(_render(item, variables, *path))
        elif _value(item["when"], variables) not in (None, "", False):
            words += [_render(word, variables, *path, "args", at) for at, word in enumerate(item["args"])]
    return tuple(words)


def _schema_args(name: str, config: RunConfig, variables: Mapping[str, Any]) -> list[str]:
    words = config.agent.get("schema_args", ()) if config.task.get("output", {}).get("from") == "reply" else ()
    return [_render(word, variables, "agents", name, "schema_args", at) for at, word in enumerate(words)]


def _value(name: str, variables: Mapping[str, Any]) -> Any:
    """The variable that a `when` names: `model`, an option, or `env.NAME`."""
    return variables["env"][name[4:]] if name.startswith("env.") else variables.get(name)


def _confined(
    name: str, config: RunConfig, variables: Mapping[str, Any], env: Mapping[str, str], machine: Machine
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sandbox's words, and the folders of the agent's own that must be there to be let in."""
    if config.sandbox is None:
        return (), ()
    from runner.run import sandbox  # noqa: PLC0415 - brings the checks of templates, which most runs do without

    state = sandbox.state_of(name, config.agent, variables, env, _render)
    names = sandbox.variables_of(variables, state, env.get("HOME", ""), machine)
    words = sandbox.prefix(config.agent["sandbox"], config.sandbox["argv"], names, _render)
    return words, tuple(path for path in state if path.endswith("/"))


def binary_variable(agent: str) -> str:
    """The environment variable that overrides an agent's binary."""
    return f"RUNNER_{agent.upper().replace('-', '_')}_BIN"


def _files(name: str, agent: JsonObject, variables: Mapping[str, Any], run_dir: str) -> dict[str, str]:
    files = {}
    for path, content in (agent.get("files") or {}).items():
        where = os.path.join(run_dir, _render(path, variables, "agents", name, "files"))
        files[where] = _render(content, variables, "agents", name, "files", path)
    return files


def _environment(
    request: Request, config: RunConfig, variables: Mapping[str, Mapping[str, Any]], machine: Machine
) -> dict[str, str]:
    """The agent's whole environment: an allow-list, the identity for commits, and the marker of the run.

    `variables`: what the templates of `agents` and those of `tasks` may use.
    """
    places = (("agents", request.agent, config.agent), ("tasks", request.task, config.task))
    rules = [(section, name, entry.get("env") or {}) for section, name, entry in places]
    globs = [*BASE_ENVIRONMENT, *(glob for _, _, rule in rules for glob in rule.get("pass") or [])]
    matches = matcher(globs)
    env = {name: value for name, value in machine.environ.items() if name not in LOCAL_VARS and matches(name)}
    for name, value in machine.identity.items():
        env.setdefault(name, value)
    for section, name, rule in rules:
        for glob in rule.get("unset") or []:
            unwanted = matcher([glob])
            env = {variable: value for variable, value in env.items() if not unwanted(variable)}
        for variable, text in (rule.get("set") or {}).items():
            env[variable] = _render(str(text), variables[section], section, name, "env", "set", variable)
    folders = [expand(folder, machine) for folder in config.settings.get("path") or []]
    env["PATH"] = os.pathsep.join([*folders, env.get("PATH", os.defpath)])
    env[RUN_ID_VARIABLE] = variables["agents"]["run_id"]
    env[RUN_DIR_VARIABLE] = variables["agents"]["run_dir"]
    return env
