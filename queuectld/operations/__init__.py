"""What can be done to the queue: one file per operation."""
