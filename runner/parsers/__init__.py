"""The rule language that turns an agent's output into a reply: `compile_parser(table).reader(clock)`.

May import the ground only. The door: the names below.
"""

from __future__ import annotations

from runner.parsers.compile import RuleError, compile_parser
from runner.parsers.reader import Live, Parser, Reader

__all__ = ["Live", "Parser", "Reader", "RuleError", "compile_parser"]
