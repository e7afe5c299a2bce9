"""What ``queuectl systemd`` does: writes and removes the units of the service."""
