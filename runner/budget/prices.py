"""What tokens of a model cost: the rows of the YAML, then the package of the extra `prices`, which is loaded last."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase

from runner.model import Usage
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from runner.model import JsonObject

PACKAGE = "genai-prices"
_MILLION = 1e6


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens, and where that stands: `table 2026-01-01` or `genai-prices 0.2.3`.

    What a cache costs is the price of input where nothing else is told. `why` is for people.
    """

    input: float
    output: float
    cache_read: float
    cache_write: float
    source: str
    why: str


def find(model: str | None, rows: Sequence[JsonObject], now: float) -> Price | None:
    """The price of a model at a time; None where nobody knows it."""
    if not model:
        return None
    return of_table(model, rows, now) or _of_package(model)


def of_table(model: str, rows: Sequence[JsonObject], now: float) -> Price | None:
    """Of the rows that match and hold already, the one with the latest `from`; of equal ones the first."""
    today = time.strftime("%Y-%m-%d", time.localtime(now))
    fitting = [row for row in rows if _matches(row["match"], model) and str(row.get("from", "")) <= today]
    if not fitting:
        return None
    row: dict[str, Any] = max(fitting, key=lambda row: str(row.get("from", "")))
    begin = str(row["from"]) if "from" in row else None
    return Price(
        input=row["input"],
        output=row["output"],
        cache_read=row.get("cache_read", row["input"]),
        cache_write=row.get("cache_write", row["input"]),
        source=f"table {begin}" if begin else "table",
        why=f"`settings.prices`: the row `{row['match']}`" + (f", which holds from {begin} on" if begin else ""),
    )


def _matches(pattern: str, model: str) -> bool:
    return fnmatchcase(model.lower(), pattern.lower())


def _of_package(model: str) -> Price | None:
    """By genai-prices, if it is installed: the price of each kind of tokens."""
    try:
        # Most of a second of import, for models that no row matches.
        import genai_prices  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - an extra, may be missing

        parts = {
            "input": _millions(genai_prices, model, "input_tokens"),
            "output": _millions(genai_prices, model, "output_tokens"),
            "cache_read": _millions(genai_prices, model, "input_tokens", "cache_read_tokens"),
            "cache_write": _millions(genai_prices, model, "input_tokens", "cache_write_tokens"),
        }
    except Exception:  # another's package: whatever it raises, the price is not known
        return None
    version = getattr(genai_prices, "__version__", None)
    source = f"{PACKAGE} {version}" if version else PACKAGE
    return Price(**parts, source=source, why=f"the package {PACKAGE}, for no row of `settings.prices` matches")


def why_unknown() -> str:
    """In words, for a model whose price `find` does not know."""
    from importlib.util import find_spec  # noqa: PLC0415 - only for people who ask

    rest = "does not know it" if find_spec("genai_prices") else "is not installed (`pip install runner-agents[prices]`)"
    return f"no row of `settings.prices` matches, and the package {PACKAGE} {rest}"


def _millions(package: Any, model: str, *kinds: str) -> float:
    """By a thousand tokens: of a long request some models cost more."""
    usage = package.Usage(**dict.fromkeys(kinds, 1000))
    return float(package.calc_price(usage, model_ref=model).total_price) * 1000


def cost_of(usage: Usage, price: Price) -> tuple[float | None, bool]:
    """US dollars, and whether that is a lower bound, for part of the usage is unknown; None where all of it is."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None, False
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    fresh = max(0, (usage.input_tokens or 0) - read - written)
    total = fresh * price.input + read * price.cache_read + written * price.cache_write
    total += (usage.output_tokens or 0) * price.output
    return total / _MILLION, usage.input_tokens is None or usage.output_tokens is None
