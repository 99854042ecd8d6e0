"""All runs of a project: the journal runs.jsonl, the index made from it, queries, triage and retention.

May import records. The door: `index.Store`, `queries`, `triage.triage`, `retention`. The only room that uses SQLite.
"""
