"""Every click word; each body is one call."""

from __future__ import annotations

import click

from runner.cli import (
    completion,
    configuration,
    cron,
    history,
    messages,
    running,
)
from runner.cli.app import app

__all__ = ["app", "call", "completion", "configuration", "cron", "history", "messages", "running"]


def call(words: list[str]) -> int:
    """Run one command line; returns its exit code."""
    try:
        return int(app.main(words, prog_name="runner", standalone_mode=False) or 0)
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
