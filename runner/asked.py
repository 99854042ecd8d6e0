"""What a task asks for beyond a commit, and what was found of it: values."""

from __future__ import annotations

from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True)
class Output:
    """The answer that a task asks for.

    `schema` is the JSON Schema's text, `schema_file` where it stands, for messages. `file` is where the answer stands
    in the checkout; None: in the reply. `told`: the CLI was given the schema and tells its answer as a value.
    """

    schema: str
    schema_file: str
    file: str | None = None
    told: bool = False


@dataclass(frozen=True)
class Answer:
    """The answer that a task asked for; `is_long`: it is too long for a record."""

    value: Any
    is_long: bool = False


@dataclass(frozen=True)
class Protection:
    """Globs of paths that the agent must not change; `additions`: but for new files and added lines."""

    paths: tuple[str, ...]
    additions: bool = False


@dataclass(frozen=True)
class Edit:
    """A path that is not as it was. `change` is `added`, `deleted` or `changed`; lines are None for what is no text."""

    path: str
    change: str
    added: int | None = None
    removed: int | None = None
