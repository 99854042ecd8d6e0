"""One lock over the file: what is read there holds until what follows from it is written."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from runner.budget import admission
from runner.budget.admission import reserve
from runner.budget.ledger import Book, Entry, Ledger, is_live
from runner.budget.terms import Amounts, Limit, Terms
from runner.files import lock
from runner.model import Skipped

if TYPE_CHECKING:
    from pathlib import Path

TERMS = Terms(Amounts(cost=0.1), (Limit("month", "all", Amounts(cost=0.1)),))


def test_who_is_admitted_waits_for_whoever_is_being_admitted(tmp_path: Path) -> None:
    """The last share goes while another process has the lock: who waits for that sees it gone."""
    ledger, live = Ledger(str(tmp_path)), tmp_path / "live"
    live.mkdir()
    with ledger.locked(time.sleep, 0):
        pass  # makes the folder
    held = [lock(f"{ledger.path}.lock"), lock(str(live / "other"))]
    waited = []

    def other(seconds: float) -> None:
        waited.append(seconds)
        ledger.add(Entry("reserve", time.time(), str(live / "other"), amounts=Amounts(0.1)))
        os.close(held[0] or -1)

    with pytest.raises(Skipped, match=r"is used up: \$0.00 spent, \$0.10 reserved by 1 run;"):
        reserve(ledger, TERMS, Entry("reserve", time.time(), str(live / "ours")), other, tells=False)
    assert len(waited) == 1
    assert list(ledger.read().open) == [str(live / "other")]


def test_a_lock_that_nobody_gives_back_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "_PATIENCE", 0.05)
    ledger = Ledger(str(tmp_path))
    with (
        ledger.locked(time.sleep, 0),
        pytest.raises(Skipped, match="another process holds"),
    ):
        reserve(ledger, TERMS, Entry("reserve", time.time(), "/a/live/1"), time.sleep, tells=False)


@pytest.mark.parametrize("place", ["live/held", "dead/held", "live/free", "live/missing", "live/link", "live/\0"])
def test_whether_a_run_lives(tmp_path: Path, place: str) -> None:
    for folder in ("live", "dead"):
        (tmp_path / folder).mkdir()
        assert lock(str(tmp_path / folder / "held")) is not None
    (tmp_path / "live/free").touch()
    (tmp_path / "live/link").symlink_to(tmp_path / "live/held")
    assert is_live(f"{tmp_path}/{place}") == (place == "live/held")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    assert ledger.read() == Book()
    one = Entry("reserve", 5.0, "/a/live/1", "agent", "täsk", "/a", amounts=Amounts(0.5, 10.0, 2.0))
    other = Entry("reserve", 6.0, "/a/live/2", "agent", "task", "/a", amounts=Amounts(None, 10.0))
    spent = Entry("spent", 7.0, "/a/live/1", "agent", "täsk", "/a", amounts=Amounts(0.25, 8.0, 1.0))
    ledger.add(one, other)
    ledger.add(spent, Entry("told", 8.0, "", window="day 2026-11-28 all"))
    assert ledger.read() == Book((spent,), {"/a/live/2": other}, frozenset(["day 2026-11-28 all"]))
    assert (tmp_path / "budget/default.jsonl").stat().st_mode & 0o777 == 0o600
