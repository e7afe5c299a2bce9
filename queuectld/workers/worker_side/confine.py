"""What a run starts with beside its program: cgroup, limits, account."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from queuectld.core import limits
from queuectld.workers.shared import accounts, cgroup, messages
from queuectld.workers.shared.outputs import OutputFiles
from queuectld.workers.worker_side.fork_exec import Confinement
from queuectld.workers.worker_side.spawn import SpawnError


def group_of(job: messages.RunJob, owner: messages.Hello) -> str | None:
    """Return the path of the cgroup that a run is to have; None without one."""
    if owner.cgroup is None:
        return None
    return cgroup.path(owner.cgroup, owner.store, job.seq, job.run, job.lease)


def needed(job: messages.RunJob, group: str | None) -> bool:
    """Whether a run takes more than posix_spawn can set."""
    plain = job.limits is limits.NONE and job.user is None
    return group is not None or not plain


@contextmanager
def confined(
    job: messages.RunJob, owner: messages.Hello, group: str | None
) -> Iterator[Confinement]:
    """Make ready what a run starts with; its cgroup is open meanwhile.

    Raises:
        SpawnError: it cannot be had; says why.
    """
    if refused := limits.refusal(job.limits, owner.means):
        raise SpawnError(refused[1])
    account = _account(job.user)
    if group is None:
        yield Confinement(None, job.limits, account)
        return
    with _opened(group, job.limits) as fd:
        yield Confinement(fd, job.limits, account)


def hand_over(files: OutputFiles, confinement: Confinement) -> None:
    """Make the files those of the job's account, or it could not open /dev/stdout.

    Raises:
        SpawnError: that cannot be done.
    """
    if confinement.account is None:
        return
    try:
        files.give(confinement.account.uid, confinement.account.gid)
    except OSError as error:
        why = f"cannot give the output files to its account: {error.strerror}"
        raise SpawnError(why) from None


def environment(job: messages.RunJob, given: dict[str, str]) -> dict[str, str]:
    """Return the environment of a run, completed by that of its account."""
    who = job.user
    if who is None or who.uid is None or not who.minimal:
        return given
    return {**accounts.environment(who.uid), **given}


def _account(who: accounts.RunAs | None) -> accounts.Account | None:
    if who is None:
        return None
    try:
        return accounts.resolve(who)
    except accounts.AccountError as error:
        raise SpawnError(str(error)) from None
    except OSError as error:
        why = f"cannot look up the submitter, uid {who.uid}: {error.strerror}"
        raise SpawnError(why) from None


@contextmanager
def _opened(group: str, wanted: limits.Limits) -> Iterator[int]:
    try:
        cgroup.limit(group, wanted)
        fd = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SpawnError(f"cannot set the limits of {group}: {error}") from None
    try:
        yield fd
    finally:
        os.close(fd)
