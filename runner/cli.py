"""Every click word; each body is one call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from runner import __version__
from runner.commands import agents as agents_command
from runner.commands import heartbeat as heartbeat_command
from runner.commands import notify as notify_command
from runner.commands import parse as parse_command
from runner.commands import run as run_command
from runner.commands import schema as schema_command
from runner.commands import tasks as tasks_command
from runner.commands import validate as validate_command
from runner.commands.open import open_project
from runner.errors import UsageError, did_you_mean
from runner.words import RUN_OPTIONS, RunWords, pairs, place_names

if TYPE_CHECKING:
    from collections.abc import Callable

_WIDTH = {"help_option_names": ["-h", "--help"], "max_content_width": 80}


class _Commands(click.Group):
    """Names the nearest command for a mistyped one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            raise UsageError(
                f"unknown command `{name}`", hint=did_you_mean(name, self.commands) or "see `runner --help`"
            )
        return super().resolve_command(ctx, args)


def call(words: list[str]) -> int:
    """Run one command line; returns its exit code."""
    try:
        return int(app.main(words, prog_name="runner", standalone_mode=False) or 0)
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code


@click.group(cls=_Commands, context_settings=_WIDTH)
@click.option("-C", "--project", metavar="DIR", envvar="RUNNER_PROJECT", help="The project's folder.")
@click.version_option(__version__, prog_name="runner")
@click.pass_context
def app(ctx: click.Context, project: str | None) -> None:
    """Run coding-agent CLIs unattended, and know afterwards what happened.

    \b
    Examples:
      runner run demo debug_hello_simple
      runner run demo document_coverage --timeout 30m
      runner agents
    """
    ctx.obj = project


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _run_options(function: Callable[..., int]) -> Callable[..., int]:
    for option in reversed(RUN_OPTIONS):
        if option.kind == "flag":
            function = click.option(option.flag, option.name, is_flag=True, help=option.help)(function)
        else:
            function = click.option(
                option.flag, option.name, metavar=option.metavar, help=option.help, multiple=option.kind == "pairs"
            )(function)
    return function


@app.command()
@click.argument("names", nargs=-1, metavar="AGENT TASK")
@_run_options
@click.pass_obj
def run(project: str | None, /, names: tuple[str, ...], **said: Any) -> int:
    """Run one agent on one task, and record what happened.

    Exit codes: 0 success, 1 agent error, 10 rate limit, 11 timeout, 12 skipped.

    \b
    Examples:
      runner run demo debug_hello_simple
      runner run demo document_coverage --model opus --timeout 30m
      runner run demo --prompt "Update the changelog and commit."
      runner run demo debug_smoke_commit --var url=http://127.0.0.1:8000/
      runner run demo document_coverage --dry-run
    """
    for option in RUN_OPTIONS:
        if option.kind == "pairs":
            said[option.name] = pairs(option.flag, list(said[option.name]))
    return run_command.run(place_names(RunWords(project=project, **said), list(names)))


@app.group(invoke_without_command=True, cls=_Commands)
@_json_option
@click.pass_context
def agents(ctx: click.Context, as_json: bool) -> int:
    """List the agents that one may run.

    \b
    Examples:
      runner agents
      runner agents --json
      runner agents show demo
    """
    if ctx.invoked_subcommand is None:
        return agents_command.list_agents(open_project(ctx.obj).config, dict(os.environ), as_json)
    return 0


@agents.command("show")
@click.argument("name")
@_json_option
@click.pass_obj
def agents_show(project: str | None, /, name: str, as_json: bool) -> int:
    """Print the merged entry of an agent, with the file and line of each key.

    \b
    Example:
      runner agents show demo
    """
    return agents_command.show_agent(open_project(project).config, name, as_json)


@app.group(invoke_without_command=True, cls=_Commands)
@_json_option
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
@click.argument("name")
@_json_option
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
@click.argument("name", type=click.Choice(["agents", "tasks", "metadata"]))
def schema(name: str) -> int:
    """Print the JSON Schema of agents.yaml, of tasks.yaml or of a run's metadata.json.

    \b
    Example:
      runner schema agents
    """
    return schema_command.print_schema(name)


@app.command()
@click.argument("agent")
@click.argument("stdout", type=click.Path())
@click.option("--stderr", metavar="FILE", type=click.Path(), help="What the agent printed on stderr.")
@click.option("--exit-code", type=int, help="How it ended; negative is a signal. Without: by its timeout.")
@click.option("--at", metavar="TIME", help="When it ended, RFC 3339; relative reset times count from then.")
@click.option("--parser", metavar="NAME", help="Use this parser instead of the agent's own.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--explain", is_flag=True, help="Say which rule gave which value at which line.")
@click.pass_obj
def parse(project: str | None, /, agent: str, stdout: str, **said: Any) -> int:
    """Judge a recorded output of AGENT as a run would be judged.

    \b
    Examples:
      runner parse demo stdout.log --exit-code 0
      runner parse demo stdout.log --stderr stderr.log --exit-code 1 --json
    """
    return parse_command.parse(open_project(project).config, agent, stdout, **said)


@app.group(cls=_Commands)
def notify() -> None:
    """Test the message channels, and look after the messages that wait.

    \b
    Examples:
      runner notify test
      runner notify list
      runner notify flush
    """


@notify.command("test")
@click.pass_obj
def notify_test(project: str | None, /) -> int:
    """Send a message by every configured channel, now.

    \b
    Example:
      runner notify test
    """
    return notify_command.test(open_project(project))


@notify.command("list")
@_json_option
@click.pass_obj
def notify_list(project: str | None, /, as_json: bool) -> int:
    """List the messages that wait, and the dead letters.

    \b
    Example:
      runner notify list
    """
    return notify_command.list_messages(open_project(project), as_json=as_json)


@notify.command("flush")
@click.pass_obj
def notify_flush(project: str | None, /) -> int:
    """Close lost runs and send what waits; exit code 1 when something remains.

    \b
    Example:
      runner notify flush
    """
    return notify_command.flush(open_project(project))


@notify.command("history")
@click.option("--since", metavar="TIME", default="12h", show_default=True, help="`2h`, `all`, or a message id.")
@_json_option
@click.pass_obj
def notify_history(project: str | None, /, since: str, as_json: bool) -> int:
    """Ask the ntfy server for the messages that it still holds.

    \b
    Example:
      runner notify history --since 2h
    """
    return notify_command.history(open_project(project), since, as_json=as_json)


@app.command()
@click.pass_obj
def heartbeat(project: str | None, /) -> int:
    """Close lost runs and send what waits: one line in a crontab, each minute.

    \b
    Example:
      runner heartbeat
    """
    return heartbeat_command.heartbeat(open_project(project))
