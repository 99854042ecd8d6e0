"""`runner validate`: everything that is wrong with the configuration, at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from runner.config.build import in_order
from runner.config.checks import check_all
from runner.config.display import show_file
from runner.config.load import inspect
from runner.config.mend import without_echoes
from runner.config.project import AGENTS, TASKS, Project, find_project, project_at
from runner.errors import EXIT_CONFIG, Problem, UsageError, did_you_mean
from runner.recordings.unfired import unfired_notes
from runner.text import json_text, printable
from runner.values import asdict, dataclass


def validate(paths: Sequence[str], fmt: str = "text", project: str | None = None) -> int:
    """Print a report on the projects at `paths` (folders, or an agents.yaml or tasks.yaml in them), else on this one.

    Returns 3 when there are errors, 0 without or with warnings only. Raises UsageError for what is not a project.
    """
    if fmt not in REPORTS:
        raise UsageError(f"unknown format `{fmt}`", hint=did_you_mean(fmt, REPORTS) or f"one of {', '.join(REPORTS)}")
    report = examine_all(_projects(paths) or [find_project(os.getcwd(), project)])
    print(REPORTS[fmt](report), end="")
    return 0 if report.ok else EXIT_CONFIG


def examine_all(projects: Sequence[Project]) -> Report:
    files: list[str] = []
    problems: list[Problem] = []
    agents = tasks = 0
    for project in projects:
        config, found = inspect(project)
        files += [show_file(path) for path in (project.agents_file, project.tasks_file) if path is not None]
        if config is not None:
            loads = all(problem.severity != "error" for problem in found)
            found = [*found, *without_echoes(found, check_all(config))]
            if all(problem.severity != "error" for problem in found):
                found += unfired_notes(config)
            agents += len(config.agents) if loads else 0
            tasks += len(config.tasks) if loads else 0
        problems += in_order(found, files)
    return Report(tuple(files), tuple(problems), agents, tasks)


def _projects(paths: Sequence[str]) -> list[Project]:
    folders = dict.fromkeys(_folder(path) for path in paths)
    return [project_at(folder) for folder in folders]


def _folder(path: str) -> str:
    absolute = os.path.abspath(path)
    if os.path.isdir(absolute):
        if os.path.basename(absolute) in (AGENTS, TASKS):
            return os.path.dirname(absolute)
        return absolute
    if os.path.basename(absolute) not in (AGENTS, TASKS):
        raise UsageError(f"`{path}` is not a project", hint=f"give a folder, or its {AGENTS} or {TASKS}")
    if not os.path.lexists(absolute):
        raise UsageError(f"`{path}` does not exist")
    return os.path.dirname(absolute)


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
    milder = [(kind, sum(problem.severity == kind for problem in report.problems)) for kind in ("warning", "note")]
    counts += [_count(number, kind) for kind, number in milder if number]
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
    kind = "notice" if problem.severity == "note" else problem.severity
    return f"::{kind} {shown}::{_data(_sentence(problem))}\n"


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
    from xml.sax.saxutils import escape, quoteattr  # noqa: PLC0415 - imports urllib, which the other forms do without

    name = quoteattr(printable(file))
    if not problems:
        return f'  <testcase classname="runner.validate" name={name}/>\n'
    first = quoteattr(_sentence(problems[0]))
    lines = escape("\n".join(printable(str(problem)) for problem in problems))
    failure = f'    <failure type="configuration" message={first}>{lines}</failure>\n'
    return f'  <testcase classname="runner.validate" name={name}>\n{failure}  </testcase>\n'


REPORTS: dict[str, Callable[[Report], str]] = {"text": _text, "json": _json, "github": _github, "junit": _junit}
