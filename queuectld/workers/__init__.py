"""Worker processes: the program that runs jobs, and what the daemon shares with it.

A worker is a separate program (``child``), one job at a time, on a socket pair.
Nothing here knows the store or decides a job's state; what ``child`` imports stays
small, because every worker pays for it in memory.
"""
