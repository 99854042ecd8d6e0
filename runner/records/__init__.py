"""What is kept of a run: the log folder with its ids and locks, the run's folder, its record, and its summary.

May import the ground only. The door: `folder.Logs`, `store` (reads and writes a record), `metadata` (makes one),
`summary.summary`.
"""
