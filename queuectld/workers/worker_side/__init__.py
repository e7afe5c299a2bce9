"""The worker program: ``python -P -m queuectld.workers.worker_side``."""
