"""The command line: a table of the commands, its reader, and click's help, errors and completion made from it.

May import every room; only `__main__` imports it. The door: `main`, which imports click only for what is unusual.
"""
