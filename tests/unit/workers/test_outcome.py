"""How an attempt ended, from what happened to its processes."""

import signal

import pytest

from queuectl_protocol.vocabulary import Reason
from queuectld.core.limits import Limits
from queuectld.workers.shared import messages
from queuectld.workers.worker_side import outcome
from queuectld.workers.worker_side.descendants import Exit
from queuectld.workers.worker_side.outcome import Facts

JOB = messages.RunJob(8, 1, 1, "j", "x", None, None, None, 300, 5, 1 << 30)
FACTS = Facts(
    started_at=1_000,
    finished_at=4_000,
    end_reason=None,
    exit=Exit(status=0, max_rss=1, user_ms=2, system_ms=3),
    max_rss=1,
    left_behind=0,
    short_of_memory=False,
    stdout=4,
    stderr=5,
)


def exited(code: int) -> Exit:
    return FACTS.exit._replace(status=code << 8)


def killed(number: int) -> Exit:
    return FACTS.exit._replace(status=number)


def test_everything_is_passed_on() -> None:
    """Times, sizes and usage are in the report as they were seen."""
    end = outcome.ended(JOB, FACTS)
    assert (end.lease, end.started_at, end.finished_at) == (8, 1_000, 4_000)
    assert (end.max_rss, end.user_ms, end.system_ms) == (1, 2, 3)
    assert (end.stdout_bytes, end.stderr_bytes) == (4, 5)
    assert (end.reason, end.exit_code, end.signal) == (Reason.EXIT, 0, None)
    assert end.message is None


@pytest.mark.parametrize(
    ("end_reason", "how", "reason", "code", "number", "message"),
    [
        (None, exited(3), Reason.EXIT, 3, None, None),
        (None, killed(15), Reason.SIGNAL, None, 15, None),
        (None, killed(9), Reason.SIGNAL, None, 9, "killed from outside the queue"),
        (
            Reason.TIMEOUT, killed(15), Reason.TIMEOUT, None, 15,
            "ran longer than 5m; ended with SIGTERM",
        ),
        (
            Reason.TIMEOUT, exited(0), Reason.TIMEOUT, 0, None,
            "ran longer than 5m; exited with 0 when asked to end",
        ),
        (
            Reason.OUTPUT_LIMIT, killed(9), Reason.OUTPUT_LIMIT, None, 9,
            "wrote more than 1.0 GiB of output; ended with SIGKILL",
        ),
        (Reason.CANCELLED, killed(15), Reason.CANCELLED, None, 15, None),
        (Reason.INTERRUPTED, exited(1), Reason.INTERRUPTED, 1, None, None),
    ],
)  # fmt: skip
def test_reasons_and_sentences(
    end_reason: Reason | None,
    how: Exit,
    reason: Reason,
    code: int | None,
    number: int | None,
    message: str | None,
) -> None:
    """The reason is why it ended, the codes how, the message what neither says."""
    end = outcome.ended(JOB, FACTS._replace(end_reason=end_reason, exit=how))
    assert (end.reason, end.exit_code, end.signal) == (reason, code, number)
    assert end.message == message


def test_out_of_memory() -> None:
    """The message for SIGKILL while memory was short names the likely cause."""
    end = outcome.ended(
        JOB, FACTS._replace(exit=killed(signal.SIGKILL), short_of_memory=True)
    )
    assert end.message is not None
    assert "out of memory" in end.message


def test_left_behind() -> None:
    """The message tells how many processes outlived the main one and were ended."""
    one = outcome.ended(JOB, FACTS._replace(left_behind=1))
    assert one.message == "ended 1 process that it left behind"
    two = outcome.ended(JOB, FACTS._replace(left_behind=2))
    assert two.message == "ended 2 processes that it left behind"


def test_a_clock_that_was_set_back() -> None:
    """No attempt ends before it starts."""
    end = outcome.ended(JOB, FACTS._replace(finished_at=10))
    assert end.finished_at == end.started_at


def test_a_signal_without_a_name() -> None:
    """Real-time signals have only numbers."""
    assert outcome.signal_name(40) == "signal 40"
    assert outcome.signal_name(15) == "SIGTERM"


def test_messages_are_text() -> None:
    """A path that is not UTF-8 does not make the message something else."""
    end = outcome.not_spawned(JOB, "/tmp/\udcff: gone", 7)
    assert end.message == "/tmp/\\xff: gone"
    assert (end.reason, end.started_at, end.finished_at) == (Reason.SPAWN_ERROR, 7, 7)


def test_not_started() -> None:
    """A job that is ended before it has output files never started."""
    end = outcome.not_started(JOB, Reason.CANCELLED, 7)
    assert (end.reason, end.started_at) == (Reason.CANCELLED, None)


def test_a_message_does_not_grow_with_what_it_quotes() -> None:
    """A message is cut: a path can have 128 KiB, and every attempt has a message."""
    message = f"{'x' * 131_000}: there is no such program"
    told = outcome.not_spawned(JOB, message, 0).message
    assert told is not None
    assert len(told) < 1100
    assert told.startswith("xxx")
    assert told.endswith(": there is no such program")


@pytest.mark.parametrize(
    ("used", "message"),
    [
        (8_000, "used up the 10s of processor time that it had"),
        (10_000, "used up the 10s of processor time that it had"),
        (1_000, "killed from outside the queue"),
    ],
)
def test_the_kernel_counts_more_against_a_limit_than_it_tells(
    used: int, message: str
) -> None:
    """A job killed near its limit of processor time was killed by the limit."""
    job = JOB._replace(limits=Limits(rlimits=(("cpu", 10),)))
    end = outcome.ended(job, FACTS._replace(exit=killed(9)._replace(user_ms=used)))
    assert end.message == message
