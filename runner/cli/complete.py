"""`runner completion`: what may stand for the argument that is being typed: names of the project, folders and files."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete

from runner.cli.app import app
from runner.cli.reader import implied_run
from runner.commands._logs import open_logs
from runner.commands.completion import Item, print_items, print_script
from runner.config import find_project, load, state_home
from runner.errors import RunnerError
from runner.history.index import Index
from runner.history.queries import Filter, entries

Items = list[CompletionItem[str]]

_RUNS = 50


def completion(shell: str, args: Sequence[str]) -> int:
    """Print the shell's script, or with `args` what completes the last of them: the script calls back with these."""
    if not args:
        return print_script(shell)
    return print_items(complete(args_of_bash(args) if shell == "bash" else args))


def complete(args: Sequence[str]) -> list[Item]:
    """Return what may stand for the last argument; nothing where the configuration or those before are wrong."""
    *before, incomplete = implied_run(list(args))
    try:
        found = ShellComplete(app, {}, "runner", "").get_completions(before, incomplete)
    except (RunnerError, click.ClickException, OSError):
        return []
    # `--format=js` is one argument except for bash, and stays one.
    option = incomplete.partition("=")[0] + "=" if incomplete.startswith("-") and "=" in incomplete else ""
    return [_item(item, option) for item in found]


def _item(item: CompletionItem[str], option: str) -> Item:
    return Item(item.type, option + item.value, item.help or "")


def args_of_bash(words: Sequence[str]) -> list[str]:
    """Undo what bash does: it hands over words as they were typed, quotes included, and `--format=js` as three."""
    joined: list[str] = []
    for word in words:
        if joined and (word == "=" or joined[-1].endswith("=")) and joined[-1].startswith("--"):
            joined[-1] += _unquoted(word)
        else:
            joined.append(_unquoted(word))
    return joined


def _unquoted(word: str) -> str:
    try:
        return "".join(shlex.split(word))
    except ValueError:
        return word


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


def run_or_agent_then_file(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Complete what `runner parse` takes: with --check agents, else a run, or an agent and a file."""
    given: Sequence[str] = ctx.params.get("names") or ()
    if ctx.params.get("check"):
        return agents(ctx, parameter, incomplete)
    if given:
        return files(ctx, parameter, incomplete)
    return [*agents(ctx, parameter, incomplete), *runs(ctx, parameter, incomplete)]


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
