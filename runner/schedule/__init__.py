"""Schedules: when a task is due, what was started, missed or waits, and the start of an occurrence.

May import notify and records. The door: `due.schedules_of`, `dispatch.advance`, `occurrence`, `missed`.
"""
