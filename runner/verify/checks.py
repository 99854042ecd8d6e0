"""A task's checks, and what became of each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runner.git.globs import matcher
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT_TIMEOUT = "10m"
PROTECTED = (
    *(".github/", ".gitlab/", ".gitlab-ci.yml", ".circleci/", ".forgejo/", ".gitea/", "Jenkinsfile", ".ci/"),
    *("agents.yaml", "tasks.yaml", ".husky/", ".githooks/", ".pre-commit-config.yaml", ".gitattributes"),
    *("AGENTS.md", "conftest.py", "pytest.ini", "tox.ini"),
)
"""What decides over a check in most projects: not the agent's to change, unless the task says so (`protect`)."""


@dataclass(frozen=True)
class Check:
    """A command and what it must come to. `fix` commands change files, and run first.

    `report` is a JUnit file that it writes, relative to the checkout. `changed` are globs, as of
    `protect`: it runs only when a path that the run changed fits one.
    """

    name: str
    argv: tuple[str, ...]
    timeout: float
    kind: str = "check"
    ok_exit: tuple[int, ...] = (0,)
    require: bool = True
    report: str | None = None
    changed: tuple[str, ...] = ()

    def concerns(self, paths: Iterable[str]) -> bool:
        return not self.changed or any(map(matcher(self.changed), paths))


@dataclass(frozen=True)
class Ran:
    """One run of a check: `code` negative for a signal, None when it did not end by itself or `error` kept it from it.

    `failures` are the ids of failed tests, None where no report tells.
    """

    code: int | None
    seconds: float = 0.0
    error: str | None = None
    failures: frozenset[str] | None = None

    def is_good(self, check: Check) -> bool:
        return self.error is None and self.code in check.ok_exit


@dataclass(frozen=True)
class Checked:
    """A check with all that is known: before the agent, after it, and once more after a failure."""

    check: Check
    before: Ran | None = None
    after: Ran | None = None
    again: Ran | None = None
    log: str | None = None


def check_of(given: Mapping[str, Any], argv: tuple[str, ...], timeout: float) -> Check:
    """A check of the configuration; its words are rendered, its timeout is seconds."""
    return Check(
        name=given["name"],
        argv=argv,
        timeout=timeout,
        kind=given.get("kind", "check"),
        ok_exit=tuple(given.get("ok_exit", (0,))),
        require=given.get("require", True) is True,
        report=given.get("report"),
        changed=tuple((given.get("when") or {}).get("changed", ())),
    )
