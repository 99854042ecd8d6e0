"""Whose work a commit is, and what a run leaves in git: real repositories, real git, with an upstream."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.helpers import Project

OLD = "2020-01-01T00:00:00 +0000"
GIT = "git -c user.name=c -c user.email=c@x"


@pytest.fixture
def cloned(project: Project) -> Project:
    """The project with an upstream on which a colleague's commit of long ago waits, and an agent for shell scripts."""
    project.write(
        "agents.yaml",
        "stock: false\nagents:\n  shell: {binary: /bin/sh, argv: [-c, '{{ vars.do }}; echo done'], parser: text}\n",
    )
    project.write(
        "tasks.yaml", "stock: false\ntasks:\n  work: {description: d, prompt: prompts/free.md, requires_commit: true}\n"
    )
    project.git("add", "-A")
    project.git("commit", "-qm", "configuration")
    upstream = project.home / "upstream.git"
    colleague = project.home / "colleague"
    project.git("clone", "-q", "--bare", str(project.root), str(upstream))
    project.git("remote", "add", "origin", str(upstream))
    project.git("fetch", "-q")
    project.git("branch", "-q", "--set-upstream-to=origin/main")
    project.git("clone", "-q", str(upstream), str(colleague))
    dated = {**project.environment(), "GIT_COMMITTER_DATE": OLD, "GIT_AUTHOR_DATE": OLD}
    (colleague / "theirs").write_text("x")
    for words in (("add", "-A"), ("commit", "-qm", "theirs"), ("push", "-q")):
        subprocess.run(["git", *words], cwd=colleague, env=dated, check=True)
    return project


def work(project: Project, script: str, *words: str) -> dict[str, Any]:
    done = project("run", "shell", "work", "--var", f"do={script}", *words)
    assert done.returncode in (0, 1, 12), done.stderr
    return project.record()


MINE = "echo x >>mine && git add mine && git commit -qm mine"


@pytest.mark.parametrize(
    ("script", "reason", "subjects", "note"),
    [
        ("git pull -q", "no_commits", [], "1 commit came from origin/main"),
        ("git fetch -q && git reset -q --hard origin/main", "no_commits", [], "came from origin/main"),
        ("git fetch -q && git checkout -q -b x origin/main", "no_commits", [], "came from origin/main"),
        ("git fetch -q && git merge -q --ff-only origin/main", "no_commits", [], "came from origin/main"),
        ("git pull -q {home}/upstream.git main", "no_commits", [], "older than this run"),
        (f"git pull -q && {MINE}", None, ["mine"], "came from origin/main"),
        (f"git pull -q && {MINE} && git push -q", None, ["mine"], "came from origin/main"),
        (f"{MINE} && git pull -q --rebase && git push -q", None, ["mine"], "came from origin/main"),
        ("git fetch -q && git rebase -q origin/main", "no_commits", [], "came from origin/main"),
        (f"{MINE} && git pull -q --no-rebase --no-edit", None, ["Merge branch", "mine"], "came from origin/main"),
        (f"{MINE} && git commit -q --amend -m better", None, ["better"], None),
        ("git fetch -q && git cherry-pick origin/main", None, ["theirs"], None),
        (f"GIT_COMMITTER_DATE='{OLD}' && export GIT_COMMITTER_DATE && {MINE}", None, ["mine"], None),
        (f"git config core.logAllRefUpdates false && {MINE}", None, ["mine"], None),
    ],
)
def test_whose_commits(cloned: Project, script: str, reason: str | None, subjects: list[str], note: str | None) -> None:
    record = work(cloned, script.replace("{home}", str(cloned.home)))
    assert record["reason"] == reason, record
    found = [commit["subject"] for commit in record["commits"]]
    assert len(found) == len(subjects)
    assert all(text.startswith(start) for text, start in zip(found, subjects, strict=True))
    assert note is None or note in " ".join(record["notes"])


