"""Whole processes, in turn (A B C A B C …), by the processor's time: on a busy machine the clock says little."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Command:
    """`goal` is the most that it may cost, as a multiple of the first command's cost."""

    name: str
    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    goal: float | None = None


def run_once(command: Command) -> float:
    """Return the seconds of CPU of one run and of the processes that it waited for; raises when it fails."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
    here = os.getcwd()
    os.chdir(command.cwd)
    pid = os.posix_spawn(command.argv[0], list(command.argv), command.env, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    os.chdir(here)
    os.close(null)
    if status != 0:
        raise RuntimeError(f"{command.name} ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime


def interleaved(commands: Sequence[Command], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each command, a value a round, after one round that does not count."""
    times: dict[str, list[float]] = {command.name: [] for command in commands}
    for number in range(rounds + 1):
        for command in commands:
            took = run_once(command)
            if number:
                times[command.name].append(took)
    return times


def report(commands: Sequence[Command], times: Mapping[str, Sequence[float]]) -> None:
    """Print median and minimum, and the ratio of the medians to the first command's."""
    base = statistics.median(times[commands[0].name])
    print(f"{'CPU':34}{'median':>9}{'min':>9}{'ratio':>8}")
    for command in commands:
        values = times[command.name]
        median = statistics.median(values)
        goal = "" if command.goal is None else f"   (goal: {command.goal:.0f}x)"
        print(f"{command.name:<34}{median * 1000:>7.1f}ms{min(values) * 1000:>7.1f}ms{median / base:>7.2f}x{goal}")
