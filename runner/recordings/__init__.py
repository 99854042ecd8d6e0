"""What agents printed once, kept in files: the form of a recording, how it is judged, and what it must come to.

May import config and run, and what is below them.
"""
