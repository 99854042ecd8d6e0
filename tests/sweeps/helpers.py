"""What the sweeps share."""

from __future__ import annotations

import os
import select
from pathlib import Path
from typing import TYPE_CHECKING

from runner.process.cgroup import own_folder

if TYPE_CHECKING:
    from tests.helpers import Project

DOUBLES = Path(__file__).resolve().parent / "doubles"


class Pulse:
    """A named pipe that every process of an agent's tree holds open: it ends when the last of them has ended."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def over(self, seconds: float = 0.0) -> bool:
        """Whether there were processes and all are gone, within so many seconds."""
        return bool(self._poll.poll(seconds * 1000))

    def close(self) -> None:
        os.close(self._fd)


def groups_of(project: Project) -> list[str]:
    """The cgroups of this project's runs: one with such an id and pid lies in a run's folder or in nobody's."""
    base = own_folder()
    ids = {folder.name for folder in project.folders()}
    names = os.listdir(base) if base else []
    return sorted(name for name in names if name.startswith("runner-") and name.split("-")[1] in ids)
