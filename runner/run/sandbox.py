"""Pure: the words before an agent's own argv that confine it, and what their templates may name.

Every path is free of symbolic links: a mount cannot be put on one.
"""

from __future__ import annotations

import os

from runner.config.templates import SANDBOX_ITEM
from runner.run.environment import Environ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Protocol

    from runner.model import JsonObject
    from runner.run.site import Machine

    class Render(Protocol):
        """Renders a template that stands at `path` of the configuration."""

        def __call__(self, text: str, variables: Mapping[str, object], *path: str | int) -> str: ...


_RESOLVED = ("project", "repo", "run_dir", "prompt_file")


def state_of(
    name: str, agent: JsonObject, variables: Mapping[str, Any], env: Mapping[str, str], render: Render
) -> list[str]:
    """The agent's own files and folders, absolute; a folder ends with a slash. `env` is the agent's environment."""
    home = env.get("HOME", "")
    names = {**variables, "env": Environ(env)}
    found = []
    for index, text in enumerate(agent.get("state") or []):
        path = render(text, names, "agents", name, "state", index)
        path = home + path[1:] if path.startswith("~/") and home else path
        if path.startswith("/"):
            found.append(path)
    return found


def prefix(
    name: str, items: Sequence[str | JsonObject], variables: Mapping[str, Any], render: Render
) -> tuple[str, ...]:
    """The words of the sandbox of that name; `variables` as `variables_of` gives them."""
    words: list[str] = []
    for index, item in enumerate(items):
        path = ("sandboxes", name, "argv", index)
        if isinstance(item, str):
            words.append(render(item, variables, *path))
            continue
        for names in _rounds(item, variables):
            words += [render(word, names, *path, "args", at) for at, word in enumerate(item["args"])]
    return tuple(words)


def _rounds(item: JsonObject, variables: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The variables of each time that an item's `args` are used."""
    if "each" in item:
        return [{**variables, SANDBOX_ITEM: value} for value in variables[item["each"]]]
    return [] if variables.get(item["when"]) in (None, "", False) else [variables]


def variables_of(variables: Mapping[str, Any], state: Sequence[str], home: str, machine: Machine) -> dict[str, Any]:
    """What the sandbox's templates may name; `state` as `state_of` gives it."""
    places, resolve = machine.places(machine.repo), machine.resolve
    own = resolve(home) if os.path.isabs(home) else ""
    return {
        **variables,
        **{name: resolve(variables[name]) for name in _RESOLVED},
        "home": own if own != "/" else "",
        "logs": resolve(machine.logs),
        "workspace": places.top,
        "git_dirs": places.dirs,
        "guarded": places.guarded,
        "state": [resolve(path) for path in state],
    }
