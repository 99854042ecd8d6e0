"""The commands that look at runs, with 1,000 and with 100,000 of them; the index made again; its peak memory."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.histories import make
from benchmarks.measure import Command, interleaved, report

ROUNDS = 15
SIZES = (1_000, 100_000)
COMMAND_LINES = (
    ["runs"],
    ["show", "last"],
    ["why", "last"],
    ["stats"],
    ["triage", "--since", "2h"],
)
REBUILD = """
import resource, sys
from runner.records.folder import Logs
from runner.history.index import Index
Index(Logs(sys.argv[1])).rebuild()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
READ = """
import os, sys
def folders(path):
    with os.scandir(path) as found:
        return [entry.path for entry in found if entry.is_dir()]
for task in folders(sys.argv[1]):
    for agent in folders(task):
        for run in folders(agent):
            try:
                fd = os.open(run + "/metadata.json", os.O_RDONLY)
            except OSError:
                continue
            os.read(fd, 1 << 20)
            os.close(fd)
with open(sys.argv[1] + "/runs.jsonl", "rb") as feed:
    while feed.read(1 << 20):
        pass
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        env = {"HOME": folder, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        runner = str(Path(sys.executable).with_name("runner"))
        commands = [Command("python -c pass", [sys.executable, "-c", "pass"], folder, env)]
        for size in SIZES:
            root = Path(folder) / str(size)
            make(root, size, time.time())
            subprocess.run([runner, "runs"], cwd=root, env=env, check=True, stdout=subprocess.DEVNULL)
            for args in COMMAND_LINES:
                # Triage ends with 1 when something failed, which it did.
                script = 'runner=$1; shift; "$runner" "$@" || :'
                argv = ["/bin/sh", "-c", script, "sh", runner, *args] if args[0] == "triage" else [runner, *args]
                goal = 4 if args == ["runs"] else None
                commands.append(Command(f"{size:>7,} {' '.join(args)}", argv, str(root), env, goal))
        times = interleaved(commands, ROUNDS)
        report(commands, times)
        for args in COMMAND_LINES:
            small, large = (times[f"{size:>7,} {' '.join(args)}"] for size in SIZES)
            ratio = statistics.median(big / little for big, little in zip(large, small, strict=True))
            print(f"{' '.join(args):<34}t(100k)/t(1k) {ratio:.2f}")
        for size in SIZES:
            _rebuild(Path(folder) / str(size) / "logs", size)


def _rebuild(logs: Path, size: int) -> None:
    """Compare with reading the files, by the clock and by CPU."""
    ratios = []
    peak = ""
    for _ in range(3):
        reading, _ = _spent([sys.executable, "-c", READ, str(logs)])
        making, peak = _spent([sys.executable, "-c", REBUILD, str(logs)])
        ratios.append((making[0] / reading[0], making[1] / reading[1]))
    wall, cpu = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"{size:>7,} rebuild: {wall:.1f} x reading the files (CPU {cpu:.1f} x); peak {int(peak) // 1024} MiB")


def _spent(argv: list[str]) -> tuple[tuple[float, float], str]:
    """((wall, CPU) seconds, what it printed)."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    printed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (time.perf_counter() - began, cpu), printed
