"""From what people write to what the daemon is asked."""
