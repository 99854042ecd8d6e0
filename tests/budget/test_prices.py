"""What tokens cost, and the calendar of the windows; pure but for the commands."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from runner.budget.prices import cost_of, of_table
from runner.budget.terms import parse_tokens
from runner.budget.windows import window_of
from runner.model import Usage
from tests.helpers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers import Project

PACKAGE = """\
class Usage:
    def __init__(self, **tokens):
        self.tokens = tokens

class Price:
    def __init__(self, total):
        self.total_price = total

def calc_price(usage, model_ref):
    if model_ref != "known":
        raise LookupError(model_ref)
    prices = {"input_tokens": 2, "output_tokens": 8, "cache_read_tokens": -1, "cache_write_tokens": 1}
    return Price(sum(prices[kind] * count for kind, count in usage.tokens.items()) / 1_000_000)

__version__ = "9.9"
"""
ROWS: list[dict[str, Any]] = [
    {"match": "big-*", "input": 10, "output": 50},
    {"match": "big-*", "from": "2026-03-01", "input": 5, "output": 25, "cache_read": 0.5},
    {"match": "big-2", "from": "2026-03-01", "input": 1, "output": 1},
    {"match": "*", "from": "2030-01-01", "input": 0, "output": 0},
]
FOUND = [
    ("big-1", "2026-01-01", 10, "table"),
    ("BIG-1", "2026-02-28", 10, "table"),
    ("big-1", "2026-03-01", 5, "table 2026-03-01"),
    ("big-2", "2026-04-01", 5, "table 2026-03-01"),  # of equal days the first row
    ("small", "2026-04-01", None, None),
    ("small", "2030-01-01", 0, "table 2030-01-01"),
]


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Its clocks are set forward on 2026-03-29 and back on 2026-10-25."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M"))


@pytest.mark.parametrize(("model", "day", "price", "source"), FOUND)
def test_which_row_holds(model: str, day: str, price: float | None, source: str | None) -> None:
    found = of_table(model, ROWS, at(f"{day} 12:00"))
    assert (found.input, found.source) == (price, source) if found else price is None


COSTS = [
    # sent, produced, of that read from and written to a cache; cost at $5, $25, $0.50 for reading, lower bound
    (Usage(1_000_000, 100_000), 7.5, False),
    (Usage(1_000_000, 100_000, 900_000), 3.45, False),
    (Usage(1_000_000, 0, 500_000, 500_000), 2.75, False),
    (Usage(10, 0, 500_000, 0), 0.25, False),  # more read than sent
    (Usage(1_000_000, None), 5, True),
    (Usage(None, 100_000), 2.5, True),
    (Usage(), None, False),
]


@pytest.mark.parametrize(("usage", "cost", "bound"), COSTS)
def test_what_a_usage_costs(usage: Usage, cost: float | None, bound: bool) -> None:
    price = of_table("big-1", ROWS, at("2026-04-01 12:00"))
    assert price is not None
    assert cost_of(usage, price) == (cost if cost is None else pytest.approx(cost), bound)


WINDOWS = [
    ("day", "2026-11-28 04:00", "2026-11-28 00:00", "2026-11-29 00:00", 24),
    ("day", "2026-03-29 12:00", "2026-03-29 00:00", "2026-03-30 00:00", 23),
    ("day", "2026-10-25 12:00", "2026-10-25 00:00", "2026-10-26 00:00", 25),
    ("day", "2026-12-31 23:59", "2026-12-31 00:00", "2027-01-01 00:00", 24),
    ("week", "2026-11-29 23:59", "2026-11-23 00:00", "2026-11-30 00:00", 168),  # a Sunday
    ("week", "2026-11-30 00:00", "2026-11-30 00:00", "2026-12-07 00:00", 168),
    ("month", "2026-12-31 23:59", "2026-12-01 00:00", "2027-01-01 00:00", 744),
    ("month", "2028-02-29 12:00", "2028-02-01 00:00", "2028-03-01 00:00", 696),
]


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(("per", "now", "begins", "ends", "hours"), WINDOWS)
def test_the_window_of_a_time(per: str, now: str, begins: str, ends: str, hours: int) -> None:
    found = window_of(per, at(now))
    assert found == (at(begins), at(ends))
    assert found[1] - found[0] == hours * 3600


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3M", ("tokens", 3e6)),
        ("1.5k", ("tokens", 1500)),
        (200, ("tokens", 200)),
        ("output:200k", ("output_tokens", 2e5)),
        (" Output : 2 m ", ("output_tokens", 2e6)),
    ],
)
def test_tokens_as_people_write_them(text: str | int, found: tuple[str, float]) -> None:
    assert parse_tokens(text) == found


@pytest.mark.parametrize("text", ["", "0", "many", "-3", "input:3k", "3kk", "nan", "1e5", "9" * 400])
def test_what_is_no_number_of_tokens(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number of tokens"):
        parse_tokens(text)


def with_package(project: Project, folder: Path) -> None:
    """A double of the extra's package that can be imported."""
    (folder / "genai_prices.py").write_text(PACKAGE)
    project.env["PYTHONPATH"] = str(folder)


