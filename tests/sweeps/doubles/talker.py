"""An agent that keeps count of what it has printed, a line after the other as the runner takes them.

With `stay` it then waits for the file `more`, prints one line that nobody needs to take, makes the file `said`, and
stays.
"""

import os
import sys
import time
from pathlib import Path

LINES = 3
_PATIENCE = 2.0  # where the log takes nothing more
_LIFE = 60.0


def say(number):
    line = f"line {number}\n".encode()
    os.write(1, line)
    with open("lines", "ab", buffering=0) as file:
        file.write(line)
    return line


def wait_for(condition, seconds):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.002)


def taken(line):
    try:
        return line in Path(os.environ["RUNNER_RUN_DIR"], "stdout.log").read_bytes()
    except OSError:
        return False


def main():
    for number in range(LINES):
        line = say(number)
        wait_for(lambda line=line: taken(line), _PATIENCE)
    if sys.argv[1] == "stay":
        Path("waiting").touch()
        wait_for(Path("more").exists, _LIFE)
        say(LINES)
        Path("said").touch()
        time.sleep(_LIFE)


if __name__ == "__main__":
    main()
