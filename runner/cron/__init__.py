"""What makes the heartbeat beat: a block in the user's crontab, or a systemd timer."""
