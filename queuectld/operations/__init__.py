"""What can be done to the queue: a file for each operation.

An operation decides by the lifecycle, writes to the transaction that it is given, and
returns its result together with what is to be announced after the commit (``Done``).
It is a plain function, may run more than once, perhaps in the store's thread, and so
changes nothing in memory. The broker runs it.
"""
