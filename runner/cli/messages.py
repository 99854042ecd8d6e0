"""The words about messages."""

from __future__ import annotations

import click

from runner.cli.app import Commands, app, json_option
from runner.commands import notify as notify_command
from runner.commands.open import open_project


@app.group(cls=Commands)
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
@json_option
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
@json_option
@click.pass_obj
def notify_history(project: str | None, /, since: str, as_json: bool) -> int:
    """Ask the ntfy server for the messages that it still holds.

    \b
    Example:
      runner notify history --since 2h
    """
    return notify_command.history(open_project(project), since, as_json=as_json)
