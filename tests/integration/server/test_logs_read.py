"""Reading what jobs wrote over the socket of a real daemon."""

from helpers.rawclient import RawClient
from queuectl_protocol.errors import ErrorCode


def _finished(client: RawClient, command: str) -> str:
    client.call("workers.ensure")
    job_id: str = client.call("enqueue", job={"command": command})["job"]["id"]
    client.call("wait", id=job_id)
    return job_id


def test_reading_gives_pieces_that_join(client: RawClient) -> None:
    """Each reply says where the next begins, and how much there is."""
    job_id = _finished(client, "echo hello")
    piece = client.call("logs.read", id=job_id, stream="stdout", limit=4)
    assert piece == {
        "run": 1,
        "data": b"hell",
        "offset": 0,
        "next": 4,
        "size": 6,
        "state": "completed",
    }
    rest = client.call("logs.read", id=job_id, stream="stdout", offset=4)
    assert rest["data"] == b"o\n"


def test_reading_the_last_lines(client: RawClient) -> None:
    """The reply says where they begin."""
    job_id = _finished(client, "printf 'a\\nb\\nc'")
    piece = client.call("logs.read", id=job_id, stream="stdout", tail=2)
    assert (piece["data"], piece["offset"]) == (b"b\nc", 2)


def test_reading_what_is_not_there(client: RawClient) -> None:
    """No output is empty output; no attempt of that number is an error."""
    silent = _finished(client, "true")
    piece = client.call("logs.read", id=silent, stream="stderr")
    assert (piece["run"], piece["data"], piece["size"]) == (1, b"", 0)
    failure = client.refused("logs.read", id=silent, stream="stdout", run=2)
    assert failure.code == ErrorCode.NOT_FOUND
    assert failure.message == f"job {silent} has no attempt 2; its last one is 1"
    job = {"command": "true", "delay": 3600}
    waiting = client.call("enqueue", job=job)["job"]["id"]
    assert client.call("logs.read", id=waiting, stream="stdout")["run"] is None
    failure = client.refused("logs.follow", id=waiting, run=1)
    assert failure.code == ErrorCode.NOT_FOUND
    client.call("cancel", id=waiting)
