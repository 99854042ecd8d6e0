"""Everything that `runner validate` looks at beyond syntax, schema and inheritance."""

from __future__ import annotations

from itertools import chain, islice

from runner.config.build import MAX_PROBLEMS
from runner.config.choices import agent_choices, task_choices
from runner.config.pairs import pair_problems
from runner.config.prompts import prompt_problems
from runner.config.schedules import quiet_problems, schedule_problems
from runner.config.templates import agent_problems, deep_problems, shared_problems, task_problems, unused_sandboxes
from runner.config.warnings import agent_warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.config.value import Config
    from runner.errors import Problem


def check_all(config: Config) -> list[Problem]:
    """The problems and warnings of every agent and task; at most a few more than are shown."""
    agents = (
        problem
        for name in config.agents
        for check in (agent_problems, deep_problems, agent_choices, agent_warnings)
        for problem in check(config, name)
    )
    tasks = (
        problem
        for name in config.tasks
        for problem in chain(
            task_problems(config, name, None),
            prompt_problems(config, name, None),
            task_choices(config, name),
            pair_problems(config, name),
            schedule_problems(config, name),
        )
    )
    shared = chain(
        unused_sandboxes(config), shared_problems(config), quiet_problems(config, config.notify, ("notify",))
    )
    return list(islice(chain(agents, tasks, shared), MAX_PROBLEMS + 1))
