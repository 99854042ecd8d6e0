"""The one family of errors, each with its exit code.

RunnerError                 exit   printed once, by `cli.main`
├── UsageError               2     the command line is wrong: an unknown name, a bad value
└── ConfigError              3     agents.yaml, tasks.yaml or a prompt is wrong: carries every Problem found
"""

from __future__ import annotations

import errno

from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

EXIT_USAGE = 2
EXIT_CONFIG = 3
EXIT_INTERNAL = 70
EXIT_IO = 74  # what a command prints cannot be written
EXIT_PIPE = 141  # … because nobody reads it
# What a disk says that takes nothing more: no defect of ours, whatever we meant to write.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


class RunnerError(Exception):
    """An error for the user: a message, an optional hint on what to do, and the exit code it ends with."""

    exit_code = 1
    reported = False  # whether a message was sent, or need not be

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def lines(self) -> list[str]:
        """The text for stderr, one line an item."""
        shown = [f"error: {self.message}"]
        if self.hint:
            shown.append(f"hint: {self.hint}")
        return shown


class UsageError(RunnerError):
    exit_code = EXIT_USAGE


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file; line and column count from 1, 0 means the file as a whole."""

    file: str
    line: int
    column: int
    message: str
    path: str = ""
    hint: str | None = None
    severity: str = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        where = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        mark = "" if self.severity == "error" else f"{self.severity}: "
        return f"{place}: {mark}{where}{self.message}{hint}"


class ConfigError(RunnerError):
    exit_code = EXIT_CONFIG

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the configuration")

    def lines(self) -> list[str]:
        return [*(str(problem) for problem in self.problems), *super().lines()]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be."""
    from difflib import get_close_matches  # noqa: PLC0415 - 1 ms of import, for a wrong word alone

    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """`did you mean 'X'?`, or None when nothing is near."""
    near = nearest(name, known)
    return f"did you mean '{near}'?" if near else None
