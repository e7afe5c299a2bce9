"""Strings of Unix over the wire, as str or as bin, in both directions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from helpers.daemon import Daemon, a_daemon
from helpers.rawclient import RawClient
from queuectl_protocol.errors import ErrorCode

ODD = "caf\udce9"
BIN = b"caf\xe9"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon with a worker, for all tests of the file."""
    with a_daemon() as daemon:
        daemon.call("workers.start")
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[RawClient]:
    with daemon.connect() as client:
        yield client


def _strict(value: Any) -> Any:
    """Read a value as a library does that takes only UTF-8 as str."""
    return msgpack.unpackb(msgpack.packb(value), strict_map_key=False)


SCRIPT = """pwd; tr '\\0' '\\n' </proc/$$/environ; echo "$0" """


def _submission(folder: Path, *, as_bin: bool) -> dict[str, Any]:
    """Return a job with such a string wherever one may stand."""
    odd = BIN if as_bin else ODD
    script = SCRIPT.encode() if as_bin else SCRIPT
    cwd = bytes(folder / ODD) if as_bin else f"{folder}/{ODD}"
    return {"command": ["sh", "-c", script, odd], "cwd": cwd, "env": {odd: odd}}


@pytest.mark.parametrize("as_bin", [False, True], ids=["str", "bin"])
def test_a_job_gets_the_bytes_that_were_sent(
    client: RawClient, tmp_path: Path, as_bin: bool
) -> None:
    """Words, directory, name and value of a variable arrive unchanged, either way."""
    (tmp_path / ODD).mkdir()
    job = client.call("enqueue", job=_submission(tmp_path, as_bin=as_bin))["job"]
    assert client.call("wait", id=job["id"])["job"]["state"] == "completed"
    output = client.call("logs.read", id=job["id"], stream="stdout")["data"]
    lines = output.splitlines()
    assert lines[0] == bytes(tmp_path) + b"/" + BIN
    assert BIN + b"=" + BIN in lines
    assert lines[-1] == BIN


def test_a_shell_line_may_be_bin(client: RawClient) -> None:
    """It is the same job as one that came as str."""
    line = {"id": "line", "command": b"printf '%s' caf\xe9"}
    client.call("enqueue", job=line)
    again = {"id": "line", "command": "printf '%s' caf\udce9"}
    reply = client.call("enqueue", job=again, if_exists="return")
    assert (reply["created"], reply["job"]["command"]) == (False, again["command"])
    client.call("wait", id="line")
    assert client.call("logs.read", id="line", stream="stdout")["data"] == BIN


def test_bin_comes_back_to_those_who_ask_for_it(
    client: RawClient, tmp_path: Path
) -> None:
    """Replies have bin only for strings that are not UTF-8; ids return as sent."""
    (tmp_path / ODD).mkdir()
    job = {"id": "odd", **_submission(tmp_path, as_bin=True)}
    client.call("enqueue", job=job)
    told = client.call("get", id="odd", env=True)["job"]
    assert (told["command"][3], told["cwd"]) == (ODD, f"{tmp_path}/{ODD}")
    assert client.call("greet", bin=True)["bin"] is True
    told = _strict(client.call("get", id="odd", env=True)["job"])
    assert told["command"] == ["sh", "-c", SCRIPT, BIN]
    assert told["cwd"] == bytes(tmp_path) + b"/" + BIN
    assert told["env"] == {BIN: BIN}
    (listed,) = [j for j in client.call("list")["jobs"] if j["id"] == "odd"]
    assert _strict(listed)["cwd"] == told["cwd"]
    assert client.call("greet")["bin"] is False
    assert client.call("get", id="odd")["job"]["command"][3] == ODD


def test_it_holds_for_what_is_sent_behind_it(client: RawClient) -> None:
    """A client need not wait for the reply to its greet."""
    client.call("enqueue", job={"command": ["true", BIN], "id": "behind"})
    ids = [
        client.wire.send_request("greet", {"bin": True}),
        client.wire.send_request("get", {"id": "behind"}),
    ]
    client.socket.sendall(client.wire.data_to_send())
    _, got = (client.result(each) for each in ids)
    assert got["job"]["command"] == ["true", BIN]


def test_a_backup_goes_where_the_bytes_say(client: RawClient, tmp_path: Path) -> None:
    """A path is a string of Unix, in the request and in the reply."""
    client.call("greet", bin=True)
    path = bytes(tmp_path) + b"/" + BIN
    assert client.call("backup", path=path)["path"] == path
    assert (tmp_path / ODD).exists()
    failure = client.refused("backup", path=path)
    assert (failure.code, failure.data) == (ErrorCode.ALREADY_EXISTS, {"path": path})


@pytest.mark.parametrize("as_bin", [False, True], ids=["str", "bin"])
def test_messages_are_for_people_and_always_text(
    client: RawClient, tmp_path: Path, as_bin: bool
) -> None:
    """Quoted bytes are written out in the message, and unchanged in ``data``."""
    client.call("greet", bin=as_bin)
    odd = BIN if as_bin else ODD
    failure = client.refused("backup", path=bytes(tmp_path) + b"/" + BIN + b"/x")
    assert failure.message == f"there is no directory {tmp_path}/caf\\xe9"
    failure = client.refused("enqueue", job={"command": "true", ODD: 1})
    assert failure.data == {"field": odd}
    failure.message.encode()
    failure = client.refused("ping", **{ODD: 1})
    assert failure.data == {"param": odd}
    failure.message.encode()
    job = client.call("enqueue", job={"command": [b"/none/" + BIN], "max_retries": 0})[
        "job"
    ]
    ended = client.call("wait", id=job["id"])["job"]
    assert "/none/caf" in ended["message"]
    ended["message"].encode()
    (attempt,) = client.call("get", id=job["id"])["attempts"]
    assert attempt["message"] == ended["message"]


def test_an_id_goes_back_as_it_came(client: RawClient) -> None:
    """The id returns with the same bytes, as a client compares it."""
    client.call("greet", bin=True)
    raw = msgpack.Packer(unicode_errors="surrogateescape").pack(
        {"id": ODD, "method": "backup", "params": {"path": BIN}}
    )
    client.socket.sendall(len(raw).to_bytes(4, "big") + raw)
    assert client.next().id == ODD  # type: ignore[union-attr]


@pytest.mark.parametrize("field", ["id", "label", "umask", "run_at", "queue"])
def test_what_is_no_string_of_unix_is_not_bin(client: RawClient, field: str) -> None:
    """These parameters are text, and bin stands for bytes."""
    failure = client.refused("enqueue", job={"command": "true", field: b"x"})
    assert failure.data == {"field": field}
