"""What Linux offers to programs. Nothing here knows of jobs, workers or the daemon."""
