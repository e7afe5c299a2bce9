"""What jobs write, read and followed over the socket of a real daemon."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import RawClient
from helpers.waiting import until
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Failure, Reply, StreamEvent

KIB = 1024


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon with two workers, for all tests of the file."""
    with a_daemon() as daemon:
        daemon.call("workers.start", count=2)
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[RawClient]:
    """A connection of the test's own."""
    with daemon.connect() as client:
        yield client


@pytest.fixture
def gate(tmp_path: Path) -> "Iterator[Gate]":
    """A FIFO at which jobs of the test wait."""
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.close()


class Gate:
    """A FIFO: each ``cat`` of it in a job ends when the test opens it once more."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._fd: int | None = None

    def open(self) -> None:
        """Let one reader go on."""
        with self.path.open("wb"):
            pass

    def close(self) -> None:
        """Let all readers go on."""
        os.close(os.open(self.path, os.O_RDWR | os.O_NONBLOCK))


def _enqueue(client: RawClient, command: str, **fields: Any) -> str:
    job = {"command": command, "max_retries": 0, "backoff_jitter": 0, **fields}
    job_id: str = client.call("enqueue", job=job)["job"]["id"]
    return job_id


def _finished(client: RawClient, command: str, **fields: Any) -> str:
    job_id = _enqueue(client, command, **fields)
    client.call("wait", id=job_id)
    return job_id


def _file(daemon: Daemon, job_id: str) -> Path:
    """Return where the stdout of a job's first run is."""
    (file,) = (daemon.home / "output").glob(f"*/{job_id}.1.*.out")
    return file


def _output(events: list[StreamEvent], stream: str = "stdout") -> bytes:
    """Return what the events bring of a stream; their offsets must join."""
    output: dict[int, bytes] = {}
    for event in events:
        body = event.body
        if body["type"] == "data" and body["stream"] == stream:
            so_far = output.setdefault(body["run"], b"")
            assert body["offset"] == len(so_far)
            output[body["run"]] = so_far + body["data"]
    return b"".join(output.values())


def _job(end: Reply | Failure) -> dict[str, Any]:
    assert isinstance(end, Reply)
    job: dict[str, Any] = end.result["job"]
    return job


def test_a_finished_job_is_followed_to_its_end(client: RawClient) -> None:
    """All that it wrote is sent, then the job."""
    job_id = _finished(client, "echo out; echo err >&2")
    events, end = client.follow(client.send("logs.follow", id=job_id))
    assert events[0].body == {"type": "attempt", "run": 1}
    assert [event.seq for event in events] == [1, 2, 3]
    assert _output(events) == b"out\n"
    assert _output(events, "stderr") == b"err\n"
    assert _job(end)["state"] == "completed"


@pytest.mark.parametrize(
    ("lose", "left", "told"),
    [
        (Path.unlink, None, "its file is not there; backups hold no output"),
        (
            partial(os.truncate, length=0),
            0,
            "its file has 0 now: it was cut, or a crash of the machine took the rest",
        ),
    ],
)
def test_output_that_is_gone_is_not_taken_for_none(
    daemon: Daemon,
    client: RawClient,
    lose: Callable[[Path], object],
    left: int | None,
    told: str,
) -> None:
    """Reading it fails and following tells of it; the other stream is sent as usual."""
    job_id = _finished(client, "echo out; echo err >&2")
    lose(_file(daemon, job_id))
    failure = client.refused("logs.read", id=job_id, stream="stdout")
    assert failure.code == ErrorCode.NOT_FOUND
    assert failure.data == {"id": job_id, "run": 1, "stream": "stdout"}
    assert failure.message == (
        f"the stdout of attempt 1 of job {job_id} is gone: it had 4 bytes, and {told}"
    )
    assert client.call("logs.read", id=job_id, stream="stderr")["data"] == b"err\n"
    events, end = client.follow(client.send("logs.follow", id=job_id))
    assert _output(events, "stderr") == b"err\n"
    gone = {"type": "gone", "run": 1, "stream": "stdout", "size": 4, "left": left}
    assert [event.body for event in events][-1] == gone
    assert _job(end)["state"] == "completed"


