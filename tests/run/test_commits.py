"""The commit check against real checkouts: what counts, what is noted, what is forgiven."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.helpers import Project


@pytest.mark.parametrize(
    ("mode", "words", "reason", "subjects", "note"),
    [
        ("commits", ["--set", "argument=2"], None, ["double: add file 1", "double: add file 0"], None),
        ("commit_and_dirty", [], None, ["double: add a file"], "left.txt"),
        ("dirty", [], "uncommitted_changes", [], None),
        ("hello", [], "no_commits", [], None),
        ("other_branch", [], None, ["double: add a file"], "another branch"),
        ("reset", [], "no_commits", [], "history was rewritten"),
        ("amend", [], None, ["rewritten"], "history was rewritten"),
        ("remove_repository", [], "no_commits", [], "the git repository is gone"),
    ],
)
def test_what_a_run_left(
    project: Project, mode: str, words: list[str], reason: str | None, subjects: list[str], note: str | None
) -> None:
    project.write("second", "x")
    project.git("add", "-A")
    project.git("commit", "-qm", "second")
    project("run", "double", "must_commit", "--var", f"mode={mode}", *words)
    record = project.record()
    assert (record["reason"], [commit["subject"] for commit in record["commits"]]) == (reason, subjects)
    assert all(len(commit["sha"]) == 40 for commit in record["commits"])
    if note is None:
        assert record["notes"] == []
    else:
        assert note in " ".join(record["notes"])


def test_dirt_from_before_does_not_count(project: Project) -> None:
    project.write("left-before", "x")
    project("run", "double", "must_commit")
    assert project.record()["reason"] == "no_commits"


def test_a_dirty_file_that_is_changed_again_counts(project: Project) -> None:
    project.write("left-before", "x")
    project("run", "double", "must_commit", "--var", "mode=touch_dirty", "--set", "argument=left-before")
    assert project.record()["reason"] == "uncommitted_changes"


def test_auto_commit_commits_what_the_agent_left(project: Project) -> None:
    done = project("run", "double", "committed_for")
    record = project.record()
    assert done.returncode == 0, done.stdout
    assert [commit["subject"] for commit in record["commits"]] == ["committed_for by double"]
    assert project.git("status", "--porcelain") == ""
    assert record["run_id"] in project.git("log", "-1", "--format=%b")


def test_auto_commit_that_a_hook_refuses_is_told(project: Project) -> None:
    hook = project.root / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\necho 'not like this' >&2\nexit 1\n")
    hook.chmod(0o755)
    done = project("run", "double", "committed_for")
    record = project.record()
    assert (done.returncode, record["reason"]) == (1, "uncommitted_changes")
    assert "not like this" in " ".join(record["notes"])


def test_the_first_commit_of_an_empty_repository_counts(project: Project) -> None:
    bare = project.home / "empty"
    bare.mkdir()
    project.git("init", "-q", str(bare))
    done = project("run", "double", "must_commit", "--var", "mode=commits", "--repo", str(bare))
    assert done.returncode == 0, done.stdout
    assert [commit["subject"] for commit in project.record()["commits"]] == ["double: add file 0"]


@pytest.mark.parametrize("state", ["worktree", "detached", "packed"])
def test_odd_checkouts(project: Project, state: str) -> None:
    repo = project.root
    if state == "worktree":
        repo = project.home / "tree"
        project.git("worktree", "add", "-q", str(repo))
    elif state == "detached":
        project.git("checkout", "-q", "--detach")
    else:
        project.git("pack-refs", "--all")
    done = project("run", "double", "must_commit", "--var", "mode=commits", "--repo", str(repo))
    assert done.returncode == 0, done.stdout
    assert len(project.record()["commits"]) == 1


def test_commits_that_another_branch_had_are_not_new(project: Project) -> None:
    """An agent that merges what was there has made no commit of its own."""
    project.git("switch", "-q", "-c", "other")
    project.write("other", "x")
    project.git("add", "-A")
    project.git("commit", "-qm", "from before")
    project.git("switch", "-q", "main")
    project.write(
        "agents.yaml",
        "stock: false\nagents:\n  merger: {binary: git, argv: [merge, --ff-only, other], parser: text}\n",
    )
    project.git("add", "-A")
    project.git("commit", "-qm", "configuration", "--", "agents.yaml")
    project.git("switch", "-q", "other")
    project.git("rebase", "-q", "main")
    project.git("switch", "-q", "main")
    project("run", "merger", "must_commit")
    assert project.record()["reason"] == "no_commits"


def test_a_git_that_fails_is_no_checkout_without_changes(project: Project) -> None:
    """An unreadable repository is unknown, never `none`: the run does not begin."""
    (project.root / ".git" / "config").write_text("[core\nbroken")
    done = project("run", "double", "must_commit")
    assert done.returncode == 12
    assert "fatal" in done.stdout
