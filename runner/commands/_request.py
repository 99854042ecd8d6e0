"""What `runner run` was asked for: its arguments, and the agents that may try, each with what it would run with."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from runner.config import Config, check_pair, read_prompt
from runner.errors import ConfigError, UsageError, did_you_mean
from runner.model import JsonObject, Request
from runner.run.plan import PROMPT_TASK, RunConfig
from runner.values import dataclass, field, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TEMPLATES = re.compile(r"\{[{%].*?[}%]\}", re.DOTALL)
_VARIABLE = re.compile(r"""\bvars\s*(?:\.\s*|\[\s*\\?["'])(\w+)""")
_ANY_VARIABLE = re.compile(
    r"""\bvars\b(?!\s*(?:\.\s*\w|\[\s*\\?["']))"""
)  # it takes them all, or one by a name that it makes
Candidates = dict[str, tuple[RunConfig, Request]]


@dataclass(frozen=True)
class RunArguments:
    """`agent` may be several names, with commas between them."""

    agent: str | None = None
    task: str | None = None
    model: str | None = None
    timeout: str | None = None
    wait: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    vars: dict[str, str] = field(default_factory=dict)
    repo: str | None = None
    prompt: str | None = None
    unattended: bool = False
    gate: bool = False
    dry_run: bool = False
    json: bool = False
    project: str | None = None


def run_arguments(names: Sequence[str], **values: Any) -> RunArguments:
    """Join the positional `names` with --agent and --task, which replace them. Raises UsageError for one too many."""
    free = [name for name in ("agent", "task") if values.get(name) is None]
    if len(names) > len(free):
        raise UsageError(f"unexpected argument `{names[-1]}`", hint="the form is `runner run AGENT TASK`")
    return RunArguments(**{**values, **dict(zip(free, names, strict=False))})


def agents_of(text: str) -> tuple[str, ...]:
    """Split `a,b,c` into names. Raises UsageError."""
    names = tuple(name.strip() for name in text.split(","))
    if "" in names:
        raise UsageError(
            f"a name is missing in `{text}`", hint="for example: runner run one,another debug_hello_simple"
        )
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise UsageError(f"the agent `{twice}` is named twice in `{text}`", hint="`retry:` of a task tries one again")
    return names


def candidates(config: Config, names: Sequence[str], request: Request) -> Candidates:
    """Return configuration and request of each agent that may try, in order: `names`, or one and the task's `fallback`.

    Raises UsageError for unknown names and ConfigError for what is wrong in one of the pairs.
    """
    if len(names) == 1 and not _has_no_task(request):
        names = _with_fallback(config, names[0], request.task)
    configs = {name: _run_config(config, name, request) for name in names}
    if len(names) > 1:
        _check_options(request, configs)
    _check_variables(request, configs)
    request = replace(request, heed_cooldown=request.unattended or len(names) > 1)
    return {name: (configs[name], _request_of(name, configs, request)) for name in names}


def _has_no_task(request: Request) -> bool:
    """Tell a run with a prompt of its own."""
    return request.task == PROMPT_TASK and request.prompt is not None


def _with_fallback(config: Config, name: str, task: str) -> tuple[str, ...]:
    fallback = config.task(task).get("fallback")
    if not fallback:
        return (name,)
    from runner.run.retry import chain_of  # noqa: PLC0415 - few tasks have one: the others start sooner without this module

    names = chain_of(name, fallback)
    if any(other not in config.agents for other in names[1:]):
        from runner.config.checks import named_agents  # noqa: PLC0415 - brings cronsim, for an error alone

        raise ConfigError(named_agents(config, task))
    return names


def _run_config(config: Config, name: str, request: Request) -> RunConfig:
    agent = config.agent(name)
    taskless = _has_no_task(request)
    task: JsonObject = {} if taskless else config.task(request.task)
    check_pair(config, name, None if taskless else request.task)
    prompt = read_prompt(config, request.task) if request.prompt is None else request.prompt
    parser, sandbox = config.parser(agent["parser"]), config.sandboxes.get(agent.get("sandbox") or "")
    found = RunConfig(agent, task, parser, config.settings, config.digest, prompt, sandbox, locate=config.locate)
    if "output" not in task:
        return found
    from runner.config.outputs import read_schema  # noqa: PLC0415 - few tasks ask for an answer

    return replace(found, schema=read_schema(config, request.task))


def _check_options(request: Request, configs: dict[str, RunConfig]) -> None:
    """Raises UsageError for an option that none of the agents has."""
    known = {option for config in configs.values() for option in config.agent.get("options") or {}}
    for option in request.options:
        if option not in known:
            raise UsageError(f"none of the agents has an option `{option}`", hint=did_you_mean(option, known))


def _check_variables(request: Request, configs: dict[str, RunConfig]) -> None:
    """Raises UsageError for a variable that neither the task names nor a template of the run uses."""
    known: set[str] = set()
    for config in configs.values() if request.vars else ():
        prompt = config.prompt if request.prompt is None else ""  # a text of the command line is no template
        used = "".join(_TEMPLATES.findall(f"{json.dumps([config.agent, config.task, config.sandbox])}{prompt}"))
        if _ANY_VARIABLE.search(used):
            return
        known |= {*config.task.get("vars", {}), *_VARIABLE.findall(used)}
    for name in request.vars:
        if name not in known:
            names = ", ".join(f"`{other}`" for other in sorted(known)) or "none"
            raise UsageError(f"nothing uses the variable `{name}`", hint=did_you_mean(name, known) or f"known: {names}")


def _request_of(name: str, configs: dict[str, RunConfig], request: Request) -> Request:
    """Give the model to the first agent alone, as others know other models, and an option to those that have it."""
    if len(configs) == 1:
        return replace(request, agent=name)
    own = configs[name].agent.get("options") or {}
    return replace(
        request,
        agent=name,
        model=request.model if name == next(iter(configs)) else None,
        options={option: value for option, value in request.options.items() if option in own},
    )
