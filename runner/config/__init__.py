"""agents.yaml and tasks.yaml: found, read, merged with the stock set, checked.

May import parsers and template. The door: the names below.
"""

from __future__ import annotations

from runner.config.config import Config
from runner.config.load import load
from runner.config.project import Project, find_project, state_home, stock_dir
from runner.config.templates import check_pair, read_prompt

__all__ = ["Config", "Project", "check_pair", "find_project", "load", "read_prompt", "state_home", "stock_dir"]
