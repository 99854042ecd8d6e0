"""The forms in which `runner validate` reports. Pure."""

from __future__ import annotations

from runner.text import json_text, printable
from runner.values import asdict, dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.errors import Problem


@dataclass(frozen=True)
class Report:
    """The problems of all projects together; the counts are of what could be loaded."""

    files: tuple[str, ...]
    problems: tuple[Problem, ...]
    agents: int
    tasks: int

    @property
    def ok(self) -> bool:
        return all(problem.severity != "error" for problem in self.problems)


def _text(report: Report) -> str:
    lines = [printable(str(problem)) for problem in report.problems]
    errors = sum(problem.severity == "error" for problem in report.problems)
    counts = [_count(errors, "error")] if errors else [_count(report.agents, "agent"), _count(report.tasks, "task")]
    if len(report.problems) > errors:
        counts.append(_count(len(report.problems) - errors, "warning"))
    return "\n".join([*lines, f"{'ok' if report.ok else 'failed'}: {', '.join(counts)}"]) + "\n"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _json(report: Report) -> str:
    problems = [asdict(problem) for problem in report.problems]
    shown = {"ok": report.ok, "agents": report.agents, "tasks": report.tasks, "problems": problems}
    return json_text(shown, 2) + "\n"


def _github(report: Report) -> str:
    """Format workflow commands: each becomes a note at its line in the pull request."""
    return "".join(_github_line(problem) for problem in report.problems)


def _github_line(problem: Problem) -> str:
    facts = {"file": problem.file, "line": problem.line, "col": problem.column, "title": problem.path}
    shown = ",".join(f"{name}={_property(str(value))}" for name, value in facts.items() if value)
    return f"::{problem.severity} {shown}::{_data(_sentence(problem))}\n"


def _sentence(problem: Problem) -> str:
    return printable(problem.message + (f" ({problem.hint})" if problem.hint else ""))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")


def _junit(report: Report) -> str:
    files = list(dict.fromkeys([*report.files, *(problem.file for problem in report.problems)]))
    errors = [problem for problem in report.problems if problem.severity == "error"]
    cases = "".join(_case(file, [problem for problem in errors if problem.file == file]) for file in files)
    failed = len({problem.file for problem in errors})
    suite = f'<testsuite name="runner validate" tests="{len(files)}" failures="{failed}" errors="0" skipped="0">'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{suite}\n{cases}</testsuite>\n'


def _case(file: str, problems: list[Problem]) -> str:
    # Imports urllib: too slow for the completion of `--format`, which loads this module.
    from xml.sax.saxutils import escape, quoteattr  # noqa: PLC0415

    name = quoteattr(printable(file))
    if not problems:
        return f'  <testcase classname="runner.validate" name={name}/>\n'
    first = quoteattr(_sentence(problems[0]))
    lines = escape("\n".join(printable(str(problem)) for problem in problems))
    failure = f'    <failure type="configuration" message={first}>{lines}</failure>\n'
    return f'  <testcase classname="runner.validate" name={name}>\n{failure}  </testcase>\n'


REPORTS: dict[str, Callable[[Report], str]] = {"text": _text, "json": _json, "github": _github, "junit": _junit}
