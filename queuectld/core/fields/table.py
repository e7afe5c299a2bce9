"""The table of job fields: a row for each.

From a row follow:

- what a submitter may say, how it is checked, and what ``describe`` tells of it;
- whether a field is part of what a job is (``submission.IDENTITY``);
- what a new job takes from its submission, from the settings, or by default
  (``new_job``);
- the form JOB, and what is sent of a job (``server.schema.forms`` and
  ``server.encoding``);
- the columns of the database, and which of them a change writes (``store``);
- which texts make a job large, and are left out where many jobs are held (``texts``).

``Submission`` and ``Job`` declare the types of the same values for type checkers. A new
row comes where its key is to stand in JOB: by custom after the last row with a key that
every JOB has, which is before ``env`` and the rows for the daemon alone. In
``Submission``, whose order is that of ``describe``, and in ``Job``, whose order is that
of the columns, a new field comes last.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from queuectl_protocol.limits import (
    MAX_ARGV,
    MAX_COMMAND,
    MAX_ID,
    MAX_LABEL,
    MAX_PATH,
)
from queuectl_protocol.rlimits import INFINITY, MAX_RLIMIT
from queuectld.core import settings, unixtext, values
from queuectld.core.fields.row import Field, Given, Kept, Told
from queuectld.core.job import SHELL, Job
from queuectld.core.values import MAX_DELAY, PRIORITY_RANGE

Of = Callable[[Job], Any] | None
"""Returns the value of a job, as in ``Field``."""


def _setting(name: str, kind: str, given: str, told: str, of: Of = None) -> Field:
    """Return a field that is a setting too: its range is the setting's.

    Args:
        name: of both.
        kind: its type, without the range.
        given: what it means, where a submitter may say it.
        told: what it means, where it is told.
        of: as for a ``Field``; what has it has no column.
    """
    setting = settings.SETTINGS[name]
    least, none = (setting.least, "0 | ") if setting.least else (setting.minimum, "")
    notation = f"{none}{kind} {least}..{setting.maximum}"
    return Field(
        name,
        Given(notation, given, values.of_setting(name), setting=True),
        Told(kind, told),
        kept=None if of else Kept.PLAIN,
        of=of,
    )


def _limit(name: str, kind: str, given: str, told: str) -> Field:
    """Return a setting that is one of ``Limits``."""
    return _setting(name, kind, given, told, attrgetter(f"limits.{name}"))


def _shell_of(job: Job) -> str | None:
    """Return the program that runs a job's line; None where none does."""
    return job.shell or SHELL if isinstance(job.command, str) else None


