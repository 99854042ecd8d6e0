"""`runner heartbeat`: the one line in a crontab, each minute. Closes lost runs, sends what waits, prunes."""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING

from runner import recover
from runner.commands.prune import prune_daily
from runner.files import make_folders
from runner.text import rfc3339

if TYPE_CHECKING:
    from runner.commands.open import Opened

_BUDGET = 20.0  # seconds for messages; the next beat goes on


def heartbeat(opened: Opened) -> int:
    """One beat; it never overlaps itself."""
    logs = opened.logs
    logs.prepare()
    make_folders(logs.path("state"))
    lock = os.open(logs.path("state", "heartbeat.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return 0
    began = time.monotonic()
    lost = [*opened.lost, *recover.close_lost(logs, opened.post_of)]
    delivered, waiting = recover.flush(logs, opened.post({}), _BUDGET, due_only=True)
    pruned = prune_daily(opened, time.time())
    took = time.monotonic() - began
    did = f"lost {len(lost)} delivered {delivered} waiting {waiting} pruned {pruned}"
    logs.append_line(("heartbeat", "task.log"), f"{rfc3339(time.time())} {did} took {took:.2f}s")
    os.close(lock)
    return 0
