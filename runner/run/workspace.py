"""The workspace lock: at most one run works in a checkout, whatever project it belongs to."""

from __future__ import annotations

import os
import time
from _blake2 import blake2b  # hashlib brings OpenSSL, which costs two milliseconds

from runner import files
from runner.errors import RunnerError
from runner.git import git_dir
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Pause(Protocol):
        """Waits for at most that many seconds; True when there is a reason to wait no longer."""

        def __call__(self, seconds: float) -> bool: ...


_NAME = "runner.lock"
_INTERVAL = 0.05  # seconds between two tries; flock cannot wait for a time


class WorkspaceError(RunnerError):
    """No lock can be made for the checkout."""


@dataclass(frozen=True)
class Lock:
    """Held for as long as `fd` is open, here or in the guardian."""

    path: str
    fd: int

    def write_owner(self, text: str) -> None:
        """Say who holds it, for those who find it held."""
        try:
            os.ftruncate(self.fd, 0)
            os.pwrite(self.fd, f"{text}\n".encode(errors="replace"), 0)
        except OSError:
            pass

    def release(self) -> None:
        os.close(self.fd)


def take(repo: str, state: str, wait: float, pause: Pause) -> Lock | None:
    """The lock of the checkout around `repo`, tried for `wait` seconds; None when another run has it.

    It lies in the checkout's git dir (a worktree has its own); where that cannot be written or there is none, below
    `state`. Raises WorkspaceError.
    """
    deadline = time.monotonic() + wait
    while True:
        path, fd = _try(repo, state)
        if fd is not None:
            return Lock(path, fd)
        left = deadline - time.monotonic()
        if left <= 0 or pause(min(left, _INTERVAL)):
            return None


def holder(repo: str, state: str) -> str:
    """What the holder of the lock said of itself; empty when nothing can be read."""
    for path in _places(repo, state):
        try:
            return files.read_bytes(path, 300).decode(errors="replace").strip()
        except OSError:
            continue
    return ""


def _places(repo: str, state: str) -> list[str]:
    where = git_dir(repo)
    name = blake2b(os.fsencode(os.path.realpath(repo)), digest_size=16).hexdigest()
    own = os.path.join(state, "workspaces", f"{name}.lock")
    return [own] if where is None else [os.path.join(where, _NAME), own]


def _try(repo: str, state: str) -> tuple[str, int | None]:
    *others, own = _places(repo, state)
    for path in others:
        try:
            return path, files.lock(path)
        except OSError:
            continue  # somebody else's, or on a read-only disk
    try:
        files.make_folders(os.path.dirname(own))
        return own, files.lock(own)
    except OSError as error:
        raise WorkspaceError(f"cannot lock the checkout `{repo}` by `{own}`: {files.reason(error)}") from None
