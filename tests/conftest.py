from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.helpers import make_project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project


# Started in the background of a script, these are ignored, and every program that a test starts would inherit that.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Touching the user's home from a test raises: it is a file's child."""
    monkeypatch.setenv("HOME", "/dev/null/you-forgot-a-home")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A checkout with one commit, whose agents are doubles."""
    return make_project(tmp_path)


@pytest.fixture
def stock_project(tmp_path: Path) -> Project:
    """A checkout with one commit and no YAML of its own."""
    return make_project(tmp_path, stock=True)
