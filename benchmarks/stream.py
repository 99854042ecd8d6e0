"""100 MB of an agent's output, masked and parsed, beside `cat | tee a > b`: by the clock, and the peak of memory."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZE = 100_000_000
ROUNDS = 7
SECRETS = 6
GOALS = {"plain": 1.5, "all": 3.0}
# What the runner's process does with a child's pipe, without the start of a run. Prints the seconds of the stream and
# of what is masked at its end, and the peak of memory in KiB above the interpreter with its modules.
PUMP = """
import json, os, select, sys, time
from runner.mask import plain_forms, secrets_of
from runner.parsers import compile_parser
from runner.process.pump import Log, Pump, Streams
path, folder, forms, parser = sys.argv[1:]
environ = {f"S{n}_API_KEY": value for n, value in enumerate(json.loads(os.environ["BENCHMARK_VALUES"]))}
plain = plain_forms(environ)
secrets = {"none": [], "plain": plain, "all": secrets_of(environ)}[forms]
reader = compile_parser(json.loads(parser)).reader(time.time)
def peak():
    return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))
before = peak()
ours, theirs = os.pipe()
errors, no_errors = os.pipe()
os.close(no_errors)
import fcntl
fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, 1 << 20)
for fd in (ours, errors):
    os.set_blocking(fd, False)
class pipes: stdout, stderr = ours, errors
streams = Streams(os.open(os.devnull, os.O_RDONLY), Log(folder + "/t"), Log(folder + "/s"), secrets, plain)
pump = Pump(pipes, streams, reader)
began = time.perf_counter()
child = os.posix_spawn("/bin/cat", ["cat", path], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, theirs, 1)])
os.close(theirs)
poll = select.poll()
poll.register(ours, select.POLLIN)
pump.read(errors)
while ours in pump.open_fds:
    poll.poll()
    pump.read(ours)
took = time.perf_counter() - began
os.fsync = lambda fd: None
began = time.perf_counter()
streams.close()
closing = time.perf_counter() - began
reader.finish()
print(took, closing, peak() - before)
"""
PARSER = {
    "format": "jsonl",
    "success": {"when": {"type": "result", "is_error": False}},
    "failure": {"when": {"type": "result", "is_error": True}},
    "fields": {
        "text": {"when": {"type": "result"}, "at": "result", "take": "last"},
        "usage.output_tokens": {"when": {"type": "result"}, "at": "usage.output_tokens", "take": "last"},
    },
}


def main() -> None:
    dice = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    values = ["sk-" + "".join(dice.choices(letters, k=37 + number)) for number in range(SECRETS)]
    environ = {**os.environ, "BENCHMARK_VALUES": json.dumps(values)}
    memory = "/dev/shm"  # the disk is not what is measured
    with tempfile.TemporaryDirectory(dir=memory if os.path.isdir(memory) else None) as folder:
        for size in (200, 20_000):
            path = os.path.join(folder, f"lines{size}")
            _write(Path(path), dice, size)
            _compare(path, folder, environ, f"{size:,}-byte lines")
            os.unlink(path)


def _write(path: Path, dice: random.Random, size: int) -> None:
    words = ["".join(dice.choices("etaoinshrdlucmfwyp", k=dice.randrange(2, 9))) for _ in range(5000)]
    block = []
    for _ in range(2_000_000 // size):
        text = " ".join(dice.choices(words, k=size // 6 - 15))
        block.append(json.dumps({"type": "assistant", "id": f"{dice.getrandbits(96):x}", "message": {"text": text}}))
    data = ("\n".join(block) + "\n").encode()
    with path.open("wb") as file:
        for _ in range(SIZE // len(data)):
            file.write(data)
        file.write(b'{"type": "result", "is_error": false, "result": "ok", "usage": {"output_tokens": 5}}\n')


def _compare(path: str, folder: str, environ: dict[str, str], title: str) -> None:
    needles = {**PARSER, "needles": ['"result"']}
    rows = [
        (f"{forms} forms, {how}", forms, parser)
        for forms in ("none", "plain", "all")
        for how, parser in (("needles", needles), ("no needles", PARSER))
    ]
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name, _, _ in rows}
    tee = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run(["/bin/sh", "-c", f'cat "{path}" | tee "{folder}/a" > "{folder}/b"'], check=True)
        tee.append(time.perf_counter() - began)
        for name, forms, parser in rows:
            argv = [sys.executable, "-c", PUMP, path, folder, forms, json.dumps(parser)]
            done = subprocess.run(argv, env=environ, check=True, capture_output=True, text=True).stdout.split()
            times[name].append((float(done[0]), float(done[1]), float(done[2])))
            for left in ("t", "s"):
                os.unlink(os.path.join(folder, left))
    base = statistics.median(tee)
    print(f"{title}: cat | tee a > b {base * 1000:.0f} ms")
    for name, forms, _ in rows:
        took, closing, peak = (statistics.median(column) for column in zip(*times[name], strict=True))
        goal = f"   (goal: {GOALS[forms]:g}x)" if forms in GOALS else ""
        line = f"  {name:<24}{took / base:>6.2f}x{goal:<16} at the end {closing / base:.2f}x"
        print(f"{line}   peak +{peak / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
