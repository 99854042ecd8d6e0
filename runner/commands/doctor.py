"""`runner doctor`: can the agents run here, and if not, what to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from runner import __version__
from runner.commands._project import Opened, open_project
from runner.doctor import agent_checks, machine_checks
from runner.doctor.check import AgentReport, Check, to_json, to_text
from runner.doctor.live import live as run_live
from runner.doctor.sandbox_check import unused
from runner.errors import UsageError
from runner.notify.outbox import Outbox
from runner.run.site import Machine
from runner.text import json_text
from runner.values import replace


def doctor(project: str | None, names: Sequence[str], *, as_json: bool, deep: bool, live: bool) -> int:
    """Print what was found; return 1 when a check failed or an agent that was named cannot run. Raises UsageError."""
    opened = open_project(project)
    if (deep or live) and not names:
        flag = "--deep" if deep else "--live"
        raise UsageError(f"{flag} runs an agent, and none is named", hint=f"for example: runner doctor {flag} demo")
    config, environ = opened.config, opened.environ
    for name in names:
        config.agent(name)
    root = config.project.root
    machine = Machine(environ, root, root, opened.logs.root, sys.executable, opened.state)
    context = agent_checks.Context(config, opened.logs, machine, time.time())
    wanted = list(dict.fromkeys(names)) or sorted(config.agents)
    reports = agent_checks.examine(context, wanted, asked=bool(names))
    tried = [_tried(opened, report, deep=deep, live=live) for report in reports]
    found = machine_checks.examine(config, opened.logs, Outbox(opened.logs, environ), environ, time.time())
    found += unused(config, machine)
    if as_json:
        print(json_text(to_json(__version__, tried, found), 2))
    else:
        print(to_text(tried, found, colour=sys.stdout.isatty() and not environ.get("NO_COLOR")))
    checks = [*found, *(check for report in tried for check in report.checks)]
    failed = any(check.level == "fail" for check in checks)
    return 1 if failed or (names and not all(report.can_run for report in tried)) else 0


def _tried(opened: Opened, report: AgentReport, *, deep: bool, live: bool) -> AgentReport:
    """Add the runs that were asked for, where there is a program to run."""
    if report.binary is None:
        return report
    more: list[Check] = []
    if deep:
        from runner.doctor.deep import deep as run_deep  # noqa: PLC0415 - brings http.server, for this form alone

        more += run_deep(opened.config, opened.logs, report.agent, report.binary, opened.environ)
    if live:
        more.append(run_live(opened.config, report.agent, report.binary, opened.environ))
    return replace(report, checks=(*report.checks, *more))
