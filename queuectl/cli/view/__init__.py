"""From what the daemon answers to what people read."""