FIELDS: tuple[Field, ...] = (
    Field(
        "id",
        Given(
            f"str 1..{MAX_ID}", "an id of the submitter's; not digits alone",
            values.identifier, compared=False,
        ),
        Told("str", "the given id, or the generated one"), kept=None,
        of=attrgetter("id"),
    ),
    Field(
        "command",
        Given(
            f"unix 1..{MAX_COMMAND} | [unix 0..{MAX_COMMAND}] 1..{MAX_ARGV}",
            "a line for a shell's -c, or an exact argv", values.command,
        ),
        Told("unix | [unix]", "as it was enqueued"), kept=Kept.COMMAND,
        text=True,
    ),
    Field(
        "state", told=Told("str", "where it stands: see States"), kept=Kept.STATE,
        changes=True,
    ),
    Field(
        "attempts",
        told=Told(
            "int",
            "runs that count, since the last manual retry: the retry budget used",
        ),
        changes=True, default=0,
    ),
    _setting("max_retries", "int", "runs after the first", "runs after the first one"),
    Field("created_at", told=Told("time", "when it was enqueued")),
    Field("updated_at", told=Told("time", "when it changed last"), changes=True),
    Field(
        "run_at",
        Given("time", "not to be started before", values.time, compared=False),
        Told(
            "time | null",
            "not to be started before; after a failure: when the retry is due",
        ),
        changes=True,
    ),
    Field(
        "delay",
        Given(
            f"seconds 0..{MAX_DELAY}", "run_at, counted from now", values.delay,
            compared=False, counted_from_now="run_at",
        ),
        kept=None,
    ),
    Field(
        "priority",
        Given(
            f"int -{PRIORITY_RANGE}..{PRIORITY_RANGE}",
            "higher runs first; 0 unless given", values.priority,
        ),
        Told("int", "higher runs first"), default=0,
    ),
    _setting(
        "timeout", "seconds", "0 means none",
        "a run is ended after this long; 0: never",
    ),
    _setting(
        "backoff_base", "number", "base of the delay",
        "the delay before retry n is this ** n seconds",
    ),
    _setting(
        "backoff_max", "seconds", "longest delay",
        "the longest delay, jitter not counted",
    ),
    _setting(
        "backoff_jitter", "number", "share added",
        "up to this share of the delay is added",
    ),
    _setting(
        "output_limit", "bytes", "0 means none",
        "a run that writes more is ended; 0: no limit",
    ),
    Field(
        "cwd",
        Given(
            f"unix 1..{MAX_PATH}", "working directory, absolute; / unless given",
            unixtext.absolute_path, compared=False,
        ),
        Told("unix | null", "null: /"), kept=Kept.UNIX, text=True,
    ),
    Field(
        "umask",
        Given("str 1..4", "octal; 0022 unless given", values.umask, compared=False),
        Told("str | null", "octal; null: 0022", "{:04o}".format),
    ),
    Field(
        "queue", Given("default", "always default", values.queue),
        Told("str", "default"),
    ),
    Field(
        "exit_code",
        told=Told(
            "int | null",
            "of the last attempt that ended, if it exited; null while one runs",
        ),
        changes=True,
    ),
    Field(
        "signal",
        told=Told(
            "int | null",
            "of the last attempt that ended, if a signal ended it; null while one runs",
        ),
        changes=True,
    ),
    Field(
        "reason",
        told=Told(
            "str | null",
            "why the last attempt ended; null while one runs; cancelled or expired "
            "for a job that was cancelled, or expired, while it waited",
        ),
        kept=Kept.REASON, changes=True,
    ),
    Field(
        "message",
        told=Told(
            "str | null",
            "of the last attempt that ended, for people: what the codes do not say; "
            "null while one runs",
            unixtext.shown,
        ),
        changes=True, text=True,
    ),
    Field(
        "worker", told=Told("int | null", "the worker that runs it, or ran it last"),
        changes=True,
    ),
    Field(
        "started_at",
        told=Told("time | null", "start of the running or the last attempt"),
        changes=True,
    ),
    Field(
        "finished_at",
        told=Told(
            "time | null", "end of the last attempt, or of the job, while none runs",
        ),
        changes=True,
    ),
    Field(
        "label", Given(f"str 0..{MAX_LABEL}", "free text for people", values.label),
        Told("str | null", "as it was enqueued"), text=True,
    ),
    Field("submitter", told=Told("int | null", "uid of who enqueued it")),
    Field(
        "runs", told=Told("int", "runs in all; never reset"), changes=True, default=0,
    ),
    Field(
        "cancel_requested",
        told=Told("bool", "it was cancelled and its processes are being ended"),
        kept=Kept.FLAG, changes=True, default=False,
    ),
    _limit(
        "nice", "int", "added to the niceness",
        "as it was enqueued, or from the settings; 0: as the daemon's",
    ),
    _limit(
        "memory_max", "bytes", "of all processes",
        "of all its processes together; 0: no limit",
    ),
    _limit(
        "cpu_quota", "number", "percent of a CPU",
        "percent of one processor; 0: no limit",
    ),
    _limit(
        "tasks_max", "int", "processes and threads",
        "processes and threads at a time; 0: no limit",
    ),
    Field(
        "rlimits",
        Given(
            f"{{str: int {INFINITY}..{MAX_RLIMIT}}}", "of each process; -1 is infinity",
            values.rlimits,
        ),
        Told("{str: int}", "as it was enqueued; -1: infinity", dict), kept=None,
        of=attrgetter("limits.rlimits"),
    ),
    Field(
        "shell",
        Given(f"unix 1..{MAX_PATH}", "runs the line; absolute", unixtext.absolute_path),
        Told("unix | null", "what runs command; null: it is a list of words"),
        kept=Kept.UNIX, of=_shell_of, text=True,
    ),
    Field(
        "foreground",
        Given("bool", "its submitter waits for it", values.flag, compared=False),
        Told("bool", "as it was enqueued"), kept=Kept.FLAG, default=False,
    ),
    Field(
        "expires",
        Given("time", "cancelled unless started before", values.time, compared=False),
        Told("time | null", "cancelled at this time unless it was started before"),
        changes=True,
    ),
    Field(
        "expires_in",
        Given(
            f"seconds 0..{MAX_DELAY}", "expires, counted from now", values.delay,
            compared=False, counted_from_now="expires",
        ),
        kept=None,
    ),
    Field(
        "env",
        Given(
            "{unix: unix}", "the whole environment; minimal unless given",
            values.environment, compared=False,
        ),
        Told(
            "{unix: unix} | null",
            "in the reply of get with env: its environment; null: none of its own",
            always=False,
        ),
        kept=None,
    ),
    # What a job has for the daemon alone.
    Field("seq"),
    Field("name", text=True),
    Field("env_key"),
    Field("losses", changes=True, default=0),
    Field("lease", changes=True),
    Field("due", kept=Kept.FLAG, changes=True),
    Field("limits", kept=Kept.LIMITS),
    Field("groups", kept=Kept.NUMBERS),
)  # fmt: skip

BY_NAME: Mapping[str, Field] = MappingProxyType({field.name: field for field in FIELDS})


def value_of(job: Job, name: str) -> Any:
    """Return a field's value in the form in which a ``Submission`` has it."""
    of = BY_NAME[name].of
    return getattr(job, name) if of is None else of(job)
