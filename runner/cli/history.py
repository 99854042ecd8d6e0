"""The words that look at runs, from their table."""

from __future__ import annotations

from typing import Any

import click

from runner.cli import names
from runner.cli.app import app
from runner.verbs import VERBS, Verb, call_verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_COMPLETE = {"agent": names.agents, "task": names.tasks}


def _command(name: str, verb: Verb) -> click.Command:
    params: list[click.Parameter] = [
        click.Option([option.flag, option.name], is_flag=True, help=option.help)
        if option.kind == "flag"
        else click.Option(
            [option.flag, option.name],
            metavar=option.metavar,
            help=option.help,
            shell_complete=_COMPLETE.get(option.name),
        )
        for option in verb.options
    ]
    if verb.argument:
        params.append(click.Argument(["name"], metavar=verb.argument, shell_complete=names.runs))
    examples = "\n".join(f"  {example}" for example in verb.examples)
    noun = "Example" if len(verb.examples) == 1 else "Examples"
    text = f"{verb.help}\n\n\b\n{noun}:\n{examples}"
    return click.Command(name, params=params, help=text, callback=_callback(verb), hidden=verb.hidden)


def _callback(verb: Verb) -> Callable[..., int]:
    @click.pass_obj
    def call(project: str | None, /, **said: Any) -> int:
        return call_verb(verb, {"project": project, **said})

    return call


for _name, _verb in VERBS.items():
    app.add_command(_command(_name, _verb))
