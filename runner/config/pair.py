"""What is checked for the chosen agent and task alone, each time they run: prompt, templates, parser rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.templates import agent_problems, prompt_problems, task_problems
from runner.errors import ConfigError

if TYPE_CHECKING:
    from runner.config.value import Config


def check_pair(config: Config, agent: str, task: str | None) -> None:
    """Raises ConfigError with everything that is wrong with this pair; `task` None is a run with its own prompt."""
    problems = agent_problems(config, agent)
    if task is not None:
        problems += [*task_problems(config, task, agent), *prompt_problems(config, task, agent)]
    if problems:
        raise ConfigError(problems)
