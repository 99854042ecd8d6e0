"""One run of one agent on one task: plan, claim, admit, open, execute, judge, close.

May import process, parsers, records, notify and config. The door: `run.run`, `fallback.run_with_fallback`,
`recovery.close_lost`, `plan.plan`.
"""
