"""Ids and texts that name files or act on terminals, and links in the way of files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.daemon import Daemon, a_daemon
from helpers.home import a_home
from helpers.rawclient import RawClient
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Failure


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon without workers: what is enqueued here is never run."""
    with a_daemon() as served:
        yield served
        assert b"raceback" not in served.log.read_bytes()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[RawClient]:
    """A client that sends bad names."""
    with daemon.connect() as connected:
        connected.greeting()
        yield connected


NASTY_IDS = [
    "../../../etc/passwd", "..", ".", "/etc/passwd", "a/b", "a\\b", "-rf", "", " ",
    "a\0b", "\0", "a\nb", "\x1b[2J", "\x9b31m", "a\u202eb", "é", "\udcff", "1" * 20,
    "x" * 129, "%s%n", "'; DROP TABLE jobs; --", "\U0001d7d9",
]  # fmt: skip


@pytest.mark.parametrize("job_id", NASTY_IDS)
def test_an_id_is_a_plain_word_and_never_a_path(client: RawClient, job_id: str) -> None:
    """Another id is refused in a new job, and is found nowhere."""
    failure = client.refused("enqueue", job={"command": "true", "id": job_id})
    assert failure.code == ErrorCode.INVALID_PARAMS
    for method, more in {
        "get": {},
        "cancel": {},
        "retry": {},
        "start": {},
        "delete": {},
        "wait": {"timeout": 1},
        "logs.read": {"stream": "stdout"},
        "logs.follow": {},
    }.items():
        failure = client.refused(method, id=job_id, **more)
        assert failure.code in {ErrorCode.INVALID_PARAMS, ErrorCode.NOT_FOUND}
        assert failure.message.isprintable()


@pytest.mark.parametrize(
    "job",
    [
        {"command": "true\0"},
        {"command": ["true", "a\0b"]},
        {"command": ["\0"]},
        {"command": "true", "cwd": "/tmp\0/x"},
        {"command": "true", "label": "a\0b"},
        {"command": "true", "env": {"A\0": "b"}},
        {"command": "true", "env": {"A": "b\0"}},
        {"command": "true", "id": "a\0"},
        {"command": "true", "umask": "0022\0"},
        {"command": "true", "queue": "default\0"},
        {"command": "true", "run_at": "2026-01-01T00:00:00Z\0"},
    ],
)
def test_a_nul_is_refused_wherever_it_is(
    client: RawClient, job: dict[str, Any]
) -> None:
    """The kernel's strings end at a NUL: the rest would be lost silently."""
    failure = client.refused("enqueue", job=job)
    assert failure.code == ErrorCode.INVALID_PARAMS
    failure = client.refused("enqueue_many", jobs=[{"command": "true"}, job])
    assert failure.code == ErrorCode.INVALID_PARAMS
    assert failure.data is not None
    assert failure.data["index"] == 1


def test_the_log_holds_nothing_that_acts_on_a_terminal(daemon: Daemon) -> None:
    """`queuectl daemon logs` shows the log unchanged."""
    evil = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\r\n2026-01-01T00:00:00Z INFO forged"
    with daemon.connect() as client:
        for method, params in {
            "backup": {"path": f"/nowhere/{evil}"},
            "config.set": {"key": "timeout", "value": evil},
            "cancel": {"id": evil},
            evil: {},
        }.items():
            client.refused(method, **params)
        text = daemon.log.read_text()
    assert "\\x1b[2J" in text
    assert all(line.isprintable() for line in text.splitlines())
    assert "\n2026-01-01T00:00:00Z" not in text


# -- files that were put in the way ---------------------------------------------------


def test_output_goes_through_no_planted_link() -> None:
    """The link's target is neither written to nor shown as output."""
    with a_home() as home:
        home.serve()
        secret = home.work / "secret"
        secret.write_text("not to be touched\n")
        folder = home.root / "output" / "0"
        folder.mkdir(parents=True, exist_ok=True)
        planted = [Path(folder, f"1.1.1.{kind}") for kind in ("out", "err")]
        for link in planted:
            link.symlink_to(secret)
        home.ask("workers.start")
        job = home.enqueue("echo output; echo errors >&2")
        assert home.ended(job)["state"] == "completed"
        assert home.output(job) == "output\n"
        assert secret.read_text() == "not to be touched\n"
        assert not any(link.is_symlink() for link in planted)


def test_a_link_put_in_outputs_place_is_not_read() -> None:
    """After the job has run, the reader gets an error and no other file."""
    with a_home() as home:
        home.serve()
        home.ask("workers.start")
        job = home.enqueue("echo output")
        home.ended(job)
        secret = home.work / "secret"
        secret.write_text("not to be read\n")
        (file,) = (home.root / "output").rglob("*.out")
        file.unlink()
        file.symlink_to(secret)
        with home.connect() as client:
            for method, more in {
                "logs.read": {"stream": "stdout"},
                "logs.follow": {},
            }.items():
                request_id = client.send(method, id=job, **more)
                events, end = client.follow(request_id)
                assert "not to be read" not in repr((events, end))
                assert isinstance(end, Failure)
                assert end.code == ErrorCode.STORAGE_ERROR
            assert client.call("ping") == {}
        assert "Traceback" not in home.log()
