"""Worker processes: separate programs, each of which runs one job at a time.

``worker_side`` is the program, ``daemon_side`` what the daemon knows of it and does
with it, ``shared`` the messages and files between the two. Nothing here imports the
store or decides a job's state.
"""
