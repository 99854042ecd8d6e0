"""Where the time of a start goes: what is imported and what it costs, and the programs that are started."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.measure import Command

ROUNDS = 9
SHOWN = 20
WIDTH = 110
# Writes a line for each program that the runner starts and waits for: its arguments, its seconds of CPU.
TRACE = """
import json, os, sys
output, spawn, started = sys.argv.pop(1), os.posix_spawnp, {}
def posix_spawnp(path, argv, *args, **options):
    pid = spawn(path, argv, *args, **options)
    started[pid] = argv
    return pid
def waitpid(pid, options):
    pid, status, usage = os.wait4(pid, options)
    if pid in started:
        with open(output, "a") as file:
            print(json.dumps([started.pop(pid), usage.ru_utime + usage.ru_stime]), file=file)
    return pid, status
os.posix_spawnp, os.waitpid = posix_spawnp, waitpid
from runner.__main__ import main
main()
"""


def print_profile(command: Command) -> None:
    """Print the imports of a command of the runner, by what they cost, and the programs that it starts."""
    print(f"\n== {command.name}")
    known = set(_imports([sys.executable, "-X", "importtime", "-c", "pass"], command))
    argv = [sys.executable, "-X", "importtime", *command.argv]
    rounds = [_imports(argv, command) for _ in range(ROUNDS)]
    costs = {name: _median(rounds, name) for name in rounds[0] if name not in known}
    ours = {name: cost for name, cost in costs.items() if name.partition(".")[0] == "runner"}
    _print_imports("modules of the runner", ours)
    _print_rooms(ours)
    _print_imports("other modules", {name: cost for name, cost in costs.items() if name not in ours})
    _print_programs(command)


def _imports(argv: Sequence[str], command: Command) -> dict[str, tuple[int, int]]:
    """Return the own and the cumulative time of each import, in microseconds."""
    done = subprocess.run(argv, cwd=command.cwd, env=command.env, check=True, capture_output=True, text=True)
    lines = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if "|" in line]
    return {name.strip(): (int(own), int(whole)) for own, whole, name in lines if own.strip().isdecimal()}


def _median(rounds: Sequence[Mapping[str, tuple[int, int]]], name: str) -> tuple[float, float]:
    own, whole = zip(*(found[name] for found in rounds if name in found), strict=True)
    return statistics.median(own) / 1000, statistics.median(whole) / 1000


def _print_imports(title: str, costs: Mapping[str, tuple[float, float]]) -> None:
    # By the clock, and each import is slowed by being measured: for comparison among themselves.
    print(f"\n{len(costs)} {title}, {_sum(costs):.1f} ms; the {SHOWN} slowest:")
    print(f"{'own':>8}{'with its imports':>20}")
    for name, (own, whole) in sorted(costs.items(), key=lambda item: -item[1][0])[:SHOWN]:
        print(f"{own:>6.2f}ms{whole:>18.2f}ms  {name}")


def _print_rooms(costs: Mapping[str, tuple[float, float]]) -> None:
    rooms: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for name, cost in costs.items():
        rooms[".".join(name.split(".")[:2])][name] = cost
    print("\nby room:")
    for room, inside in sorted(rooms.items(), key=lambda item: -_sum(item[1])):
        print(f"{_sum(inside):>6.2f}ms  {room} ({len(inside)})")


def _sum(costs: Mapping[str, tuple[float, float]]) -> float:
    return sum(own for own, _ in costs.values())


def _print_programs(command: Command) -> None:
    rounds = [list(_programs(command)) for _ in range(ROUNDS)]
    medians = [(found[0][0], statistics.median(seconds for _, seconds in found)) for found in zip(*rounds, strict=True)]
    if not medians:
        return
    print(f"\n{len(medians)} programs that it waits for, {sum(cost for _, cost in medians) * 1000:.1f} ms of CPU:")
    for argv, cost in medians:
        print(f"{cost * 1000:>6.2f}ms  {argv if len(argv) <= WIDTH else argv[: WIDTH - 1] + '…'}")


def _programs(command: Command) -> Iterator[tuple[str, float]]:
    with tempfile.NamedTemporaryFile("r") as output:
        argv = [sys.executable, "-c", TRACE, output.name, *command.argv[1:]]
        subprocess.run(argv, cwd=command.cwd, env=command.env, check=True, capture_output=True)
        for line in output:
            argv, seconds = json.loads(line)
            yield " ".join(word.replace(str(Path(command.cwd)), "…") for word in argv), seconds
