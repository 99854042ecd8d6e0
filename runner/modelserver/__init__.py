"""A scripted model server on loopback: real agent CLIs run against it, offline, and it knows what it answered.

A scenario (`scenario.py`) says what happens, a dialect (`dialect.py`) in which API, and the server counts. Nothing here
needs more than the standard library, and nothing here is imported by a run.
"""

from __future__ import annotations

from runner.modelserver.scenario import SCENARIOS, Scenario, Tokens
from runner.modelserver.server import Exchange, ModelServer

__all__ = ["SCENARIOS", "Exchange", "ModelServer", "Scenario", "Tokens"]
