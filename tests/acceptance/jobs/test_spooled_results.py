"""Results that workers left for the next daemon, and that are hard to read."""

import json
from pathlib import Path

import pytest

from helpers import hindered, waiting
from helpers.home import Gate, Home

SOON = {"control.attempts.RETRY": 0.1}


def spooled(home: Home, gate: Gate) -> tuple[str, Path]:
    """Let a job end while no daemon runs; return it and the file of its result."""
    home.ctl("worker", "start")
    job = home.enqueue("echo $QUEUECTL_ATTEMPT >>runs; echo >running; read _ <gate")
    home.appears("running")
    home.kill(home.daemon)
    gate.open()
    waiting.until(home.gone, "the worker has ended")
    (file,) = (home.root / "spool").iterdir()
    return job, file


@pytest.mark.parametrize("version", [2, None])
def test_a_result_that_nobody_understands_is_set_aside(
    home: Home, version: int | None
) -> None:
    """Of a newer queuectl, say: it is kept for a person, and the job runs again."""
    gate = home.gate()
    job, file = spooled(home, gate)
    body = json.dumps({**json.loads(file.read_text()), "version": version})
    file.write_text(body)

    home.serve()
    gate.open()
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["lost", "exit"]
    assert (home.work / "runs").read_text() == "1\n2\n"
    aside = file.with_name(f"{file.name}.bad")
    assert list(file.parent.iterdir()) == [aside]
    assert aside.read_text() == body
    (told,) = (line for line in home.log().splitlines() if "spool_unreadable" in line)
    assert f" file={aside} " in told
    aside.unlink()


def test_a_result_that_cannot_be_read_now_is_read_later(home: Home) -> None:
    """Until then the job is neither queued again nor held to be lost."""
    job, file = spooled(home, home.gate())
    elsewhere = file.rename(home.root / "elsewhere")
    file.symlink_to(elsewhere)  # which is not followed: ELOOP

    hindered.serve(home, constants=SOON)
    waiting.until(lambda: home.log().count("attempt_not_settled") > 1, "two tries")
    assert home.job(job)["state"] == "processing"
    elsewhere.rename(file)
    assert home.ended(job)["state"] == "completed"
    assert home.reasons(job) == ["exit"]
    assert (home.work / "runs").read_text() == "1\n"
    waiting.until(lambda: not list(file.parent.iterdir()), "it is cleared")


def test_the_draft_of_a_result_on_record_is_swept_away(home: Home) -> None:
    """Its worker was killed in the middle of spooling what was committed already."""
    home.ctl("worker", "start")
    job = home.enqueue("true")
    home.ended(job)
    (attempt,) = home.ask("get", id=job)["attempts"]
    home.kill(home.daemon)
    waiting.until(home.gone, "the worker has ended")
    draft = home.root / "spool" / f"{attempt['lease']}.json.tmp"
    draft.write_text('{"version": 1, "store"')

    home.serve()
    assert not draft.exists()
    assert home.reasons(job) == ["exit"]
