"""One process that goes through the runner's door again and again, and looks at itself each time."""

import gc
import json
import os
import sys

from runner.cli.main import dispatch


def open_files():
    return len(os.listdir("/proc/self/fd"))


def resident():
    """Kilobytes in memory."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def objects():
    gc.collect()
    return len(gc.get_objects())


def main():
    said = json.load(sys.stdin)
    report = sys.stdout
    seen = []
    with open(os.devnull, "w") as null:
        for words in said:
            sys.stdout = sys.stderr = null
            code = dispatch(words)
            seen.append([code, open_files(), resident(), objects()])
    json.dump(seen, report)


if __name__ == "__main__":
    main()
