"""The contract between queuectl and queuectld: standard library and msgpack, no I/O.

PROTOCOL.md beside this package is the specification; this package implements it, and
the daemon and both clients use it.
"""

from queuectl_protocol.version import __version__

__all__ = ["__version__"]
