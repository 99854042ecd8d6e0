"""What an agent or a task requires of the machine. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject
    from runner.run.site import Machine


def missing_of(name: str, agent: JsonObject, task: JsonObject, model: str | None, machine: Machine) -> str | None:
    """What the agent or the task requires and does not find, in words."""
    requires = agent.get("requires") or {}
    rule = agent.get("model") or {}
    if rule.get("required") and model is None:
        names = ", ".join(f"`{variable}`" for variable in rule.get("env") or [])
        return f"agent `{name}` needs a model: give --model" + (f", or set {names}" if names else "")
    for variable in requires.get("env") or []:
        if not machine.environ.get(variable):
            return f"agent `{name}` requires the environment variable `{variable}`"
    for path in requires.get("files") or []:
        if not machine.exists(expand(path, machine)):
            return f"agent `{name}` requires the file `{path}`"
    if task.get("requires_commit") and requires.get("edits") is False:
        return f"agent `{name}` cannot change files, and the task requires a commit"
    return None


def expand(path: str, machine: Machine) -> str:
    """A path with `~` for the home of the environment that was given."""
    home = machine.environ.get("HOME", "")
    return home + path[1:] if path.startswith("~/") else path
