"""The forms: the maps that replies contain, with the types of their keys.

Types of results name them. ``describe`` tells them as JSON Schema, PROTOCOL.md has the
same rows, and ``encoding`` makes the maps; tests compare the three. The keys of JOB are
those of the table of job fields.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from queuectld.core import submission_fields
from queuectld.core.fields.table import FIELDS
from queuectld.server.schema import json_schema
from queuectld.server.schema.json_schema import Schema


class Key(NamedTuple):
    """A key of a form.

    Attributes:
        name: followed by a question mark if the key can be absent.
        type: in the notation of ``json_schema``.
        doc: what it is, for people.
    """

    name: str
    type: str
    doc: str


def _job() -> tuple[Key, ...]:
    return tuple(
        Key(field.name if told.always else f"{field.name}?", told.type, told.doc)
        for field in FIELDS
        if (told := field.told)
    )


FORMS: Mapping[str, tuple[Key, ...]] = MappingProxyType(
    {
        "JOB": _job(),
        "BRIEF": (
            Key("id", "str", "the job's id"),
            Key("state", "str", "where it stands: see States"),
            Key("attempts", "int", "the retry budget used"),
            Key("max_retries", "int", "runs after the first one"),
            Key("runs", "int", "runs in all"),
            Key("run_at", "time | null", "not to be started before"),
            Key("updated_at", "time", "when it changed last"),
            Key(
                "exit_code",
                "int | null",
                "of the last attempt that ended, if it exited; null while one runs",
            ),
            Key(
                "signal",
                "int | null",
                "of the last attempt that ended, if a signal ended it; null while "
                "one runs",
            ),
            Key(
                "reason",
                "str | null",
                "why the last attempt ended; null while one runs",
            ),
            Key(
                "cancel_requested",
                "bool",
                "it was cancelled and its processes are being ended",
            ),
        ),
        "RESULT": (
            Key("id", "str", "the id as it was sent"),
            Key(
                "job",
                "BRIEF | null",
                "the job after that (one that is deleted: before); null: see error",
            ),
            Key("error", "ERROR | null", "why nothing was done to it"),
        ),
        "ERROR": (
            Key("code", "str", "one of the table in Errors"),
            Key("message", "str", "a sentence for people"),
            Key("data", "map | null", "for programs: see Errors"),
            Key(
                "retryable",
                "bool",
                "the same request, unchanged, may succeed later",
            ),
        ),
        "ATTEMPT": (
            Key("run", "int", "1, 2, 3 ... within the job"),
            Key("lease", "int", "a number that no other attempt ever had"),
            Key("worker", "int | null", "who ran it"),
            Key("started_at", "time | null", "when it was started; null: it never was"),
            Key("finished_at", "time | null", "when it ended; null: it runs"),
            Key("reason", "str | null", "why it ended; null: it runs"),
            Key("exit_code", "int | null", "its exit code, where it exited"),
            Key("signal", "int | null", "the signal that ended it"),
            Key("message", "str | null", "what the codes do not say, for people"),
            Key(
                "max_rss",
                "bytes | null",
                "largest resident set of its main process, or of one that it waited "
                "for; null where that is not known: it did not start, or held no more "
                "than a worker does (about 13 MB), in whose memory it begins",
            ),
            Key(
                "user_ms",
                "int | null",
                "CPU time in user mode, milliseconds: of all its processes if it "
                "had a cgroup, else of the main one and those it waited for",
            ),
            Key(
                "system_ms",
                "int | null",
                "CPU time in the kernel, of the same processes",
            ),
            Key("stdout_bytes", "bytes | null", "size of what it wrote to stdout"),
            Key("stderr_bytes", "bytes | null", "size of what it wrote to stderr"),
            Key(
                "memory_peak",
                "bytes | null",
                "most memory of all its processes together, from its cgroup; null: "
                "not known",
            ),
        ),
        "WORKER": (
            Key("worker", "int", "its number, never used twice"),
            Key("pid", "int", "its process"),
            Key("state", "str", "starting, idle, busy or stopping"),
            Key("job", "str | null", "id of the job it runs"),
            Key("run", "int | null", "which run of it"),
            Key("started_at", "time", "when it was started, by whichever daemon"),
            Key("run_started_at", "time | null", "when its run began"),
            Key(
                "adopted",
                "bool",
                "a daemon before this one started it; it ends after its job",
            ),
            Key("bound", "bool", "it belongs to a connection"),
            Key(
                "reserved",
                "bool",
                "it takes one job and no other: see [workers.reserve](#workersreserve)",
            ),
        ),
        "GREETING": (
            Key("server", "str", "queuectld"),
            Key("version", "str", "the daemon's version, for people"),
            Key("api", "int", "the version of this protocol that the daemon speaks"),
            Key("min_api", "int", "the oldest that it still speaks"),
            Key(
                "instance",
                "str",
                "random, made when the daemon started: the same one means the same "
                "process",
            ),
            Key("max_frame", "bytes", "the longest payload: see Frames"),
            Key(
                "features",
                "[str]",
                "what this daemon can do beyond version api, in words; bin: see "
                "Strings of Unix",
            ),
            Key(
                "uid",
                "int",
                "the user this client's jobs run as: the daemon's, or the client's "
                "own where the daemon runs jobs as their submitters",
            ),
            Key(
                "you",
                "{uid: int, role: str}",
                "who the daemon takes you for, and what you may do",
            ),
        ),
        "SETTING": (
            Key("key", "str", "its name"),
            Key("value", "number | str", "in force"),
            Key("default", "number | str", "in force unless it is set"),
            Key("is_default", "bool", "it is not set"),
            Key(
                "kind",
                "str",
                "whole number, number, duration (seconds), size (bytes) or absolute "
                "path",
            ),
            Key(
                "minimum", "number | null", "the least that it can be; null: no number"
            ),
            Key("maximum", "number | null", "the most that it can be; null: no number"),
            Key("applies", "str", "which jobs a new value touches, for people"),
            Key("doc", "str", "what it means, for people"),
        ),
        "SPREAD": (
            Key("count", "int", "how many times"),
            Key("average", "seconds", "of them all"),
            Key("p50", "seconds", "half of them took no longer"),
            Key("p95", "seconds", "95 of 100 took no longer"),
            Key("p99", "seconds", "99 of 100 took no longer"),
        ),
        "CHECK": (
            Key("name", "str", "what was looked at"),
            Key("level", "ok | warning | error", "how it is"),
            Key("detail", "str", "what was found, for people"),
            Key("advice", "str | null", "what to do about it, for people"),
        ),
        "METHOD": (
            Key("name", "str", "what a request calls it"),
            Key("doc", "str", "what it does, for people"),
            Key("role", "str", "the least role that may call it"),
            Key(
                "others",
                "str | null",
                "the least role for somebody else's job; null: the same",
            ),
            Key("params", "[PARAM]", "what it takes"),
            Key("result", "str", "the type of its result"),
            Key("result_schema", "map", "the same as JSON Schema"),
            Key(
                "events",
                "[{type: str, schema: map}]",
                "the types of its stream's events, beside sub and seq; as JSON "
                "Schema too",
            ),
            Key(
                "errors",
                "[str]",
                "codes of its own; common_errors can meet it as well",
            ),
        ),
        "PARAM": (
            Key("name", "str", "its name"),
            Key("type", "str", "its type"),
            Key("schema", "map", "the same as JSON Schema"),
            Key("required", "bool", "it must be there, and not null"),
            Key("default", "any", "what its absence means; null: see doc"),
            Key("doc", "str", "what it is, for people"),
        ),
        "FIELD": (
            Key("name", "str", "its name"),
            Key("type", "str", "its type"),
            Key("schema", "map", "the same as JSON Schema"),
            Key("doc", "str", "what it is, for people"),
            Key("compared", "bool", "it is part of what a job is: see Ids"),
        ),
    }
)


SUBMISSION = "SUBMISSION"
"""The form of a job to be enqueued: its keys are ``submission_fields.GIVEN``."""


def schemas() -> dict[str, Schema]:
    """Return the JSON Schemas of all forms."""
    return {SUBMISSION: _submission()} | {name: _schema(name) for name in FORMS}


def _submission() -> Schema:
    properties = {
        name: {**json_schema.of(given.type), "description": given.doc}
        for name, given in submission_fields.GIVEN.items()
    }
    return {"type": "object", "properties": properties, "required": ["command"]}


def _schema(name: str) -> Schema:
    keys = {key.name.removesuffix("?"): key for key in FORMS[name]}
    properties = {
        name: {**json_schema.of(key.type), "description": key.doc}
        for name, key in keys.items()
    }
    required = [name for name, key in keys.items() if not key.name.endswith("?")]
    return {"type": "object", "properties": properties, "required": required}
