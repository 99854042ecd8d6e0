"""What a start costs, as a multiple of `python -c pass`; with --profile, where the time goes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Command, interleaved, report
from benchmarks.profile import print_profile

ROUNDS = 30
AGENTS = "stock: false\nagents:\n  canned: {binary: /bin/sh, argv: [-c, 'echo hello'], parser: text}\n"
TASKS = "stock: false\ntasks:\n  hello: {description: say hello, prompt: hello.md}\n"
RUNNER = str(Path(sys.executable).with_name("runner"))


# Runs the command in a process that notes what its guardian cost, and what the agent, whom the guardian waited for.
_GUARDIAN = """
import os, resource, sys
wait = os.waitpid
def waitpid(pid, options):
    found, status, usage = os.wait4(pid, options)
    if found and sys._getframe(1).f_code.co_name == "dismiss":
        print(usage.ru_utime + usage.ru_stime, file=sys.stderr)
    return found, status
os.waitpid = waitpid
from runner.__main__ import main
main()
"""
_AGENT = [
    sys.executable,
    "-c",
    "import os; print(sum(os.wait4(os.posix_spawn('/bin/sh', ['sh', '-c', 'echo hello >&2'], {}), 0)[2][:2]))",
]


def _guardian(folder: str, env: dict[str, str]) -> float:
    """Return the median seconds of CPU of a run's guardian, without those of the agent that it started."""
    took, agent = [], []
    for _ in range(ROUNDS):
        argv = [sys.executable, "-c", _GUARDIAN, "run", "canned", "hello"]
        done = subprocess.run(argv, cwd=folder, env=env, check=True, capture_output=True, text=True)
        took.append(float(done.stderr.splitlines()[-1]))
        agent.append(float(subprocess.run(_AGENT, check=True, capture_output=True, text=True).stdout))
    return statistics.median(took) - statistics.median(agent)


def main(profile: str = "") -> None:
    with tempfile.TemporaryDirectory() as folder:
        env = {"HOME": folder, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        for name, text in (("agents.yaml", AGENTS), ("tasks.yaml", TASKS), ("hello.md", "Say hello.\n")):
            Path(folder, name).write_text(text)
        subprocess.run(["git", "init", "-q", folder], check=True, env=env)
        commands = [
            Command("python -c pass", [sys.executable, "-c", "pass"], folder, env),
            Command("runner run canned hello", [RUNNER, "run", "canned", "hello"], folder, env, goal=5),
            Command("runner heartbeat", [RUNNER, "heartbeat"], folder, env, goal=4),
            Command("runner runs", [RUNNER, "runs"], folder, env, goal=4),
        ]
        report(commands, interleaved(commands, ROUNDS))
        print(f"{'the guardian of a run':<34}{_guardian(folder, env) * 1000:>7.1f}ms   (goal: 5 ms, without its agent)")
        if profile:
            for command in commands[1:]:
                print_profile(command)
