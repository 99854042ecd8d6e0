"""Which variables of the runner's environment an agent gets, and which its templates may name. Pure."""

from __future__ import annotations

import fnmatch

from runner.git import LOCAL_VARS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.model import JsonObject
    from runner.run.site import Machine

_MAGIC = frozenset("*?[")

BASE_ENVIRONMENT = tuple(
    "PATH HOME USER LOGNAME SHELL TERM LANG LC_* TZ TMPDIR XDG_* SSH_AUTH_SOCK GIT_* SSL_CERT_* npm_config_* *_proxy "
    "*_PROXY".split()
)


class Environ(dict[str, str]):
    """A variable that is not set is null."""

    def __missing__(self, name: str) -> None:
        return None


def passed(agent: JsonObject, task: JsonObject, machine: Machine) -> Environ:
    """What an agent's templates may name as `env`: the variables that its `env.pass` lets through."""
    matches = matcher((agent.get("env") or {}).get("pass") or [])
    unwanted = matcher([glob for entry in (agent, task) for glob in (entry.get("env") or {}).get("unset") or []])
    return Environ(
        (name, value)
        for name, value in machine.environ.items()
        if matches(name) and not unwanted(name) and name not in LOCAL_VARS
    )


def matcher(globs: list[str]) -> Callable[[str], bool]:
    """Whether a name fits one of the globs; nearly all are a name or end with the only star, which needs no pattern."""
    plain = {glob for glob in globs if not _MAGIC.intersection(glob)}
    starts = tuple(glob[:-1] for glob in globs if glob.endswith("*") and not _MAGIC.intersection(glob[:-1]))
    ends = tuple(glob[1:] for glob in globs if glob.startswith("*") and not _MAGIC.intersection(glob[1:]))
    simple = {*plain, *(f"{text}*" for text in starts), *(f"*{text}" for text in ends)}
    others = [glob for glob in globs if glob not in simple]

    def matches(name: str) -> bool:
        return (
            name in plain
            or name.startswith(starts)
            or name.endswith(ends)
            or any(fnmatch.fnmatchcase(name, glob) for glob in others)
        )

    return matches
