"""Where runs happen: the machine, and the project's logs and messages."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from runner.git import Places, places
from runner.notify.notifier import Notifier
from runner.records.folder import Logs
from runner.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


@dataclass(frozen=True)
class Machine:
    """The machine's part in one run, read once at the edge; `state` is a folder for what no project owns."""

    environ: Mapping[str, str]
    project: str
    repo: str
    logs: str
    python: str
    state: str
    identity: Mapping[str, str] = field(default_factory=dict)
    exists: Callable[[str], bool] = os.path.exists
    resolve: Callable[[str], str] = os.path.realpath
    places: Callable[[str], Places] = places


@dataclass(frozen=True)
class Site:
    """What every step of a run needs. `stderr` None shows no progress."""

    machine: Machine
    logs: Logs
    notifier: Notifier
    stderr: TextIO | None
