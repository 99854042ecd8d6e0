"""What the table of commands is made of."""

from __future__ import annotations

import sys

from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROJECT_FLAGS = ("-C", "--project")
PROJECT_VARIABLE = "RUNNER_PROJECT"


@dataclass(frozen=True)
class Option:
    """An option; one without `metavar` is a flag.

    `kind` is text, pairs (KEY=VALUE, repeatable), integer or count (an integer from 1). `name` is the keyword of the
    command's function, `completes` a function of cli/complete.py.
    """

    flag: str
    metavar: str
    help: str
    name: str = ""
    kind: str = "text"
    choices: tuple[str, ...] = ()
    default: str | int | None = None
    completes: str = ""

    @property
    def keyword(self) -> str:
        return self.name or self.flag.lstrip("-").replace("-", "_")

    @property
    def initial(self) -> object:
        """The value where the option is not given."""
        return {} if self.kind == "pairs" else self.default if self.metavar else False


@dataclass(frozen=True)
class Argument:
    """A positional argument; of `many` there may be none. The other fields are as an option's."""

    name: str
    metavar: str
    many: bool = False
    choices: tuple[str, ...] = ()
    completes: str = ""


@dataclass(frozen=True)
class Command:
    """A command; `agents show` is one of the group `agents`, whose own `call` may be empty.

    `page` is one of docs/. `call` refers to a function that takes the values as keywords, by default `show` of
    commands/agents.py. The exit code of one that `acts` tells what it did, whether or not its output can be written.
    """

    name: str
    page: str
    help: str
    examples: tuple[str, ...] = ()
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    call: str | None = None
    acts: bool = False
    hidden: bool = False
    takes_project: bool = True

    @property
    def words(self) -> list[str]:
        return self.name.split()

    @property
    def function(self) -> str:
        return f"commands.{self.words[0]}:{self.words[-1]}" if self.call is None else self.call


def load(reference: str) -> Any:
    """Import what `module:name` below runner refers to: a command loads only what it needs."""
    module, _, name = f"runner.{reference}".partition(":")
    __import__(module)
    return getattr(sys.modules[module], name)
