"""One lock over the file: what is read there holds until what follows from it is written."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runner.budget.ledger import Book, Entry, Ledger, is_live
from runner.budget.terms import Amounts
from runner.files import lock

if TYPE_CHECKING:
    from pathlib import Path

WORKER = """\
import os, sys, time
from runner import files
from runner.budget.admission import reserve
from runner.budget.ledger import Entry, Ledger
from runner.budget.terms import Amounts, Limit, Terms
from runner.model import Skipped

folder, name = sys.argv[1:]
terms = Terms(Amounts(cost=0.1), (Limit("month", "all", Amounts(cost=4.0)),))
held = []
while not os.path.exists(folder + "/go"):
    time.sleep(0.001)
for number in range(20):
    live = f"{folder}/live/{name}-{number}"
    held.append(files.lock(live))
    try:
        reserve(Ledger(folder), terms, Entry("reserve", time.time(), live), time.sleep, tells=False)
        print("begins", flush=True)
    except Skipped as skipped:
        print(skipped.skip.reason, flush=True)
sys.stdin.read()
"""


def test_eight_processes_share_one_limit(tmp_path: Path) -> None:
    """Each asks for 20 shares, which it holds; there are 40."""
    (tmp_path / "live").mkdir()
    words = [sys.executable, "-c", WORKER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen([*words, str(number)], **pipes) for number in range(8)]  # type: ignore[call-overload]
    (tmp_path / "go").touch()
    said = [worker.stdout.readline().strip() for worker in workers for _ in range(20)]
    for worker in workers:
        worker.communicate()
    assert (said.count("begins"), said.count("budget_window")) == (40, 120)


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
