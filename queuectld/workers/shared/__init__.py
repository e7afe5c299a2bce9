"""What daemon and worker both know: messages, files, marks."""
