"""The root of all commands, and what they share."""

from __future__ import annotations

import click

from runner import __version__
from runner.cli import names
from runner.errors import UsageError, did_you_mean

_WIDTH = {"help_option_names": ["-h", "--help"], "max_content_width": 80}


class Commands(click.Group):
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


@click.group(cls=Commands, context_settings=_WIDTH)
@click.option(
    "-C",
    "--project",
    metavar="DIR",
    envvar="RUNNER_PROJECT",
    shell_complete=names.folders,
    help="The project's folder.",
)
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


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