def test_output_that_is_cut_is_not_taken_for_whole(
    daemon: Daemon, client: RawClient
) -> None:
    """The rest is sent, and then the loss is told."""
    job_id = _finished(client, "echo out")
    os.truncate(_file(daemon, job_id), 2)
    piece = client.call("logs.read", id=job_id, stream="stdout")
    assert (piece["data"], piece["next"], piece["size"]) == (b"ou", 2, 4)
    failure = client.refused("logs.read", id=job_id, stream="stdout", offset=2)
    assert failure.code == ErrorCode.NOT_FOUND
    assert failure.message == (
        f"the stdout of attempt 1 of job {job_id} is gone from byte 2 on: it had 4 "
        "bytes, and its file has 2 now: it was cut, or a crash of the machine took "
        "the rest"
    )
    events, _ = client.follow(client.send("logs.follow", id=job_id))
    assert _output(events) == b"ou"
    gone = {"type": "gone", "run": 1, "stream": "stdout", "size": 4, "left": 2}
    assert events[-1].body == gone


def test_what_is_written_after_the_end_is_not_the_jobs(
    daemon: Daemon, client: RawClient
) -> None:
    """What another process writes later is neither read nor followed."""
    job_id = _finished(client, "echo one; echo two")
    with _file(daemon, job_id).open("ab") as kept:
        kept.write(b"x\n" * 100_000)
    whole = client.call("logs.read", id=job_id, stream="stdout")
    assert (whole["data"], whole["size"]) == (b"one\ntwo\n", 8)
    last = client.call("logs.read", id=job_id, stream="stdout", tail=1)
    assert (last["data"], last["offset"]) == (b"two\n", 4)
    beyond = client.call("logs.read", id=job_id, stream="stdout", offset=8)
    assert (beyond["data"], beyond["size"]) == (b"", 8)
    for options, seen in (({}, b"one\ntwo\n"), ({"tail": 1}, b"two\n")):
        events, _ = client.follow(client.send("logs.follow", id=job_id, **options))
        assert [event.body.get("data") for event in events] == [None, seen]


def test_no_output_is_not_taken_for_gone(client: RawClient) -> None:
    """The file of a run that wrote nothing is removed as well."""
    job_id = _finished(client, "true")
    assert client.call("logs.read", id=job_id, stream="stdout")["data"] == b""
    events, _ = client.follow(client.send("logs.follow", id=job_id))
    assert [event.body["type"] for event in events] == ["attempt"]


def test_output_comes_while_it_is_written(client: RawClient, gate: Gate) -> None:
    """What a job writes is told before the job goes on."""
    job_id = _enqueue(client, f"echo one; cat {gate.path}; echo two; cat {gate.path}")
    stream = client.send("logs.follow", id=job_id)
    assert client.event(stream).body["type"] == "attempt"
    assert client.event(stream).body["data"] == b"one\n"
    gate.open()
    assert client.event(stream).body["data"] == b"two\n"
    gate.open()
    events, end = client.follow(stream)
    assert events == []
    assert _job(end)["state"] == "completed"


def test_following_goes_on_across_retries(client: RawClient) -> None:
    """Each attempt is announced, and the end is the end of the last one."""
    job_id = _enqueue(
        client, "echo $QUEUECTL_ATTEMPT; exit 1", max_retries=2, backoff_max=0.01
    )
    events, end = client.follow(client.send("logs.follow", id=job_id))
    attempts = [e.body["run"] for e in events if e.body["type"] == "attempt"]
    assert attempts == [1, 2, 3]
    assert _output(events) == b"1\n2\n3\n"
    assert _job(end)["state"] == "dead"


def test_following_can_begin_before_the_first_attempt(client: RawClient) -> None:
    """A job that waits for its time is followed from its first byte."""
    job_id = _enqueue(client, "echo late", delay=0.3)
    events, end = client.follow(client.send("logs.follow", id=job_id))
    assert _output(events) == b"late\n"
    assert _job(end)["state"] == "completed"


def test_one_attempt_can_be_followed(client: RawClient) -> None:
    """With ``run`` given, the stream ends with that run."""
    job_id = _finished(
        client, "echo $QUEUECTL_ATTEMPT; exit 1", max_retries=1, backoff_max=0
    )
    events, end = client.follow(client.send("logs.follow", id=job_id, run=1))
    assert _output(events) == b"1\n"
    assert _job(end)["state"] == "dead"
    events, _end = client.follow(client.send("logs.follow", id=job_id))
    assert _output(events) == b"2\n"


def test_one_stream_can_be_followed(client: RawClient) -> None:
    """The other stream is not sent."""
    job_id = _finished(client, "echo out; echo err >&2")
    sub = client.send("logs.follow", id=job_id, streams=["stderr"])
    events, _end = client.follow(sub)
    assert (_output(events), _output(events, "stderr")) == (b"", b"err\n")


