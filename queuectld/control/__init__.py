"""What drives the queue: the scheduler and what it decides with."""
