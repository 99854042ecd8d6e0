"""`runner learn`: from what an unknown CLI prints to an entry that judges it right.

May import config, parsers, modelserver, recordings, process and what stands below them. The door: `record`, which runs
the CLI, `propose`, which makes the entry, and `patched`, which puts it into agents.yaml. What is known about shapes,
such as the names that mean tokens, is data: shapes.yaml.
"""

from __future__ import annotations
