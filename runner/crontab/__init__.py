"""The line or the unit that calls the heartbeat each minute: its text, its environment, and putting it in place.

May import run, config and process. The door: `environment`, `crontab`, `crontab_io`, `systemd`.
"""
