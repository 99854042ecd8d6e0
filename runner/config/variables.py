"""The names that templates of the configuration may use."""

from __future__ import annotations

VARIABLES = frozenset(
    ("agent", "task", "prompt", "prompt_file", "model", "run_id", "repo", "project", "run_dir", "python", "vars")
)
SHARED_VARIABLES = frozenset(("env",))
DEEP_VARIABLES = frozenset(("server",))
SANDBOX_LISTS = frozenset(("state", "git_dirs", "guarded"))
"""Variables for `each`: the agent's own state, the checkout's git folders, what in these makes git run programs."""
SANDBOX_ITEM = "item"
SANDBOX_VARIABLES = SANDBOX_LISTS | {"home", "logs", "workspace"}
"""What a sandbox's templates may name beyond what an agent's may."""