def test_following_can_begin_with_the_last_lines(client: RawClient) -> None:
    """The tail applies to the present attempt; later ones are sent whole."""
    job_id = _finished(client, "seq 1000")
    events, _end = client.follow(client.send("logs.follow", id=job_id, tail=2))
    data = events[-1].body
    assert (data["data"], data["offset"]) == (b"999\n1000\n", 3893 - 9)


def test_a_large_output_comes_whole_and_in_pieces(client: RawClient) -> None:
    """No event is larger than 64 KiB, and the offsets join."""
    job_id = _enqueue(client, "head -c 3000000 /dev/zero")
    events, _end = client.follow(client.send("logs.follow", id=job_id))
    assert _output(events) == bytes(3_000_000)
    assert max(len(e.body.get("data", b"")) for e in events) <= 64 * KIB


def test_a_follower_that_never_reads_costs_no_memory(
    daemon: Daemon, client: RawClient
) -> None:
    """The output waits in its file, not in the daemon."""
    with daemon.connect() as idle:
        before = client.call("daemon.status")["rss"]
        job_id = _enqueue(client, "head -c 200000000 /dev/zero")
        idle.send("logs.follow", id=job_id)
        client.call("wait", id=job_id)
        client.call("ping")
        grown = client.call("daemon.status")["rss"] - before
        assert grown < 20 * KIB * KIB


def test_a_follower_can_have_enough(client: RawClient, gate: Gate) -> None:
    """After unfollow the stream's request gets its reply, the job goes on."""
    job_id = _enqueue(client, f"echo one; cat {gate.path}")
    stream = client.send("logs.follow", id=job_id)
    client.event(stream)
    client.event(stream)
    assert client.call("unfollow", sub=stream) == {}
    _events, end = client.follow(stream)
    assert _job(end)["state"] == "processing"
    gate.open()
    assert client.call("wait", id=job_id)["job"]["state"] == "completed"
    assert client.refused("unfollow", sub=stream).code == ErrorCode.INVALID_PARAMS


def test_a_pending_job_can_be_unfollowed(client: RawClient) -> None:
    """A stream without any event ends like any other."""
    job_id = _enqueue(client, "true", delay=3600)
    stream = client.send("logs.follow", id=job_id)
    client.call("unfollow", sub=stream)
    events, end = client.follow(stream)
    assert (events, _job(end)["state"]) == ([], "pending")
    client.call("cancel", id=job_id)


def test_a_cancelled_job_ends_its_followers(client: RawClient, gate: Gate) -> None:
    """Its last output is sent, then the end."""
    job_id = _enqueue(client, f"echo one; cat {gate.path}")
    stream = client.send("logs.follow", id=job_id)
    client.event(stream)
    client.event(stream)
    client.call("cancel", id=job_id)
    _events, end = client.follow(stream)
    assert _job(end)["state"] == "cancelled"


def test_a_follower_that_vanishes_leaves_nothing_behind(
    daemon: Daemon, client: RawClient, gate: Gate
) -> None:
    """Its files are closed."""
    job_id = _enqueue(client, f"echo one; cat {gate.path}")
    with daemon.connect() as follower:
        stream = follower.send("logs.follow", id=job_id)
        follower.event(stream)
        follower.event(stream)
        assert _open_outputs(daemon)
    until(lambda: not _open_outputs(daemon), "output files closed")
    gate.open()
    client.call("wait", id=job_id)


def _open_outputs(daemon: Daemon) -> list[str]:
    fds = Path(f"/proc/{daemon.process.pid}/fd")
    names = []
    for fd in fds.iterdir():
        try:
            names.append(str(fd.readlink()))
        except FileNotFoundError:
            continue  # the one that listed them, or one closed just now
    return [name for name in names if name.startswith(f"{daemon.home}/output/")]


def test_output_that_was_removed_reads_as_none(
    daemon: Daemon, client: RawClient
) -> None:
    """Files can vanish at any time; a follower of the job comes to its end."""
    job_id = _finished(client, "echo gone")
    for path in (daemon.home / "output").glob(f"*/{job_id}.*"):
        path.unlink()
    events, end = client.follow(client.send("logs.follow", id=job_id))
    assert _output(events) == b""
    assert _job(end)["state"] == "completed"