@pytest.mark.parametrize(
    ("script", "note"),
    [
        (f"{MINE} && git config core.bare true", "git cannot tell what is uncommitted"),
        (f"{MINE} && echo torn >.git/index", "git cannot tell what is uncommitted"),
    ],
)
def test_a_checkout_that_git_half_reads(cloned: Project, script: str, note: str) -> None:
    record = work(cloned, script)
    assert (record["reason"], [commit["subject"] for commit in record["commits"]]) == (None, ["mine"])
    assert note in " ".join(record["notes"])


def test_without_a_commit_it_says_what_git_cannot_tell(cloned: Project) -> None:
    record = work(cloned, "echo torn >.git/index")
    assert record["reason"] == "no_commits"
    assert "git cannot tell" in record["error"]["message"]


LEFT = {
    "lock": ("touch .git/index.lock", "lock", "rm "),
    "head lock": ("touch .git/HEAD.lock", "lock", "rm "),
    "merge": (
        "git fetch -q; echo y >theirs; git add theirs; git commit -qm y; git merge -q origin/main",
        "in_progress",
        "git merge --abort",
    ),
    "rebase": (
        "git fetch -q; echo y >theirs; git add theirs; git commit -qm y; git rebase -q origin/main",
        "in_progress",
        "git rebase --abort",
    ),
    "cherry-pick": (
        "git fetch -q; echo y >theirs; git add theirs; git commit -qm y; git cherry-pick origin/main",
        "in_progress",
        "git cherry-pick --abort",
    ),
    "bisect": ("git bisect start -q", "in_progress", "git bisect reset"),
    "detached": ("git checkout -q --detach", "branch", "git switch main"),
    "branch": ("git checkout -q -b other", "branch", "git switch main"),
    "stash": ("echo y >>README; git stash -q", "stash", "git stash list"),
    "config": ("git config core.pager evil", "config", "look"),
    "hook": ("printf '#!/bin/sh' >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit", "config", "look"),
    "worktree": ("git worktree add -q ../tree", "worktree", "git worktree list"),
}


@pytest.mark.parametrize(("script", "kind", "advice"), LEFT.values(), ids=LEFT)
def test_what_is_left_in_git_is_recorded_and_told(cloned: Project, script: str, kind: str, advice: str) -> None:
    record = work(cloned, f"{MINE}; {script} >/dev/null 2>&1; true")
    found = [item for item in record["left"] if item["kind"] == kind]
    assert found, record
    assert found[0]["advice"].startswith(advice)
    text = (cloned.folders()[-1] / "summary.txt").read_text()
    assert kind == "branch" or "left in git" in text


def unattended(project: Project, script: str) -> tuple[int, dict[str, Any]]:
    done = project("run", "shell", "work", "--unattended", "--var", f"do={script}")
    return done.returncode, project.feed()[-1]


def test_a_stale_lock_is_removed_before_the_next_run(cloned: Project) -> None:
    work(cloned, f"{MINE}; touch .git/index.lock")
    code, line = unattended(cloned, MINE)
    assert (code, line["reason"]) == (0, None)
    assert "removed the stale lock" in " ".join(cloned.record()["notes"])


@pytest.mark.parametrize("how", ["another's", "held open"])
def test_a_lock_that_may_live_is_left_alone(cloned: Project, how: str) -> None:
    lock = cloned.root / ".git" / "index.lock"
    held = None
    if how == "held open":
        work(cloned, f"{MINE}; touch .git/index.lock")
        held = os.open(lock, os.O_RDONLY)
    else:
        lock.touch()
    code, line = unattended(cloned, MINE)
    assert (code, line["reason"]) == (12, "dirty_workspace")
    assert f"rm {lock}" in line["error"]["message"]
    assert lock.exists()
    if held is not None:
        os.close(held)


