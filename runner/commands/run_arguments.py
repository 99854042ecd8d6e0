"""The arguments of `runner run` as one value."""

from __future__ import annotations

from collections.abc import Sequence

from runner.errors import UsageError
from runner.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True)
class RunArguments:
    """`agent` may be several names, with commas between them."""

    agent: str | None = None
    task: str | None = None
    model: str | None = None
    timeout: str | None = None
    wait: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    vars: dict[str, str] = field(default_factory=dict)
    repo: str | None = None
    prompt: str | None = None
    unattended: bool = False
    dry_run: bool = False
    json: bool = False
    project: str | None = None


def run_arguments(names: Sequence[str], **values: Any) -> RunArguments:
    """Join the positional `names` with --agent and --task, which replace them. Raises UsageError for one too many."""
    free = [name for name in ("agent", "task") if values.get(name) is None]
    if len(names) > len(free):
        raise UsageError(f"unexpected argument `{names[-1]}`", hint="the form is `runner run AGENT TASK`")
    return RunArguments(**{**values, **dict(zip(free, names, strict=False))})


def agents_of(text: str) -> tuple[str, ...]:
    """Split `a,b,c` into names. Raises UsageError."""
    names = tuple(name.strip() for name in text.split(","))
    if "" in names:
        raise UsageError(
            f"a name is missing in `{text}`", hint="for example: runner run one,another debug_hello_simple"
        )
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise UsageError(f"the agent `{twice}` is named twice in `{text}`", hint="`retry:` of a task tries one again")
    return names
