"""The only place that starts an agent: guardian, process tree, streams, limits, and the end of them all.

May import the ground only. The door: `guardian.Guardian`, `supervise.execute`,
`containment`, `spawn`, `signals.Signals`.
"""
