"""What may complete an argument: the names of agents, tasks, parsers and runs, folders and files."""

from __future__ import annotations

import os
from collections.abc import Sequence

from click.shell_completion import CompletionItem

from runner.commands.open_logs import open_logs
from runner.config import find_project, load, state_home
from runner.history.index import Index
from runner.history.queries import Filter, entries

TYPE_CHECKING = False
if TYPE_CHECKING:
    import click

    Items = list[CompletionItem[str]]

_RUNS = 50


def agents(ctx: click.Context, _: click.Parameter, incomplete: str) -> Items:
    return _entries("agents", ctx, incomplete)


def tasks(ctx: click.Context, _: click.Parameter, incomplete: str) -> Items:
    return _entries("tasks", ctx, incomplete)


def parsers(ctx: click.Context, _: click.Parameter, incomplete: str) -> Items:
    return _entries("parsers", ctx, incomplete)


def agent_then_task(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Complete the two arguments of `runner run`; `--agent` and `--task` replace them."""
    free = [name for name in ("agent", "task") if ctx.params.get(name) is None]
    given: Sequence[str] = ctx.params.get("names") or ()
    if len(given) >= len(free):
        return []
    complete = agent_list if free[len(given)] == "agent" else tasks
    return complete(ctx, parameter, incomplete)


def agent_list(ctx: click.Context, _: click.Parameter, incomplete: str) -> Items:
    """Complete the last agent of `a,b`, with one not named before."""
    before, comma, last = incomplete.rpartition(",")
    taken = before.split(",") if comma else []
    items = [item for item in _entries("agents", ctx, last) if item.value not in taken]
    return [CompletionItem(f"{before}{comma}{item.value}", help=item.help) for item in items]


def folders(_: click.Context, __: click.Parameter, incomplete: str) -> Items:
    return [CompletionItem(incomplete, type="dir")]


def files(_: click.Context, __: click.Parameter, incomplete: str) -> Items:
    return [CompletionItem(incomplete, type="file")]


def runs(ctx: click.Context, _: click.Parameter, incomplete: str) -> Items:
    """Complete the id of one of the newest runs."""
    logs = open_logs(ctx.find_root().params.get("project"), closing=False)
    found = entries(Index(logs), Filter(limit=_RUNS))
    return [
        CompletionItem(entry["run_id"], help=f"{entry['agent']} {entry['task']} {entry['status']}")
        for entry in found
        if entry["run_id"].startswith(incomplete)
    ]


def _entries(section: str, ctx: click.Context, incomplete: str) -> Items:
    """Raises RunnerError where the configuration is missing or wrong."""
    folder = ctx.find_root().params.get("project")
    project = find_project(os.getcwd(), os.path.expanduser(folder) if folder else None)
    found = getattr(load(project, state_home(os.environ)), section)
    return [
        CompletionItem(name, help=found[name].get("description"))
        for name in sorted(found)
        if name.startswith(incomplete)
    ]
