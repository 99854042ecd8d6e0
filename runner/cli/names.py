"""What completes a word of a command line that names an agent, a task, a parser or a folder."""

from __future__ import annotations

import os

from click.shell_completion import CompletionItem

from runner.commands.open_logs import open_logs
from runner.config import find_project, load, state_home
from runner.history.index import Index
from runner.history.queries import Filter, entries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

    Items = list[CompletionItem[str]]

_RUNS = 50


def agents(ctx: click.Context, _: click.Parameter, begun: str) -> Items:
    return _entries("agents", ctx, begun)


def tasks(ctx: click.Context, _: click.Parameter, begun: str) -> Items:
    return _entries("tasks", ctx, begun)


def parsers(ctx: click.Context, _: click.Parameter, begun: str) -> Items:
    return _entries("parsers", ctx, begun)


def agent_then_task(ctx: click.Context, _: click.Parameter, begun: str) -> Items:
    """The two words of `runner run`, of which `--agent` and `--task` take the place."""
    free = [name for name in ("agent", "task") if ctx.params.get(name) is None]
    said: Sequence[str] = ctx.params.get("names") or ()
    if len(said) >= len(free):
        return []
    kind = free[len(said)]
    return agent_list(ctx, _, begun) if kind == "agent" else _entries(f"{kind}s", ctx, begun)


def agent_list(ctx: click.Context, _: click.Parameter, begun: str) -> Items:
    """The last of several agents, `a,b`; none is named twice."""
    before, comma, last = begun.rpartition(",")
    taken = before.split(",") if comma else []
    items = [item for item in _entries("agents", ctx, last) if item.value not in taken]
    return [CompletionItem(f"{before}{comma}{item.value}", help=item.help) for item in items]


def folders(_: click.Context, __: click.Parameter, begun: str) -> Items:
    return [CompletionItem(begun, type="dir")]


def runs(ctx: click.Context, _: click.Parameter, begun: str) -> Items:
    """The newest ids."""
    logs = open_logs(ctx.find_root().params.get("project"), closing=False)
    found = entries(Index(logs), Filter(limit=_RUNS))
    return [
        CompletionItem(entry["run_id"], help=f"{entry['agent']} {entry['task']} {entry['status']}")
        for entry in found
        if entry["run_id"].startswith(begun)
    ]


RUN_VALUES = {"agent": agent_list, "task": tasks, "repo": folders}


def _entries(section: str, ctx: click.Context, begun: str) -> Items:
    """Raises RunnerError where there is no sound configuration."""
    said = ctx.find_root().params.get("project")
    project = find_project(os.getcwd(), os.path.expanduser(said) if said else None)
    found = getattr(load(project, state_home(os.environ)), section)
    return [
        CompletionItem(name, help=found[name].get("description")) for name in sorted(found) if name.startswith(begun)
    ]
