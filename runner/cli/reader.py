"""Reads a command line without click, by the table of commands; what is unusual or wrong is left to click."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Sequence

from runner.cli.arguments import PROJECT_FLAGS, PROJECT_VARIABLE, Command, Option, load
from runner.cli.project_commands import PROJECT_COMMANDS
from runner.cli.run_commands import RUN_COMMANDS
from runner.cli.streams import keep_going
from runner.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Values: TypeAlias = dict[str, Any]

_DIGITS = 9  # an integer that is longer is for click to refuse
COMMANDS = (*RUN_COMMANDS, *PROJECT_COMMANDS)


def read(args: Sequence[str]) -> tuple[Command, Values] | None:
    """Find the command and the values to call it with; None for what is unusual or wrong: click reads and explains it.

    Raises UsageError for a malformed KEY=VALUE.
    """
    project, rest = take_project(args)
    fitting = [command for command in COMMANDS if command.words == list(rest[: len(command.words)])]
    command = max(fitting, key=lambda command: len(command.words), default=None)
    if command is None or not command.function:
        return None
    values: Values = {option.keyword: option.initial for option in command.options}
    positional = _read_options(command, rest[len(command.words) :], values)
    if positional is None or not _place(command, positional, values):
        return None
    return command, {"project": project or os.environ.get(PROJECT_VARIABLE) or None, **values}


def call(command: Command, values: Values) -> int:
    """Run a command; returns its exit code."""
    if not command.takes_project:
        values = {name: value for name, value in values.items() if name != "project"}
    if command.acts and not values.get("dry_run"):
        keep_going()
    function = load(command.function)
    gc.freeze()
    gc.enable()
    code: int = function(**values)
    return code


def implied_run(args: list[str]) -> list[str]:
    """`runner --agent A --task T` is `runner run --agent A --task T`."""
    if args and args[0].partition("=")[0] in ("--agent", "--task"):
        return ["run", *args]
    return args


def pairs(flag: str, values: Iterable[str]) -> dict[str, str]:
    """`KEY=VALUE` arguments as a mapping. Raises UsageError."""
    found = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise UsageError(f"{flag} expects KEY=VALUE, got `{value}`")
        found[key] = text
    return found


def take_project(args: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """The folder that -C or --project names, and the other arguments."""
    if args and args[0].startswith("--project="):
        return args[0].partition("=")[2], args[1:]
    if len(args) > 1 and args[0] in PROJECT_FLAGS:
        return args[1], args[2:]
    return None, args


def _read_options(command: Command, args: Sequence[str], values: Values) -> list[str] | None:
    """Put the options into `values`; returns the positional arguments, or None for what only click understands."""
    options = {option.flag: option for option in command.options}
    positional: list[str] = []
    queue = list(args)
    while queue:
        arg = queue.pop(0)
        flag, equals, text = arg.partition("=") if arg.startswith("--") else (arg, "", "")
        option = options.get(flag)
        if option is None:
            if arg.startswith("-"):
                return None
            positional.append(arg)
        elif not option.metavar:
            if equals:
                return None
            values[option.keyword] = True
        elif not (equals or queue) or not _put(option, text if equals else queue.pop(0), values):
            return None
    return positional


def _put(option: Option, text: str, values: Values) -> bool:
    """Whether `text` is a value of the option."""
    if option.kind == "pairs":
        values[option.keyword] |= pairs(option.flag, [text])
    elif option.kind == "text":
        values[option.keyword] = text
        return not option.choices or text in option.choices
    else:
        if not text.removeprefix("-").isdecimal() or not text.isascii() or len(text) > _DIGITS:
            return False
        values[option.keyword] = number = int(text)
        return option.kind == "integer" or number > 0
    return True


def _place(command: Command, positional: Sequence[str], values: Values) -> bool:
    """Put the positional arguments into `values`; whether they are as many and as the command expects."""
    rest = list(positional)
    for argument in command.arguments:
        if argument.many:
            values[argument.name], rest = tuple(rest), []
        elif not rest:
            return False
        else:
            values[argument.name] = text = rest.pop(0)
            if argument.choices and text not in argument.choices:
                return False
    return not rest
