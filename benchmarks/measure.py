"""Whole processes, in turn (A B C A B C …), from fork to reap."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Command:
    name: str
    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]


def run_once(command: Command) -> float:
    """Seconds of one run; raises when it fails."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
    here = os.getcwd()
    os.chdir(command.cwd)
    began = time.perf_counter()
    pid = os.posix_spawn(command.argv[0], list(command.argv), command.env, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    took = time.perf_counter() - began
    os.chdir(here)
    os.close(null)
    if status != 0:
        raise RuntimeError(f"{command.name} ended with {os.waitstatus_to_exitcode(status)}")
    return took


def interleaved(commands: Sequence[Command], rounds: int) -> dict[str, list[float]]:
    """Seconds of each command, a value a round, after one round that does not count."""
    times: dict[str, list[float]] = {command.name: [] for command in commands}
    for number in range(rounds + 1):
        for command in commands:
            took = run_once(command)
            if number:
                times[command.name].append(took)
    return times


def report(times: Mapping[str, Sequence[float]], baseline: str) -> None:
    """Median, minimum and the ratio to the baseline, round by round."""
    print(f"{'':34}{'median':>9}{'min':>9}{'ratio':>8}")
    for name, values in times.items():
        ratios = [value / base for value, base in zip(values, times[baseline], strict=True)]
        print(
            f"{name:<34}{statistics.median(values) * 1000:>7.1f}ms{min(values) * 1000:>7.1f}ms"
            f"{statistics.median(ratios):>7.2f}x"
        )
