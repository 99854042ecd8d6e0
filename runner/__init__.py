"""Run coding-agent CLIs unattended, from YAML, and know afterwards what happened."""

__version__ = "0.1.0"
