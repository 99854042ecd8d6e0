"""The words about agents.yaml and tasks.yaml."""

from __future__ import annotations

import os
import time

import click

from runner.cli import names
from runner.cli.app import Commands, app, json_option
from runner.commands import agents as agents_command
from runner.commands import init as init_command
from runner.commands import schema as schema_command
from runner.commands import tasks as tasks_command
from runner.commands import validate as validate_command
from runner.commands.open import open_project


@app.command()
@click.pass_obj
def init(project: str | None, /) -> int:
    """Write a first agents.yaml, tasks.yaml and prompt; overwrites nothing.

    \b
    Example:
      runner init
    """
    return init_command.init(project)


@app.group(invoke_without_command=True, cls=Commands)
@json_option
@click.pass_context
def agents(ctx: click.Context, as_json: bool) -> int:
    """List the agents that one may run.

    \b
    Examples:
      runner agents
      runner agents --json
      runner agents show demo
      runner agents clear demo
    """
    if ctx.invoked_subcommand is None:
        opened = open_project(ctx.obj)
        cooling = agents_command.cooling_now(opened.logs, time.time())
        return agents_command.list_agents(opened.config, dict(os.environ), as_json, cooling)
    return 0


@agents.command("show")
@click.argument("name", shell_complete=names.agents)
@json_option
@click.pass_obj
def agents_show(project: str | None, /, name: str, as_json: bool) -> int:
    """Print the merged entry of an agent, with the file and line of each key.

    \b
    Example:
      runner agents show demo
    """
    opened = open_project(project)
    cooling = agents_command.cooling_now(opened.logs, time.time())
    return agents_command.show_agent(opened.config, name, as_json, cooling.get(name))


@agents.command("clear")
@click.argument("name", shell_complete=names.agents)
@click.pass_obj
def agents_clear(project: str | None, /, name: str) -> int:
    """End the cooldown of an agent, so that unattended runs try it again.

    \b
    Example:
      runner agents clear demo
    """
    opened = open_project(project)
    return agents_command.clear_agent(opened.config, opened.logs, name)


@app.group(invoke_without_command=True, cls=Commands)
@json_option
@click.pass_context
def tasks(ctx: click.Context, as_json: bool) -> int:
    """List the tasks that one may run.

    \b
    Examples:
      runner tasks
      runner tasks --json
      runner tasks show debug_hello_simple
    """
    if ctx.invoked_subcommand is None:
        return tasks_command.list_tasks(open_project(ctx.obj).config, as_json)
    return 0


@tasks.command("show")
@click.argument("name", shell_complete=names.tasks)
@json_option
@click.pass_obj
def tasks_show(project: str | None, /, name: str, as_json: bool) -> int:
    """Print the merged entry of a task, with the file and line of each key.

    \b
    Example:
      runner tasks show debug_hello_simple
    """
    return tasks_command.show_task(open_project(project).config, name, as_json)


@app.command()
@click.argument("paths", nargs=-1, type=click.Path())
@click.option(
    "--format", "fmt", type=click.Choice(["text", "json", "github", "junit"]), default="text", help="Default: text."
)
@click.pass_obj
def validate(project: str | None, /, paths: tuple[str, ...], fmt: str) -> int:
    """Check agents.yaml, tasks.yaml, templates, parser rules and prompts; exit code 3 when something is wrong.

    \b
    Examples:
      runner validate
      runner validate --format github
    """
    return validate_command.validate(paths, fmt, project)


@app.command()
@click.argument("name", type=click.Choice(schema_command.NAMES))
def schema(name: str) -> int:
    """Print the JSON Schema of agents.yaml, tasks.yaml, a run's metadata.json, or of what a command prints by --json.

    \b
    Example:
      runner schema agents
    """
    return schema_command.print_schema(name)
