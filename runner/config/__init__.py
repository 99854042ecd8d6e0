"""agents.yaml and tasks.yaml: found, read, merged with the stock set, checked.

May import parsers and template. The door: the names below.
"""

from __future__ import annotations

from runner.config.load import load
from runner.config.pair import check_pair
from runner.config.project import Project, find_project, state_home, stock_dir
from runner.config.prompts import read_prompt
from runner.config.value import Config

__all__ = ["Config", "Project", "check_pair", "find_project", "load", "read_prompt", "state_home", "stock_dir"]
