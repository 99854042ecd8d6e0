"""The whole `runner run` with an agent that only prints, as a multiple of `python -c pass`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Command, interleaved, report

ROUNDS = 40
AGENTS = "stock: false\nagents:\n  canned: {binary: /bin/sh, argv: [-c, 'echo hello'], parser: text}\n"
TASKS = "stock: false\ntasks:\n  hello: {description: say hello, prompt: hello.md}\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        env = {"HOME": folder, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        for name, text in (("agents.yaml", AGENTS), ("tasks.yaml", TASKS), ("hello.md", "Say hello.\n")):
            (root / name).write_text(text)
        subprocess.run(["git", "init", "-q", folder], check=True, env=env)
        runner = str(Path(sys.executable).with_name("runner"))
        commands = [
            Command("python -c pass", [sys.executable, "-c", "pass"], folder, env),
            Command("the agent alone", ["/bin/sh", "-c", "echo hello"], folder, env),
            Command("runner run canned hello", [runner, "run", "canned", "hello"], folder, env),
        ]
        report(interleaved(commands, ROUNDS), "python -c pass")
