"""Whether the agents can run here, and if not, what to do: the facts behind `runner doctor`.

May import every room but commands and cli. The door: `agent_checks.examine`, `machine_checks.examine`,
`deep.deep`, `live.live`, and `check` for the reports.
"""
