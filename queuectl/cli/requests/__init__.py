"""What commands ask of the daemon in more than one request."""
