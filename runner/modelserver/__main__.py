"""`python -m runner.modelserver --scenario hello --port 0`: print the URL, serve until Ctrl-C, print the counts."""

from __future__ import annotations

import argparse
import json
import sys
import threading

from runner.modelserver import SCENARIOS, ModelServer
from runner.values import asdict


def main() -> int:
    listed = "\n".join(f"  {name:<17} {scenario.about}" for name, scenario in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="python -m runner.modelserver",
        description="A scripted model server on loopback.",
        epilog=f"scenarios:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenario", choices=SCENARIOS, default="hello", metavar="NAME")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    chosen = parser.parse_args()
    with ModelServer(chosen.scenario, port=chosen.port) as server:
        try:
            # Whoever reads the address may already end us.
            sys.stdout.write(f"{server.url}\n")
            sys.stdout.flush()
            threading.Event().wait()
        except KeyboardInterrupt:
            counted = {"requests": len(server.requests), "calls": len(server.calls), "tokens": asdict(server.usage)}
            sys.stdout.write(json.dumps(counted) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
