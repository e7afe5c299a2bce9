"""How an attempt ended, from what happened to its processes. Pure.

Owns the reasons, codes and sentences of an attempt's end, except for spawn errors.
"""

import os
import signal
from typing import NamedTuple

from queuectl_protocol import texts
from queuectl_protocol.units import format_duration, format_size
from queuectl_protocol.vocabulary import Reason
from queuectld.core.job import AttemptEnd
from queuectld.core.limits import INFINITY
from queuectld.workers.shared.cgroup import Usage
from queuectld.workers.shared.messages import RunJob
from queuectld.workers.worker_side.descendants import Exit

_CPU_SHARE = 0.7
"""A process killed after this share of its limit of processor time was killed by the
limit. The kernel counts whole ticks against it but reports exact times: on a busy
machine 0.80 to 1.01 of the limit were measured."""

MAX_MESSAGE = 1000
"""Characters of a message: enough for every sentence here and for most paths."""


class Facts(NamedTuple):
    """What happened.

    Attributes:
        end_reason: why the worker ended the main process; None: it ended by itself.
        exit: how the main process ended.
        max_rss: bytes, of the main process; None: not known.
        left_behind: processes that outlived it and had to be ended.
        short_of_memory: the kernel killed processes for lack of memory recently.
        stdout, stderr: bytes written.
        usage: of all processes together; None if the job had no cgroup.
    """

    started_at: int
    finished_at: int
    end_reason: Reason | None
    exit: Exit
    max_rss: int | None
    left_behind: int
    short_of_memory: bool
    stdout: int
    stderr: int
    usage: Usage | None = None


def ended(job: RunJob, facts: Facts) -> AttemptEnd:
    """Return the end of an attempt whose processes have ended."""
    code = os.waitstatus_to_exitcode(facts.exit.status)
    used = facts.usage or facts.exit
    return AttemptEnd(
        lease=job.lease,
        started_at=facts.started_at,
        # The wall clock may have been set back in between.
        finished_at=max(facts.started_at, facts.finished_at),
        reason=facts.end_reason or _own_reason(facts, code),
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        message=_message(job, facts, code),
        max_rss=facts.max_rss,
        user_ms=used.user_ms,
        system_ms=used.system_ms,
        stdout_bytes=facts.stdout,
        stderr_bytes=facts.stderr,
        memory_peak=facts.usage and facts.usage.memory_peak,
    )


def not_spawned(job: RunJob, message: str, now: int) -> AttemptEnd:
    """Return the end of an attempt whose program could not be started."""
    return AttemptEnd(
        lease=job.lease,
        started_at=now,
        finished_at=now,
        reason=Reason.SPAWN_ERROR,
        message=_shortened(message),
        stdout_bytes=0,
        stderr_bytes=0,
    )


def _shortened(message: str) -> str:
    """Return a message as text, and short enough to be stored for every attempt."""
    # It quotes a path, which may contain any bytes and be 128 KiB long.
    text = texts.shown(message)
    if len(text) <= MAX_MESSAGE:
        return text
    half = MAX_MESSAGE // 2
    return f"{text[:half]} ... {text[-half:]}"


def not_started(job: RunJob, reason: Reason, now: int) -> AttemptEnd:
    """Return the end of an attempt that was ended before it had its output files."""
    return AttemptEnd(lease=job.lease, started_at=None, finished_at=now, reason=reason)


def _own_reason(facts: Facts, code: int) -> Reason:
    if _out_of_memory(facts, code):
        return Reason.OOM
    return Reason.SIGNAL if code < 0 else Reason.EXIT


def _out_of_memory(facts: Facts, code: int) -> bool:
    """Whether the kernel killed the main process for lack of memory."""
    killed = facts.usage is not None and facts.usage.oom_kills > 0
    return killed and code == -signal.SIGKILL and facts.end_reason is None


def _message(job: RunJob, facts: Facts, code: int) -> str | None:
    usual = code == 0 and facts.end_reason is None and not facts.left_behind
    if usual and not (facts.usage and facts.usage.oom_kills):
        return None  # nearly always
    return "; ".join(_sentences(job, facts, code)) or None


def _sentences(job: RunJob, facts: Facts, code: int) -> list[str]:
    said = []
    if facts.end_reason is Reason.TIMEOUT:
        said += [f"ran longer than {format_duration(job.timeout)}", _how(code)]
    elif facts.end_reason is Reason.OUTPUT_LIMIT:
        limit = format_size(job.output_limit)
        said += [f"wrote more than {limit} of output", _how(code)]
    elif _out_of_memory(facts, code):
        said += [_how_oom(job, facts)]
    elif facts.end_reason is None and code == -signal.SIGKILL:
        said += _who_killed(job, facts)
    elif facts.usage and facts.usage.oom_kills:
        said += ["the kernel killed a process of it, for lack of memory"]
    if facts.left_behind:
        plural = "process" if facts.left_behind == 1 else "processes"
        said += [f"ended {facts.left_behind} {plural} that it left behind"]
    return said


def _who_killed(job: RunJob, facts: Facts) -> list[str]:
    cpu = dict(job.limits.rlimits).get("cpu", INFINITY)
    used = facts.exit.user_ms + facts.exit.system_ms
    if cpu != INFINITY and used >= cpu * 1000 * _CPU_SHARE:
        return [f"used up the {format_duration(cpu)} of processor time that it had"]
    if facts.short_of_memory:
        why = "probably by the kernel, which ran out of memory: see dmesg"
        return ["killed from outside the queue", why]
    return ["killed from outside the queue"]


def _how_oom(job: RunJob, facts: Facts) -> str:
    limit = job.limits.memory_max
    if limit and facts.usage and facts.usage.at_limit:
        return f"the kernel killed it: it needed more than {format_size(limit)}"
    return "the kernel killed it: the service or the machine ran out of memory"


def _how(code: int) -> str:
    if code >= 0:
        return f"exited with {code} when asked to end"
    return f"ended with {signal_name(-code)}"


def signal_name(number: int) -> str:
    """Return ``SIGTERM`` and the like; ``signal 40`` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
