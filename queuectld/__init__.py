"""queuectld: the supervisor that owns the store, the workers and the socket."""
