"""Every method of a real daemon, called with anything: an answer, and never `internal`.

HOSTILE_EXAMPLES (200) says how many calls are made. Jobs do run here, on a worker, so
what is chosen by chance must do nothing as a shell line: see ``TEXT``.
"""

import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.daemon import Daemon, a_daemon
from queuectl_protocol.messages import Failure
from queuectld.core.settings import SETTINGS
from queuectld.core.submission_fields import GIVEN
from queuectld.server.dispatch import METHODS
from queuectld.server.schema.description import COMMON
from queuectld.server.schema.method import Param

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "200"))

BENIGN = "Zé\0\n\t\x1b\x07\x7f\u202e\u2028\udcff\U0001f4a9. 1/:@+-=%"
"""No shell makes anything of these, and all that is awkward is among them."""


def _nested(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


TEXT = st.text(st.sampled_from(BENIGN), max_size=12)
NUMBERS = (
    st.sampled_from([0, 1, -1, 2, 255, 256, 257, 2**31, 2**53, 2**63 - 1, 2**63])
    | st.sampled_from([2**64 - 1, -(2**63), 1.0, -0.0, 0.1, 2.0**63, 1e300])
    | st.sampled_from([math.nan, math.inf, -math.inf])
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
)
LONG = st.sampled_from(["Z" * 131_072, "/" * 4096, b"Z" * 131_072, "Z" * 1_000_000])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT | st.binary(max_size=8) | LONG
TIMESTAMPS = st.just(msgpack.Timestamp(1))
DEEP = st.integers(2, 900).map(_nested)
ANYTHING = st.recursive(
    SCALARS | TIMESTAMPS | DEEP,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
    ),
    max_leaves=8,
)

IDS = st.sampled_from(["1", "2", "3", "4", "own", "../../etc", "own\0", "9" * 128])
SMALL = st.integers(0, 3) | st.sampled_from([0.0, 0.01, 1.5])
UNIX = TEXT | st.binary(max_size=8).filter(lambda raw: not set(raw) & set(b";&|<>$`"))
WORDS = st.lists(UNIX, max_size=3).map(lambda words: ["true", *words])
LINES = TEXT.map(lambda text: f"exit 0\n{text}")
PLACES = st.sampled_from(["/", "/tmp", "/nowhere", "/dev/null", "/proc/self/fd/3"])

TIMES = st.sampled_from(
    ["2026-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00+14:00"]
)

