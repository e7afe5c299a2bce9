"""What several commands ask of the daemon, and what takes more than one request."""
