from __future__ import annotations

import sys

from benchmarks import history, start

BENCHMARKS = {"history": history.main, "start": start.main}

if __name__ == "__main__":
    names = sys.argv[1:]
    if len(names) != 1 or names[0] not in BENCHMARKS:
        sys.exit(f"usage: python -m benchmarks {'|'.join(BENCHMARKS)}")
    BENCHMARKS[names[0]]()