@pytest.mark.parametrize(
    ("model", "package", "price", "source", "why"),
    [
        ("mine-1", False, (1, 2, 1, 1), "table 2026-01-01", "the row `mine-*`"),
        ("mine-1", True, (1, 2, 1, 1), "table 2026-01-01", "the row `mine-*`"),
        ("known", True, (2, 8, 1, 3), "genai-prices 9.9", "the package genai-prices"),
        ("known", False, None, None, "pip install runner-agents[prices]"),
        ("unheard-of", True, None, None, "genai-prices does not know it"),
    ],
)
def test_runner_prices_says_what_would_be_used_and_why(
    project: Project, tmp_path: Path, model: str, package: bool, price: Any, source: str | None, why: str
) -> None:
    if package:
        with_package(project, tmp_path)
    tasks = (project.root / "tasks.yaml").read_text()
    row = "{match: mine-*, from: 2026-01-01, input: 1, output: 2}"
    project.write("tasks.yaml", f"{tasks}settings: {{prices: [{row}]}}\n")
    done = project("prices", model, "--json")
    found = json.loads(done.stdout)
    Draft202012Validator(json.loads((ROOT / "schema/prices.schema.json").read_text())).validate(found)
    kinds = ("input", "output", "cache_read", "cache_write")
    assert (found["price"] and tuple(found["price"][kind] for kind in kinds)) == price
    assert found["source"] == source
    assert why in found["why"]
    text = project("prices", model).stdout
    assert ("unknown" in text) == (price is None)
    assert why in text


def test_the_package_is_asked_where_no_row_matches(project: Project, tmp_path: Path) -> None:
    from tests.budget.test_live import metered, result

    with_package(project, tmp_path)
    metered(project, "{cost: 5}", result(input=1_000_000, output=1_000_000))
    assert project("run", "metered", "t", "--model", "known").returncode == 0
    record = project.record()
    assert (record["cost_usd"], record["cost_source"]) == (10, "genai-prices 9.9")


def test_a_run_without_these_keys_imports_nothing_of_it(project: Project, tmp_path: Path) -> None:
    (tmp_path / "genai_prices.py").write_text("raise SystemExit('imported')\n")
    project.env["PYTHONPATH"] = str(tmp_path)
    script = "from runner.__main__ import main; main()"
    done = project("run", "double", "free", door=("-X", "importtime", "-c", script))
    assert done.returncode == 0
    assert "runner.run.admission" in done.stderr
    assert "runner.budget" not in done.stderr
    assert "runner.run.share" not in done.stderr
    assert not os.path.exists(project.home / ".local/state/runner/budget")
