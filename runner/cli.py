"""Every click word; each body is one call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from runner import __version__
from runner.commands import agents as agents_command
from runner.commands import parse as parse_command
from runner.commands import run as run_command
from runner.commands import tasks as tasks_command
from runner.config import find_project, load
from runner.config.project import state_home
from runner.errors import UsageError, did_you_mean
from runner.words import RUN_OPTIONS, RunWords, pairs, place_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.config import Config

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


def _config(project: str | None) -> Config:
    return load(find_project(os.getcwd(), project), state_home(dict(os.environ)))


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


@app.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def agents(project: str | None, as_json: bool) -> int:
    """List the agents that one may run.

    \b
    Examples:
      runner agents
      runner agents --json
    """
    return agents_command.list_agents(_config(project), dict(os.environ), as_json)


@app.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def tasks(project: str | None, as_json: bool) -> int:
    """List the tasks that one may run.

    \b
    Examples:
      runner tasks
      runner tasks --json
    """
    return tasks_command.list_tasks(_config(project), as_json)


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
    return parse_command.parse(_config(project), agent, stdout, **said)
