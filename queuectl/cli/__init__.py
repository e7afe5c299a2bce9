"""The command line: arguments in, calls to the daemon, text out.

It talks to the daemon only through ``queuectl.sync`` and never opens the database.
A command family is a file; what they share is in ``connector``, ``params``, ``output``,
``table``, ``text`` and ``exits``.
"""

from queuectl.cli.root import main

__all__ = ["main"]
