"""The words that run and judge agents."""

from __future__ import annotations

from typing import Any

import click

from runner.cli import names as complete
from runner.cli.app import app, json_option
from runner.commands import doctor as doctor_command
from runner.commands import parse as parse_command
from runner.commands import ps as live_command
from runner.commands import run as run_command
from runner.commands.open import open_project
from runner.words import RUN_OPTIONS, RunWords, pairs, place_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _run_options(function: Callable[..., int]) -> Callable[..., int]:
    for option in reversed(RUN_OPTIONS):
        if option.kind == "flag":
            function = click.option(option.flag, option.name, is_flag=True, help=option.help)(function)
        else:
            function = click.option(
                option.flag,
                option.name,
                metavar=option.metavar,
                help=option.help,
                multiple=option.kind == "pairs",
                shell_complete=complete.RUN_VALUES.get(option.name),
            )(function)
    return function


@app.command()
@click.argument("names", nargs=-1, metavar="AGENT[,AGENT]... TASK", shell_complete=complete.agent_then_task)
@_run_options
@click.pass_obj
def run(project: str | None, /, names: tuple[str, ...], **said: Any) -> int:
    """Run one agent on one task, and record what happened. Of several, AGENT,AGENT, each next one tries where the
    one before met a limit or could not start; without a list, those that the task names under `fallback` do.

    Exit codes: 0 success, 1 agent error, 10 rate limit, 11 timeout, 12 skipped; with several tries, the last one's.

    \b
    Examples:
      runner run demo debug_hello_simple
      runner run demo document_coverage --model opus --timeout 30m
      runner run demo --prompt "Update the changelog and commit."
      runner run demo debug_smoke_commit --var url=http://127.0.0.1:8000/
      runner run demo document_coverage --dry-run
      runner run demo debug_hello_simple --unattended
    """
    for option in RUN_OPTIONS:
        if option.kind == "pairs":
            said[option.name] = pairs(option.flag, list(said[option.name]))
    return run_command.run(place_names(RunWords(project=project, **said), list(names)))


@app.command()
@click.argument("agent", shell_complete=complete.agents)
@click.argument("stdout", type=click.Path())
@click.option("--stderr", metavar="FILE", type=click.Path(), help="What the agent printed on stderr.")
@click.option("--exit-code", type=int, help="How it ended; negative is a signal. Without: by its timeout.")
@click.option("--at", metavar="TIME", help="When it ended, RFC 3339; relative reset times count from then.")
@click.option(
    "--parser", metavar="NAME", shell_complete=complete.parsers, help="Use this parser instead of the agent's own."
)
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


@app.command()
@click.argument("agents", nargs=-1, metavar="[AGENT]...", shell_complete=complete.agents)
@click.option("--deep", is_flag=True, help="Run each AGENT's CLI against a scripted server: does its parser still fit?")
@click.option("--live", is_flag=True, help="Run debug_hello_simple against the real service, in a scratch repository.")
@json_option
@click.pass_obj
def doctor(project: str | None, /, agents: tuple[str, ...], deep: bool, live: bool, as_json: bool) -> int:
    """Say whether agents can run here, and if not, what to do; exit code 1 when a named one cannot.

    \b
    Examples:
      runner doctor
      runner doctor demo --json
      runner doctor demo --live
    """
    return doctor_command.doctor(open_project(project), agents, as_json=as_json, is_deep=deep, is_live=live)


@app.command()
@json_option
@click.pass_obj
def ps(project: str | None, /, as_json: bool) -> int:
    """List the runs that live: their processes, how long they go on, and what they said last.

    \b
    Example:
      runner ps
    """
    return live_command.ps(open_project(project).logs, as_json=as_json)


@app.command()
@click.argument("run_id", metavar="RUN")
@click.option("--now", is_flag=True, help="Leave the agent no grace time.")
@click.pass_obj
def stop(project: str | None, /, run_id: str, now: bool) -> int:
    """End a run as SIGTERM to its runner would, and wait until its record is closed.

    \b
    Examples:
      runner stop 20260219_175043
      runner stop 20260219_175043 --now
    """
    return live_command.stop(open_project(project).logs, run_id, now=now)
