#!/usr/bin/env python3
"""Debian's `crontab` program as a double: the table is the file that CRONTAB_DOUBLE names; as strict as the real one.

CRONTAB_REFUSES makes it refuse every change; each call is written to the file `calls` beside the table.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MAX_COMMAND = 998
table = Path(os.environ["CRONTAB_DOUBLE"])


def end(message: str) -> None:
    sys.exit(message)


def check(new: bytes) -> None:
    if os.environ.get("CRONTAB_REFUSES"):
        end(os.environ["CRONTAB_REFUSES"])
    if not new.endswith(b"\n") and not os.environ.get("CRONTAB_LENIENT"):
        end("new crontab file is missing newline before EOF, can't install.")
    for number, line in enumerate(new.split(b"\n"), 1):
        if line.startswith(b"* * * * * ") and len(line) - 10 > MAX_COMMAND:
            end(f'"-":{number}: command too long\nerrors in crontab file, can\'t install.')


with (table.parent / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\n")
if sys.argv[1:] == ["-"]:
    new = sys.stdin.buffer.read()
    check(new)
    table.write_bytes(new)
elif not table.exists():
    end("no crontab for tester")
elif sys.argv[1:] == ["-l"]:
    # As Debian's does it: afterwards the two forms look the same.
    sys.stdout.buffer.write(table.read_bytes().replace(b"\r", rb"\r").replace(b"\b", rb"\b"))
elif sys.argv[1:] == ["-e"]:
    copy = table.with_name("edited")
    copy.write_bytes(table.read_bytes())
    editor = os.environ.get("VISUAL") or os.environ["EDITOR"]
    subprocess.run(["/bin/sh", "-c", f"{editor} {copy}"], check=True)
    if copy.read_bytes() != table.read_bytes():
        end("the double does not install what was edited")
elif sys.argv[1:] == ["-r"]:
    if os.environ.get("CRONTAB_REFUSES"):
        end(os.environ["CRONTAB_REFUSES"])
    table.unlink()
else:
    end(f"unknown arguments {sys.argv[1:]}")
