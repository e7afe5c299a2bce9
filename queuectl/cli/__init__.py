"""The command line: arguments in, calls to the daemon, text out.

It talks to the daemon only through ``queuectl.sync`` and never opens the database.
"""
