"""How long a run may take, how much it may print and spend, and what must come of it. Pure."""

from __future__ import annotations

from runner.errors import UsageError
from runner.model import Expectations, Limits
from runner.units import parse_duration, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from runner.asked import Protection
    from runner.model import JsonObject

TIMEOUT_VARIABLE = "AGENT_RUNNER_TIMEOUT_SECONDS"
_NEEDED = ("grace", "drain", "linger")  # `none` means the default for these: a run without a grace time has 0s
_LIMITS = ("timeout", "first_output", "idle_timeout", *_NEEDED)


def budget_of(agent: JsonObject, task: JsonObject, settings: JsonObject) -> JsonObject | None:
    """What the run may spend, by the task before the agent, and what is said of prices; None where nothing is."""
    own = {**(agent.get("budget") or {}), **(task.get("budget") or {})}
    found = {"own": own, **{key: settings[key] for key in ("budgets", "prices") if settings.get(key)}}
    return found if any(found.values()) else None


def limits_of(timeout: str | None, agent: JsonObject, task: JsonObject, environ: Mapping[str, str]) -> Limits:
    """`timeout` is what the command line says; then the environment, the task, the agent. Raises UsageError."""
    given: dict[str, Any] = {}
    for name in _LIMITS:
        for entry in (task, agent):
            if name in entry:
                given[name] = parse_duration(entry[name])
                break
    size = next((entry["max_output"] for entry in (task, agent) if "max_output" in entry), None)
    if size is not None:
        given["max_output"] = parse_size(size)
    patience = {**(agent.get("watch") or {}), **(task.get("watch") or {})}
    if "stall" in patience:
        given["stall"] = parse_duration(patience["stall"])
    if patience.get("max_wait", "remaining") != "remaining":
        given["max_wait"] = parse_duration(patience["max_wait"])
    for source, text in (("--timeout", timeout), (TIMEOUT_VARIABLE, environ.get(TIMEOUT_VARIABLE))):
        if text:
            try:
                given["timeout"] = parse_duration(text)
            except ValueError as error:
                raise UsageError(f"{source}: {error}") from None
            break
    return Limits(**{name: value for name, value in given.items() if value is not None or name not in _NEEDED})


def expectations_of(task: JsonObject, agent: JsonObject, parser: JsonObject, schema: str) -> Expectations:
    """What the task asks for; `schema` is the text of the one of its output."""
    output = None
    if "output" in task:
        from runner.config.outputs import output_of  # noqa: PLC0415 - few tasks ask for an answer

        output = output_of(task["output"], agent, parser, schema)
    return Expectations(
        requires_commit=bool(task.get("requires_commit", "verify" in task)),
        nothing_to_do=task.get("nothing_to_do"),
        auto_commit=bool(task.get("auto_commit", False)),
        denied=task.get("denied", "note"),
        output=output,
        protect=_protected(task),
        protect_mode=task.get("protect_mode", "fail"),
    )


def _protected(task: JsonObject) -> tuple[Protection, ...]:
    """What the task protects; where it does not say and has checks, what decides over these."""
    if not task.get("protect", "verify" in task):
        return ()
    from runner.asked import Protection  # noqa: PLC0415 - few tasks protect anything
    from runner.verify.checks import PROTECTED  # noqa: PLC0415 - the same

    rules = task.get("protect", [{"paths": PROTECTED, "additions": False}])
    return tuple(Protection(tuple(rule["paths"]), rule["additions"]) for rule in rules)