JOB_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "command": WORDS | LINES | st.just(["Z"]),
    "id": IDS | TEXT,
    "queue": st.just("default"),
    "priority": NUMBERS,
    "run_at": TIMES,
    "delay": SMALL | st.just(math.nan),
    "expires": TIMES,
    "expires_in": SMALL | st.just(math.nan),
    "cwd": PLACES,
    "umask": st.sampled_from(["0022", "777", "0999", "0"]),
    "env": st.dictionaries(UNIX, UNIX, max_size=4),
    "label": TEXT,
} | {name: SMALL for name in GIVEN if name in SETTINGS}


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy that sometimes gives a wrong value."""
    return st.integers(0, 19).flatmap(lambda dice: ANYTHING if dice == 7 else good)


@st.composite
def mapping(
    draw: st.DrawFn, values: dict[str, st.SearchStrategy[Any]], required: set[str]
) -> dict[str, Any]:
    """Give some of these values; sometimes one is missing or unknown."""
    dice = st.integers(0, 19)
    chosen = {
        name
        for name in values
        if (draw(dice) != 7 if name in required else draw(dice) < 5)
    }
    found = {name: draw(values[name]) for name in sorted(chosen)}
    if draw(dice) == 7:
        found[draw(st.sampled_from(["Z", "state", "\0"]))] = draw(ANYTHING)
    return found


JOBS = mapping({name: mostly(v) for name, v in JOB_FIELDS.items()}, {"command"})

PATHS = [
    "/nowhere/Z", "/", "/..", "/dev/null/Z", "/dev/null", "Z", "/Z\0", "/proc/Z",
    "/proc/self/fd/Z", f"/{'Z' * 300}/Z", f"/dev/{'Z' * 300}",
]  # fmt: skip

BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "id": IDS,
    "key": st.sampled_from([*SETTINGS, "max-retries", "Z"]),
    "value": SMALL | st.sampled_from(["5m", "1GiB", "-1", "", "1e9"]),
    "job": JOBS,
    "jobs": st.lists(JOBS, max_size=4),
    "defaults": JOBS,
    "count": st.integers(1, 2),
    "timeout": st.sampled_from([0, 0.01]),
    "sub": st.integers(0, 3) | TEXT,
    "path": st.sampled_from(PATHS),
}
"""Values of parameters; the type of the others says enough. Paths never name a file
that could be made: what a backup may write to is the daemon's user's affair."""

INTERNALS = re.compile(
    r"Traceback|NoneType|<class|msgpack|strict_map|StackError|sqlite|UNIQUE|(^|[\s(,])b'"
)
"""Words of what the daemon is made of: they say nothing to the author of a client."""

ANSWERS: Counter[str] = Counter()
"""What was answered, for the figures: a reply, or the code of an error."""

DEADLY = frozenset({"daemon.stop", "daemon.restart"})


def value(param: Param) -> st.SearchStrategy[Any]:
    """Return values that are mostly of the right type."""
    if param.name in BY_NAME:
        good = BY_NAME[param.name]
    elif param.type.startswith("bool"):
        good = st.booleans()
    elif param.type.startswith(("int", "seconds")):
        good = NUMBERS | SMALL
    elif param.type.startswith("[int"):
        good = st.lists(st.integers(0, 300), max_size=3)
    else:
        words = re.sub(r"[\[\]]| *\d+\.\.\d+", "", param.type).split(" | ")
        good = st.sampled_from(words)
        if param.type.startswith("["):
            good = st.lists(good, max_size=3)
    return mostly(good)


def calls(name: str) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """Return calls of a method."""
    declared = METHODS[name].params
    values = {param.name: value(param) for param in declared}
    params = mapping(values, {param.name for param in declared if param.required})
    if name in DEADLY:
        params = st.tuples(params, ANYTHING).map(lambda two: two[0] | {"Z": two[1]})
    return st.tuples(st.just(name), params)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon with some jobs and a worker; at the end it must be in good health."""
    with a_daemon() as served:
        with served.connect() as client:
            instance = client.greeting()["instance"]
            client.call("workers.start")
            for job_id in ("own", None, None):
                client.call("enqueue", job={"command": "exit 0", "id": job_id})
        yield served
        print(f"answers: {dict(ANSWERS.most_common())}")
        with served.connect() as client:
            assert client.greeting()["instance"] == instance
            client.call("workers.stop", now=True)
            deep = client.call("doctor", deep=True)["checks"]
        assert [each for each in deep if each["level"] == "error"] == []
        log = served.log.read_bytes()
        assert b"raceback" not in log
        # Nothing that acts on a terminal, and no line that somebody else began.
        assert not set(log) & (set(range(32)) - {ord("\n")} | {0x7F})
        assert all(line[:2] == b"20" for line in log.splitlines())


@given(call=st.sampled_from(sorted(METHODS)).flatmap(calls))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_asked_is_answered(
    daemon: Daemon, call: tuple[str, dict[str, Any]]
) -> None:
    """By a reply, or by an error that the method or every method may return."""
    name, params = call
    if name == "wait" and params.get("timeout") is None:
        params = params | {"timeout": 0.01}
    with daemon.connect() as client:
        request = client.send(name, **params)
        if name == "logs.follow":
            client.send("unfollow", sub=request)
        end = client.end(request)
        ANSWERS[end.code if isinstance(end, Failure) else "reply"] += 1
        if isinstance(end, Failure):
            end.message.encode()
            assert not INTERNALS.search(end.message), end
            assert end.code in {*METHODS[name].errors, *COMMON} - {"internal"}, end
        if name in DEADLY:
            assert isinstance(end, Failure)
        if name in {"workers.start", "workers.ensure", "workers.scale"}:
            client.call("workers.stop", now=True)
            client.call("workers.ensure")
        client.call("ping")
