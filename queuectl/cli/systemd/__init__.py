"""``queuectl systemd``: the units of the service, written and taken back."""
