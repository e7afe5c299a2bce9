"""Limits of the wire format that both sides must know.

Each is a default, which the daemon's configuration can lower or raise. The greeting
tells the limit of a frame that is in force.
"""

MAX_FRAME = 8 * 1024 * 1024
"""Bytes in one frame, without the four bytes of its length."""

MAX_BATCH = 10_000
"""Jobs in one ``enqueue_many``."""

MAX_CHANGES = 1_000
"""Jobs in one ``cancel_many``, ``retry_many``, ``start_many`` or ``delete_many``: the
reply is 2 MB at most, and the transaction takes about 0.1 s."""

MAX_BATCH_TEXT = 32 * 1024 * 1024
"""Characters of commands, directories and labels in one ``enqueue_many``. Those of its
defaults count for each job: otherwise a frame of 130 kB could store a gigabyte."""

MAX_PAGE = 1_000
"""Rows in one page of ``list``."""

MAX_COMMAND = 131_071
"""Bytes in one argument of exec: the kernel's MAX_ARG_STRLEN (128 KiB) less its
terminating NUL. See execve(2)."""

MAX_ARGV = 2 * 1024 * 1024
"""Bytes in all words of a command, with a NUL after each: what exec takes, a quarter
of the usual 8 MiB of stack. See execve(2)."""

MAX_PATH = 4095
"""Bytes of a path: the kernel's PATH_MAX less its terminating NUL. See open(2)."""

MAX_ENV = 2 * 1024 * 1024
"""Bytes of names and values of one environment, with two more for each variable: as
much as exec takes of words and variables together. See execve(2)."""

MAX_DEPTH = 999
"""Levels of lists and maps in a payload, including the outermost."""

MAX_ID = 128
"""Characters in a job's id."""

MAX_LABEL = 256
"""Bytes of UTF-8 in a job's label."""

MAX_LOG_CHUNK = 1024 * 1024
"""Bytes of output in one ``logs.read`` reply."""
