"""One module a command, each a few calls of the rooms below; the only room that prints results.

May import every room but cli. The door: the functions that the table of commands names.
"""
