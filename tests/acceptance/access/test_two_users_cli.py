"""Two users at one daemon: commands and the client about the other's job."""

import json

import pytest

from helpers import accounts

pytestmark = accounts.needs_accounts


COMMANDS: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("list",), 0, ""),
    (("show", "{id}"), 0, ""),
    (("wait", "{id}"), 0, ""),
    (("logs", "{id}"), 1, "was enqueued by somebody else"),
    (("logs", "--follow", "{id}"), 1, "was enqueued by somebody else"),
    (("cancel", "{id}"), 1, "was enqueued by somebody else"),
    (("retry", "{id}"), 1, "was enqueued by somebody else"),
    (("enqueue", "--id", "{id}", "true"), 1, "a job of another user with the id"),
    (
        ("enqueue", "--if-exists", "return", "--id", "{id}", "true"),
        1,
        "is taken by a job of another user",
    ),
)


@pytest.mark.parametrize(("words", "code", "said"), COMMANDS, ids=lambda x: str(x)[:40])
def test_a_command_about_anothers_job(
    machine: accounts.Machine, words: tuple[str, ...], code: int, said: str
) -> None:
    """What may be looked at is told, the rest refused with the reason."""
    job = machine.run(accounts.ALICE, 'echo "$A"', env={"A": "secret", "PATH": "/bin"})
    name = f"named-{job['id']}"
    machine.run(accounts.ALICE, 'echo "$A"', env={"A": "secret"}, id=name)
    typed = [word.format(id=name) for word in words]
    done = machine.typed(accounts.BOB, *typed)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "secret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_client_about_anothers_job(machine: accounts.Machine) -> None:
    """The exceptions that a program of the other user meets have the wire's codes."""
    job = machine.run(accounts.ALICE, "echo secret", id="of-alice")
    program = """
import json, sys
from queuectl import Client, errors
def code(act):
    try:
        act()
    except errors.RequestError as error:
        return error.code
    return None
with Client() as client:
    job = sys.argv[1]
    print(json.dumps([
        client.get(job).submitter,
        code(lambda: list(client.logs(job))),
        code(lambda: client.cancel(job)),
        code(lambda: client.retry(job)),
        code(lambda: client.enqueue("echo secret", id=job, inherit=False)),
        code(lambda: client.enqueue(
            "echo secret", id=job, if_exists="return", inherit=False)),
    ]))
"""
    done = machine.python_as(accounts.BOB, "-c", program, job["id"])
    assert done.returncode == 0, done.stderr
    refused = ["forbidden", "forbidden", "forbidden", "already_exists", "conflict"]
    assert json.loads(done.stdout) == [accounts.ALICE.uid, *refused]
