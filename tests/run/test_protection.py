"""What a task protects: globs, what each edit means, and runs that edit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from runner.asked import Edit, Protection
from runner.git.globs import matcher
from runner.run.protection import violations
from runner.verify.checks import PROTECTED
from tests.helpers import answering, script

if TYPE_CHECKING:
    from tests.helpers import Project

GLOBS = [
    ("conftest.py", ["conftest.py", "a/b/conftest.py"], ["xconftest.py", "conftest.pyc"]),
    ("*.toml", ["pyproject.toml", "a/b.toml"], ["a.toml.txt"]),
    ("tests/", ["tests/a.py", "tests/a/b.py", "tests", "x/tests/a.py"], ["tests2/a.py", "atests/b.py"]),
    ("tests/*.py", ["tests/a.py"], ["tests/a/b.py", "x/tests/a.py", "tests/a.pyx"]),
    ("tests/**", ["tests/a.py", "tests/a/b.py"], ["x/tests/a.py"]),
    ("tests/**/*.py", ["tests/a.py", "tests/a/b/c.py"], ["tests/a.txt"]),
    ("**/ci.yml", ["ci.yml", "a/b/ci.yml"], ["xci.yml"]),
    ("./a/b", ["a/b", "a/b/c"], ["a/bc"]),
    ("a?.py", ["ab.py", "x/ab.py"], ["a/.py", "abc.py"]),
    ("[ab].py", ["a.py", "x/b.py"], ["c.py"]),
    ("[!ab].py", ["c.py"], ["a.py"]),
    ("[a-c]/x", ["b/x"], ["d/x"]),
    ("a+(b).py", ["a+(b).py"], ["aab.py"]),
    ("with\nbreak", ["with\nbreak"], ["with"]),
]


@pytest.mark.parametrize(("glob", "fitting", "others"), GLOBS, ids=[glob for glob, _, _ in GLOBS])
def test_globs(glob: str, fitting: list[str], others: list[str]) -> None:
    fits = matcher([glob])
    assert [path for path in [*fitting, *others] if fits(path)] == fitting


STRICT = (Protection(("tests/",)),)
GROWING = (Protection(("tests/",), additions=True),)
NEW = Edit("tests/a.py", "added", 3, 0)
GONE = Edit("tests/a.py", "deleted", 0, 3)
MORE = Edit("tests/a.py", "changed", 2, 0)
LESS = Edit("tests/a.py", "changed", 0, 1)
OTHER = Edit("tests/a.py", "changed", 5, 1)
MODE = Edit("tests/a.py", "changed", 0, 0)
BINARY = Edit("tests/a.png", "changed")
NEW_BINARY = Edit("tests/a.png", "added")
ELSEWHERE = Edit("src/a.py", "deleted", 0, 9)

ROWS = [
    (STRICT, [NEW, GONE, MORE, BINARY, ELSEWHERE], [NEW, GONE, MORE, BINARY]),
    (STRICT, [ELSEWHERE], []),
    (GROWING, [NEW], []),
    (GROWING, [MORE], []),
    (GROWING, [NEW_BINARY], []),
    (GROWING, [GONE], [GONE]),
    (GROWING, [LESS], [LESS]),
    (GROWING, [OTHER], [OTHER]),
    (GROWING, [MODE], [MODE]),
    (GROWING, [BINARY], [BINARY]),
    (GROWING, [ELSEWHERE], []),
    ((*GROWING, *STRICT), [MORE], [MORE]),  # every rule must allow it
    ((), [GONE], []),
    ((Protection(("src/", "tests/")),), [GONE, ELSEWHERE], [GONE, ELSEWHERE]),
    ((Protection(PROTECTED),), [Edit(".github/workflows/ci.yml", "changed", 1, 0)], [Edit(".github/workflows/ci.yml", "changed", 1, 0)]),
    ((Protection(PROTECTED),), [ELSEWHERE, NEW], []),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "edits", "found"), ROWS, ids=range(len(ROWS)))
def test_what_a_rule_allows(rules: tuple[Protection, ...], edits: list[Edit], found: list[Edit]) -> None:
    assert list(violations(rules, edits)) == found


def guarding(project: Project, words: str, **task: object) -> Project:
    """A checkout with tests, some changes of before, and the task `free` with an agent that runs these words."""
    for name in ("tests/a.py", "tests/b.py", "src/c.py"):
        project.write(name, "one\ntwo\nthree\n")
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "tests")
    project.write("tests/mine.py", "of the user\n")
    project.write("tests/b.py", "of the user\n")
    script(project, one=f"{words}; {answering('done')}")
    entry = {"prompt": "prompts/free.md", "protect": ["tests/"], **task}
    project.write("tasks.yaml", json.dumps({"stock": False, "tasks": {"free": entry}}))
    return project


ADDITIONS = [{"paths": ["tests/"], "additions": True}]
COMMIT = "git add -A tests/a.py src; git commit -qm work -- tests/a.py src"
CELLS = [
    ("true", [], []),
    ("echo x > src/c.py", [], []),
    ("echo x >> tests/a.py", [("tests/a.py", "changed")], []),
    ("sed -i 1d tests/a.py", [("tests/a.py", "changed")], [("tests/a.py", "changed")]),
    ("rm tests/a.py", [("tests/a.py", "deleted")], [("tests/a.py", "deleted")]),
    ("git mv tests/a.py src/a.py", [("tests/a.py", "deleted")], [("tests/a.py", "deleted")]),
    ("git mv tests/a.py tests/z.py", [("tests/a.py", "deleted"), ("tests/z.py", "added")], [("tests/a.py", "deleted")]),
    ("chmod +x tests/a.py", [("tests/a.py", "changed")], [("tests/a.py", "changed")]),
    ("rm tests/a.py; ln -s b.py tests/a.py", [("tests/a.py", "changed")], [("tests/a.py", "changed")]),
    ("mkdir tests/new; echo x > tests/new/d.py", [("tests/new/d.py", "added")], []),
    ("echo x >> tests/b.py", [("tests/b.py", "changed")], [("tests/b.py", "changed")]),  # which the user had changed
    ("echo x >> tests/mine.py", [("tests/mine.py", "added")], []),
    (f"sed -i 1d tests/a.py; {COMMIT}", [("tests/a.py", "changed")], [("tests/a.py", "changed")]),
    (f"sed -i 1d tests/a.py; {COMMIT}; git checkout -q HEAD~1 -- tests/a.py", [("tests/a.py", "changed")], [("tests/a.py", "changed")]),
    (f"echo x >> tests/a.py; {COMMIT}; git rm -qf tests/a.py", [("tests/a.py", "deleted")], [("tests/a.py", "deleted")]),
    (f"rm tests/a.py; {COMMIT}; git revert --no-edit HEAD >/dev/null 2>&1", [], []),
    ("git checkout -q --orphan other; git rm -rfq --cached .; git add src; git commit -qm work", [("tests/a.py", "deleted"), ("tests/b.py", "deleted")], [("tests/a.py", "deleted"), ("tests/b.py", "deleted")]),
]  # fmt: skip


@pytest.mark.parametrize("additions", [False, True])
@pytest.mark.parametrize(("words", "strict", "growing"), CELLS, ids=range(len(CELLS)))
def test_a_run_that_edits(
    project: Project, words: str, strict: list[tuple[str, str]], growing: list[tuple[str, str]], *, additions: bool
) -> None:
    mode, expected = ("report", growing) if additions else ("fail", strict)
    guarding(project, words, protect=ADDITIONS if additions else ["tests/"], protect_mode=mode)
    done = project("run", "one", "free")
    record = project.record()
    assert [(entry["path"], entry["change"]) for entry in record["protected"]] == expected, done.stdout
    failed = mode == "fail" and bool(expected)
    assert (record["reason"], done.returncode) == (("tampered", 1) if failed else (None, 0)), done.stdout
    assert ("the task protects what was changed" in done.stdout) == bool(expected)


def test_the_message_and_the_summary_name_what_was_changed(project: Project) -> None:
    done = guarding(project, "sed -i 1,2d tests/a.py; rm tests/b.py")("run", "one", "free")
    assert "the task protects what was changed: tests/a.py (2 lines removed), tests/b.py (deleted)" in done.stdout
    assert project.record()["error"]["message"].endswith("tests/a.py (2 lines removed), tests/b.py (deleted)")
    assert json.loads(project("show", "last", "--json").stdout)["protected"][1]["path"] == "tests/b.py"


def test_nothing_is_committed_for_it(project: Project) -> None:
    guarding(project, "echo x > src/c.py; rm tests/a.py", auto_commit=True)
    project.git("checkout", "-q", "--", "tests/b.py")
    (project.root / "tests/mine.py").unlink()
    project.git("add", "-A")
    project.git("commit", "-qm", "clean")
    head = project.git("rev-parse", "HEAD")
    assert project("run", "one", "free").returncode == 1
    assert (project.record()["reason"], project.git("rev-parse", "HEAD")) == ("tampered", head)


def test_another_failure_stays_and_has_a_note(project: Project) -> None:
    guarding(project, "rm tests/a.py; exit 3")("run", "one", "free")
    record = project.record()
    assert record["reason"] in ("no_terminal_event", "agent_error")
    assert "the task protects what was changed: tests/a.py (deleted)" in record["notes"]


def test_an_empty_list_protects_nothing(project: Project) -> None:
    guarding(project, "rm tests/a.py", protect=[])("run", "one", "free")
    assert project.record()["reason"] is None
    assert "protected" not in project.record()


def test_it_needs_a_checkout(project: Project) -> None:
    guarding(project, "true")
    (project.root / ".git").rename(project.home / "git")
    done = project("run", "one", "free")
    assert (done.returncode, "the task needs a git checkout" in done.stdout) == (12, True)
