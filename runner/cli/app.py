"""The commands as click has them, made from their table: it prints help, explains errors and completes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from runner import __version__
from runner.cli.arguments import PROJECT_FLAGS, PROJECT_VARIABLE, Argument, Command, Option, load
from runner.cli.reader import COMMANDS, call, pairs
from runner.errors import UsageError, did_you_mean

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 80}
_INTERRUPTED = 130
_HELP = """\
Run coding-agent CLIs unattended, and know afterwards what happened.

\b
Examples:
  runner run demo debug_hello_simple
  runner run demo document_coverage --timeout 30m
  runner agents
"""


def main(args: list[str]) -> int:
    """Run one command line; returns its exit code."""
    try:
        return int(app.main(args, prog_name="runner", standalone_mode=False) or 0)
    except click.exceptions.Abort:
        return _INTERRUPTED
    except click.ClickException as error:
        raise _WordsError(error) from None


class _WordsError(UsageError):
    """What click says of wrong words: usage, where to find help, the error."""

    def __init__(self, error: click.ClickException) -> None:
        super().__init__(error.format_message())
        text = io.StringIO()
        error.show(text)
        self._lines = text.getvalue().splitlines()

    def lines(self) -> list[str]:
        return self._lines


class _Group(click.Group):
    """Suggests the nearest command for a mistyped one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            raise UsageError(
                f"unknown command `{name}`", hint=did_you_mean(name, self.commands) or "see `runner --help`"
            )
        return super().resolve_command(ctx, args)


@click.pass_context
def _set_project(ctx: click.Context, project: str | None) -> None:
    ctx.obj = project


def _made(command: Command) -> click.Command:
    examples = "".join(f"\n  {example}" for example in command.examples)
    title = "Example" if len(command.examples) == 1 else "Examples"
    attributes: dict[str, Any] = {
        "name": command.words[-1],
        "params": [*map(_option, command.options), *map(_argument, command.arguments)],
        "help": f"{command.help}\n\n\b\n{title}:{examples}" if examples else command.help,
        "epilog": f"See {command.page}.",
        "callback": _callback(command),
        "hidden": command.hidden,
    }
    inner = [_made(other) for other in COMMANDS if other.words[:-1] == command.words]
    if inner:
        return _Group(**attributes, commands=inner, invoke_without_command=bool(command.function))
    return click.Command(**attributes)


def _callback(command: Command) -> Callable[..., int]:
    @click.pass_context
    def run(ctx: click.Context, /, **values: Any) -> int:
        if ctx.invoked_subcommand is not None:
            return 0
        for option in command.options:
            if option.kind == "pairs":
                values[option.keyword] = pairs(option.flag, values[option.keyword])
        return call(command, {"project": ctx.obj, **values})

    return run


def _option(option: Option) -> click.Option:
    if not option.metavar:
        return click.Option([option.flag, option.keyword], is_flag=True, help=option.help)
    return click.Option(
        [option.flag, option.keyword],
        metavar=None if option.choices else option.metavar,
        help=option.help,
        type=_type(option),
        default=option.default,
        show_default=option.default is not None and not option.choices,
        multiple=option.kind == "pairs",
        shell_complete=_completer(option.completes),
    )


def _argument(argument: Argument) -> click.Argument:
    return click.Argument(
        [argument.name],
        metavar=None if argument.choices else argument.metavar,
        type=_type(argument),
        nargs=-1 if argument.many else 1,
        required=not argument.many,
        shell_complete=_completer(argument.completes),
    )


def _type(parameter: Option | Argument) -> Any:
    if parameter.choices:
        return click.Choice(parameter.choices)
    if isinstance(parameter, Option) and parameter.kind in ("integer", "count"):
        return click.INT if parameter.kind == "integer" else click.IntRange(1)
    return click.STRING


def _completer(name: str) -> Callable[..., list[CompletionItem[str]]] | None:
    def complete(*args: Any) -> list[CompletionItem[str]]:
        # Loaded when it is needed: the configuration and the index are a third of the start.
        found: list[CompletionItem[str]] = load(f"cli.complete:{name}")(*args)
        return found

    return complete if name else None


app = _Group(
    "runner",
    commands=[_made(command) for command in COMMANDS if len(command.words) == 1],
    help=_HELP,
    context_settings=_SETTINGS,
    callback=_set_project,
    params=[
        click.Option(
            [*PROJECT_FLAGS, "project"],
            metavar="DIR",
            envvar=PROJECT_VARIABLE,
            help="The project's folder.",
            shell_complete=_completer("folders"),
        )
    ],
)
click.version_option(__version__, prog_name="runner")(app)
