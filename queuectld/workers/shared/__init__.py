"""What the daemon and its workers have in common: messages, files, marker, cgroups."""
