"""The command line: one table of the commands, one reader of it, and click's help, errors and completion from it.

May import every room; nothing imports it but `__main__`. The door: `arguments`, which does without click, and `app`.
"""
