"""Measurements, by `python -m benchmarks NAME`: ratios taken side by side in one run, never tests."""

from __future__ import annotations

import sys

from benchmarks import history, start, stream

BENCHMARKS = {"history": history.main, "start": start.main, "stream": stream.main}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:] or [""]
    if name not in BENCHMARKS or arguments not in ([], ["--profile"][: name == "start"]):
        sys.exit("usage: python -m benchmarks history | start [--profile] | stream")
    BENCHMARKS[name](*arguments)
