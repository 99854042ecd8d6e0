"""The picture of a run in README: real commands in a scratch repository, drawn as a terminal.

`uv run python docs/make_run_svg.py [FILE]` writes docs/run.svg, or FILE. What differs from run to run (ids, hashes,
times) is replaced by fixed values, so the same program gives the same bytes.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMMANDS = ("runner run demo debug_smoke_commit", "runner triage")
FIXED = [
    (r"\d{8}_\d{6}(_\d\d+)?", "20260219_175043"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "2026-02-18T17:50:44Z"),
    (r"\b\d+(\.\d+)?(ms|s)\b", "91ms"),
    (r"\b[0-9a-f]{7}\b(?= )", "29221e0"),
]
COLUMNS, LEFT, TOP, ROW, CHARACTER = 80, 18, 48, 19, 8.0
STYLE = """\
    text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d4d7dd; }
    text { white-space: pre; }
    .command { fill: #ffffff; font-weight: bold; }
    .good { fill: #7fd48a; font-weight: bold; }
    .key { fill: #8fa3c0; }"""


def main(target: Path) -> None:
    """Run the commands and draw what they print."""
    with tempfile.TemporaryDirectory(prefix="runner-svg-") as folder:
        lines = shown(Path(folder))
    target.write_text(svg(lines), encoding="utf-8")


def shown(folder: Path) -> list[str]:
    """The lines of the terminal."""
    home, project = folder / "home", folder / "project"
    home.mkdir()
    project.mkdir()
    (home / ".gitconfig").write_text("[user]\n  name = Someone\n  email = someone@example.invalid\n")
    environ = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TZ": "UTC"}
    printed(["git", "init", "--quiet"], project, environ)
    printed(["git", "commit", "--quiet", "--allow-empty", "-m", "first"], project, environ)
    lines: list[str] = []
    for command in COMMANDS:
        text = printed([sys.executable, "-m", *shlex.split(command)], project, environ)
        lines += [f"$ {command}", *wrapped(steady(text)), ""]
    return [*lines, "$"]


def printed(argv: list[str], folder: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{shlex.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def steady(text: str) -> str:
    """`text` with fixed values for what differs from run to run."""
    for pattern, value in FIXED:
        text = re.sub(pattern, value, text)
    return text.rstrip()


def wrapped(text: str) -> list[str]:
    """Lines as a terminal of that width breaks them."""
    return [line[at : at + COLUMNS] for line in text.splitlines() for at in range(0, len(line) or 1, COLUMNS)]


def svg(lines: list[str]) -> str:
    width, height = round(2 * LEFT + COLUMNS * CHARACTER), TOP + ROW * len(lines)
    rows = "\n".join(row(line, TOP + ROW * number) for number, line in enumerate(lines))
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
  <title>A terminal: an agent makes a commit, and the runner says what happened</title>
  <style>
{STYLE}
  </style>
  <rect width="{width}" height="{height}" rx="8" fill="#1d2128"/>
  <circle cx="20" cy="18" r="5.5" fill="#e5655c"/>
  <circle cx="38" cy="18" r="5.5" fill="#e0b14c"/>
  <circle cx="56" cy="18" r="5.5" fill="#67b66c"/>
{rows}
</svg>
"""


def row(line: str, y: int) -> str:
    """One line; its first word coloured where it says something."""
    if not line:
        return f'  <text x="{LEFT}" y="{y}"/>'
    found = re.match(r"(\$ .+)|(success(?=:)|fine(?=:))|(  [a-z]+(?= {2,}\S))", line)
    if found is None:
        inner = escape(line, quote=False)
    else:
        kind = ("command", "good", "key")[(found.lastindex or 1) - 1]
        rest = escape(line[found.end() :], quote=False)
        inner = f'<tspan class="{kind}">{escape(found[0], quote=False)}</tspan>{rest}'
    return f'  <text x="{LEFT}" y="{y}" xml:space="preserve">{inner}</text>'


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "run.svg")
