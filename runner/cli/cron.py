"""The words about what starts by itself."""

from __future__ import annotations

import click

from runner.cli.app import Commands, app, json_option
from runner.commands import cron as cron_command
from runner.commands import upcoming
from runner.commands.open import open_project

_systemd_option = click.option(
    "--systemd", "by_systemd", is_flag=True, help="A user timer of systemd instead of the crontab."
)


@app.group(cls=Commands)
def cron() -> None:
    """Install the heartbeat, which starts what is due, and say what will start.

    \b
    Examples:
      runner cron install
      runner cron next
      runner cron remove
    """


@cron.command("show")
@_systemd_option
@json_option
@click.pass_obj
def cron_show(project: str | None, /, by_systemd: bool, as_json: bool) -> int:
    """Say whether the heartbeat is installed as it should be, and print its lines.

    \b
    Examples:
      runner cron show
      runner cron show --systemd --json
    """
    return cron_command.show(open_project(project), by_systemd=by_systemd, as_json=as_json)


@cron.command("install")
@_systemd_option
@click.pass_obj
def cron_install(project: str | None, /, by_systemd: bool) -> int:
    """Put this project's heartbeat into the crontab, in a block of its own; every other line stays as it is.

    \b
    Examples:
      runner cron install
      runner cron install --systemd
    """
    return cron_command.install(open_project(project), by_systemd=by_systemd)


@cron.command("remove")
@_systemd_option
@click.pass_obj
def cron_remove(project: str | None, /, by_systemd: bool) -> int:
    """Take this project's heartbeat out again.

    \b
    Examples:
      runner cron remove
      runner cron remove --systemd
    """
    return cron_command.remove(project, by_systemd=by_systemd)


@cron.command("next")
@click.option("-n", "count", metavar="N", type=click.IntRange(1), default=10, show_default=True, help="How many.")
@json_option
@click.pass_obj
def cron_next(project: str | None, /, count: int, as_json: bool) -> int:
    """List the coming starts of all schedules, in local time.

    \b
    Examples:
      runner cron next
      runner cron next -n 3 --json
    """
    return upcoming.upcoming(open_project(project), count, as_json=as_json)
