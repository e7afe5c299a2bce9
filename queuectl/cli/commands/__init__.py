"""A file for each command or family of commands, with its name.

No command imports another: what several share is in ``input``, ``requests`` and
``view``. A part that fills a file of its own begins with its command's name, such as
``enqueue_file``.
"""
