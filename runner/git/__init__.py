"""Git: what a checkout holds before and after a run, and whose work that is. The only caller of git.

May import the ground only. The door: the names below.
"""

from __future__ import annotations

from runner.git.calls import LOCAL_VARS, Result, run_all
from runner.git.changes import changes
from runner.git.places import Places, git_dir, places, top_of
from runner.git.snapshots import Snapshot, snapshot
from runner.git.writing import commit_all, show

__all__ = [
    "LOCAL_VARS",
    "Places",
    "Result",
    "Snapshot",
    "changes",
    "commit_all",
    "git_dir",
    "places",
    "run_all",
    "show",
    "snapshot",
    "top_of",
]
