"""Schedules: when a task is due, what was started, what was missed, and the process of an occurrence.

May import notify and records. The door: `due.schedules_of`, `dispatch.dispatch`, `occurrence`, `missed`.
"""