@pytest.mark.parametrize("name", ["merge", "rebase", "cherry-pick", "bisect", "detached", "branch"])
def test_an_unattended_run_refuses_where_a_person_is_needed(cloned: Project, name: str) -> None:
    script, _, advice = LEFT[name]
    work(cloned, f"{MINE}; {script} >/dev/null 2>&1; true")
    code, line = unattended(cloned, MINE)
    assert (code, line["reason"]) == (12, "dirty_workspace")
    assert advice in line["error"]["message"]
    if name in ("detached", "branch"):
        cloned.git("switch", "-q", "main")
        assert unattended(cloned, MINE)[0] == 0, "once it is back, the next run goes on"


PLANTED = {
    "filter": "git config filter.f.clean 'touch {mark}; cat' && echo '* filter=f' >.gitattributes",
    "process": "git config filter.f.process 'touch {mark}' && git config filter.f.required true && echo '* filter=f' >.gitattributes",
    "fsmonitor": "git config core.fsmonitor 'touch {mark}; true'",
    "hook": "printf '#!/bin/sh\\ntouch {mark}\\n' >.git/hooks/post-index-change && chmod +x .git/hooks/*",
    "hooksPath": "mkdir h && printf '#!/bin/sh\\ntouch {mark}\\n' >h/pre-commit && chmod +x h/* && git config core.hooksPath h",
    "gpg": "git config log.showSignature true && git config gpg.program {home}/evil",
    "external diff": "git config diff.external 'touch {mark}'",
    "textconv": "git config diff.t.textconv 'touch {mark}; cat' && echo '* diff=t' >.gitattributes",
    "include": "git config include.path ../evil.cfg && printf '[filter \"f\"]\\n clean = touch {mark}; cat\\n' >evil.cfg && echo '* filter=f' >.gitattributes",
}


@pytest.mark.parametrize("auto_commit", [False, True])
@pytest.mark.parametrize("script", PLANTED.values(), ids=PLANTED)
def test_what_an_agent_plants_never_runs_in_the_runners_git(cloned: Project, script: str, auto_commit: bool) -> None:
    mark = cloned.home / "mark"
    evil = cloned.home / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {mark}\n")
    evil.chmod(0o755)
    task = {
        "description": "d",
        "prompt": "prompts/free.md",
        "auto_commit": auto_commit,
        "requires_commit": not auto_commit,
    }
    cloned.write("tasks.yaml", json.dumps({"stock": False, "tasks": {"work": task}}))
    cloned.git("commit", "-qam", "tasks")
    planted = script.replace("{mark}", str(mark)).replace("{home}", str(cloned.home))
    # The planting comes last: the agent's own git would run it, and sleep so that sizes and times differ.
    do = f"{'' if auto_commit else MINE + ' && '}echo more >>README && {planted}"
    record = work(cloned, do)
    assert not mark.exists(), record
    assert record["reason"] == ("tampered" if auto_commit else None), record
    assert "config" in [item["kind"] for item in record["left"]]
    assert cloned.processes() == []


def test_the_users_own_filter_and_hooks_run_in_auto_commit(cloned: Project) -> None:
    cloned.git("config", "filter.f.clean", "sed s/secret/clean/")
    cloned.write(".gitattributes", "*.txt filter=f\n")
    task = {"description": "d", "prompt": "prompts/free.md", "auto_commit": True}
    cloned.write("tasks.yaml", json.dumps({"stock": False, "tasks": {"work": task}}))
    cloned.git("add", "-A")
    cloned.git("commit", "-qm", "filter")
    hook = cloned.root / ".git" / "hooks" / "pre-commit"
    hook.write_text(f"#!/bin/sh\ntouch {cloned.home}/hooked\n")
    hook.chmod(0o755)
    record = work(cloned, "echo secret >a.txt")
    assert record["reason"] is None
    assert cloned.git("show", "HEAD:a.txt") == "clean"
    assert (cloned.home / "hooked").exists()
