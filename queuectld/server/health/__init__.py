"""What the daemon finds out about its own health."""
