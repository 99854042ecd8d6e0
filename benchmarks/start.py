"""What a start costs, as a multiple of `python -c pass`; with --profile, where the time goes."""

from __future__ import annotations

import os
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
        if profile:
            for command in commands[1:]:
                print_profile(command)
