"""The contract between queuectl and queuectld: standard library and msgpack, no I/O.

PROTOCOL.md beside this package is the specification; this package is the same in
Python, and the daemon and both clients are built on it.
"""

from queuectl_protocol.version import __version__

__all__ = ["__version__"]
