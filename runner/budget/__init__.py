"""What runs may cost: a run's own budget while it runs, and what all runs of a day, week or month may spend together.

`Terms` are what was agreed on for one run, `meter` watches one, `admission` lets one begin, `ledger` is the file that
the projects of a user share, `prices` says what tokens cost. Imports records and what is below; only runs with a key
that asks for it import this room.
"""
