"""What is checked for the chosen agent and task alone, each time they run: prompt and templates."""

from __future__ import annotations

from itertools import islice

from runner.config.prompts import prompt_problems
from runner.config.templates import agent_problems, task_problems
from runner.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.value import Config
    from runner.errors import Problem

_ENOUGH = 100


def check_pair(config: Config, agent: str, task: str | None) -> None:
    """Raises ConfigError with what is wrong with this pair; `task` None is a run with a prompt of its own."""
    problems = list(islice(_problems(config, agent, task), _ENOUGH))
    if problems:
        raise ConfigError(problems)


def _problems(config: Config, agent: str, task: str | None) -> Iterator[Problem]:
    yield from agent_problems(config, agent)
    if task is not None:
        yield from task_problems(config, task, agent)
        yield from prompt_problems(config, task, agent)
