"""The methods, a file for each family: handlers, and the rows that declare them.

A handler takes the ``Call`` and the parameters of its row, checked. Errors are raised
as they are; ``server.errors`` gives them their codes.
"""
