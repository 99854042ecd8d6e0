"""Whether the work of a run is good: checks that the runner runs itself, on the final commit, and what they decide.

May import git, process and what stands below. Pure but for `baseline` (a cache below the state folder) and `tree` (a
clone of one commit). A run without `verify` imports none of it.
"""

from __future__ import annotations
