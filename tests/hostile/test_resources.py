"""Few resources: a run works, or it is refused before its agent starts, with what is missing named; never lost."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.hostile.strike import Hostile, strike

if TYPE_CHECKING:
    from tests.helpers import Project


def limited(words: str) -> dict[str, Any]:
    return {"before": ("bash", "-c", f'{words}; exec "$@"', "-")}


@pytest.mark.parametrize("number", [10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 56, 63])
def test_few_open_files_are_refused_by_name(project: Project, number: int) -> None:
    case = Hostile(str(number), code=12, options=limited(f"ulimit -n {number}"))
    struck = strike(project, case)
    assert struck.record is None
    (line,) = project.feed()
    assert line["reason"] == "missing_requirement"
    assert f"`ulimit -n` allows {number}" in line["error"]["message"]


@pytest.mark.parametrize(
    "words",
    [
        "ulimit -n 64",
        "ulimit -n 65",
        "ulimit -n 100",
        "ulimit -Sn 12",
        "ulimit -Sn 20",
        "ulimit -c 0",
        "ulimit -s 1024",
        "ulimit -v 400000",
        "ulimit -l 0",
        "unset TMPDIR; export TMPDIR=/nowhere",
        "exec 9</dev/zero 8</dev/null",
        "umask 777",
        "umask 000",
        "trap '' PIPE CHLD",
    ],
)
def test_it_works(project: Project, words: str) -> None:
    struck = strike(project, Hostile(words, options=limited(words)))
    assert struck.record is not None
    assert struck.record["reason"] is None


@pytest.mark.parametrize("gone", ["/proc", "/dev/shm", "/tmp"])
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_without_a_folder_of_the_system(project: Project, gone: str) -> None:
    """Without /proc only the containment is weaker, and the record says so."""
    root = str(project.root.parent)
    bwrap = ("bwrap", "--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--tmpfs", gone, "--bind", root, root)
    if str(project.root).startswith("/tmp/") and gone == "/tmp":
        bwrap = (*bwrap, "--ro-bind-try", "/tmp/x", "/tmp/x")
    struck = strike(project, Hostile(gone, options={"before": (*bwrap, "--")}))
    assert struck.record is not None
    assert struck.record["reason"] is None


def test_nothing_in_logs_is_open_to_others(project: Project) -> None:
    strike(project, Hostile("umask", options=limited("umask 000")))
    for words in (("heartbeat",), ("runs",), ("triage",), ("prune",)):
        project(*words, before=("bash", "-c", 'umask 000; exec "$@"', "-"))
    found = {
        str(path): oct(path.lstat().st_mode & 0o777)
        for path in (project.root / "logs").rglob("*")
        if path.lstat().st_mode & 0o077
    }
    assert found == {}
