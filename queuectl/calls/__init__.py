"""Every method of the clients once: its parameters, documentation and typed result.

A function here takes the arguments of the client's method and returns a ``Call``: the
request, and how to read its reply. It sends nothing. A file holds the methods of one
subject. ``queuectl.sync`` and ``queuectl.aio`` make a method of each function in one
line; what the method does is said at the function.
"""
