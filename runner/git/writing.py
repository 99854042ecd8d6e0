"""The two things that git is asked for beside reading: a commit of everything, and the patches of commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.git.calls import Result, run_all


def commit_all(repo: str, message: str, env: Mapping[str, str]) -> str | None:
    """Commit everything in the checkout, by the repository's own filters and hooks; what git said when it failed."""
    for command in (["add", "--all", "--", ":/"], ["commit", "--quiet", "--message", message]):
        (result,) = run_all([command], repo, env, hooks=True)
        if result.code != 0:
            said = (result.err or result.out).decode(errors="replace").strip()
            return said or f"git {command[0]} ended with {result.code}"
    return None


def show(repo: str, shas: Sequence[str], env: Mapping[str, str]) -> Result:
    """The commits with their patches, without programs that the repository's configuration may name."""
    command = ["show", "--no-color", "--no-ext-diff", "--no-textconv", "--no-show-signature", "--stat", "--patch"]
    (result,) = run_all([[*command, *shas, "--"]], repo, env)
    return result
