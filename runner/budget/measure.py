"""What of a budget can be known of an agent at all: by its parser's rules, and by prices. Pure but for the package."""

from __future__ import annotations

from runner.budget import prices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from runner.budget.terms import Amounts
    from runner.model import JsonObject

_TOKENS = ("usage.input_tokens", "usage.output_tokens")
_FIELDS = {
    "cost": ("cost_usd",),
    "tokens": _TOKENS,
    "output_tokens": ("usage.output_tokens",),
    "tool_calls": ("tool_calls",),
}


def unknown_units(
    amounts: Amounts, parser: Mapping[str, Any], model: str | None, rows: Sequence[JsonObject], now: float
) -> list[str]:
    """The units of a budget that nobody can measure."""
    told = {*parser.get("fields", {}), *parser.get("live", {})}
    unknown = [unit for unit in amounts.known() if not told.issuperset(_FIELDS[unit])]
    if "cost" in unknown and told.issuperset(_TOKENS) and prices.find(model, rows, now) is not None:
        unknown.remove("cost")
    return unknown


def is_refused(unknown: Sequence[str], amounts: Amounts, on_unknown: str) -> bool:
    """Whether a run with such a budget does not begin; its tokens may stand for its cost."""
    by_tokens = list(unknown) == ["cost"] and (amounts.tokens or amounts.output_tokens) and on_unknown == "tokens"
    return bool(unknown) and on_unknown != "allow" and not by_tokens


def why(unknown: Sequence[str], parser: str, model: str | None) -> str:
    """`nobody can tell its cost: the parser `x` does not, and there is no price for the model `y``."""
    message = f"nobody can tell its {unknown[0].replace('_', ' ')}: the parser `{parser}` does not"
    if unknown[0] == "cost":
        named = f"the model `{model}`" if model else "a model that is not named"
        message += f", and there is no price for {named}"
    return message
