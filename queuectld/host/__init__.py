"""What the daemon needs of the machine it runs on: directories, logs, systemd."""
