"""The methods, a file for each family: a class with its handlers, and their rows.

The fields of the class are the parts of the daemon that the family uses; ``dispatch``
fills them. A handler takes the ``Call`` and the parameters of its row, checked. It lets
exceptions pass; ``server.errors`` gives them their codes.
"""
