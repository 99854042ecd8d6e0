"""`runner validate`: everything that is wrong with the configuration, at once."""

from __future__ import annotations

import os
from collections.abc import Sequence

from runner.commands._report import REPORTS, Report
from runner.config.build import in_order
from runner.config.checks import check_all
from runner.config.display import show_file
from runner.config.load import examine
from runner.config.project import AGENTS, TASKS, Project, find_project, project_at
from runner.errors import EXIT_CONFIG, Problem, UsageError, did_you_mean


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
        config, found = examine(project, None)
        files += [show_file(path) for path in (project.agents_file, project.tasks_file) if path is not None]
        if config is not None:
            found = [*found, *check_all(config)]
            agents += len(config.agents)
            tasks += len(config.tasks)
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
