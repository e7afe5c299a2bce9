"""What a job starts with beside its program: cgroup, limits, account."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

from queuectld.core import limits
from queuectld.workers.shared import accounts, cgroup, messages
from queuectld.workers.shared.accounts import RunAs
from queuectld.workers.shared.outputs import OutputFiles
from queuectld.workers.worker_side.fork_exec import Account, Confinement
from queuectld.workers.worker_side.spawn import SpawnError


def group_of(job: messages.RunJob, hello: messages.Hello) -> str | None:
    """Return the path of the cgroup that a job gets; None if it gets none."""
    if hello.cgroup is None:
        return None
    return cgroup.path(hello.cgroup, hello.store, job.seq, job.run, job.lease)


def needed(job: messages.RunJob, group: str | None) -> bool:
    """Whether a job needs more than posix_spawn can set."""
    plain = job.limits is limits.NONE and job.user is None
    return group is not None or not plain


@contextmanager
def confined(
    job: messages.RunJob, hello: messages.Hello, group: str | None
) -> Iterator[Confinement]:
    """Prepare what a job starts with; its cgroup's directory is open meanwhile.

    Raises:
        SpawnError: it cannot be prepared; says why.
    """
    if refused := limits.refusal(job.limits, hello.means):
        raise SpawnError(refused[1])
    account = None if job.user is None else account_of(job.user)
    if group is None:
        yield Confinement(None, job.limits, account)
        return
    with _limited(group, job.limits) as fd:
        yield Confinement(fd, job.limits, account)


def hand_over(files: OutputFiles, confinement: Confinement) -> None:
    """Make the job's account own its files: else it could not open /dev/stdout.

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


def with_account_variables(env: dict[str, str], job: messages.RunJob) -> dict[str, str]:
    """Return a job's environment, completed by the variables of its account."""
    who = job.user
    if who is None or who.uid is None or not who.minimal:
        return env
    return {**accounts.environment(who.uid), **env}


def account_of(who: RunAs) -> Account:
    """Return the account of a submitter, with the groups that it had and still has.

    These are the groups recorded at enqueue that the account is in now. So a job gets
    no group that the submitter gave up before the enqueue, or lost since, or had only
    from a setgid program. The gid is the recorded one if the account is in that group,
    or else the primary one.

    The worker looks the account up, and not the daemon: a directory service may take
    its time, and here it delays one job only.

    Raises:
        SpawnError: there is no such account, or it cannot be looked up.
    """
    try:
        entry = _entry(who.uid)
        present = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
    except OSError as error:
        why = f"cannot look up the submitter, uid {who.uid}: {error.strerror}"
        raise SpawnError(why) from None
    gid, *others = who.groups or (entry.pw_gid,)
    return Account(
        uid=entry.pw_uid,
        gid=gid if gid in present else entry.pw_gid,
        groups=tuple(group for group in others if group in present),
    )


def _entry(uid: int | None) -> pwd.struct_passwd:
    if uid is None:
        raise SpawnError(
            "nobody knows who enqueued this job, so there is nobody to run it as; "
            "enqueue it again"
        )
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise SpawnError(
            f"the submitter, uid {uid}, has no account on this machine: it was "
            "removed, or the directory of accounts does not answer; once there is one, "
            "queuectl retry runs the job"
        ) from None


@contextmanager
def _limited(group: str, wanted: limits.Limits) -> Iterator[int]:
    """Set the limits of a cgroup and open its directory."""
    try:
        cgroup.limit(group, wanted)
        fd = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SpawnError(f"cannot set the limits of {group}: {error}") from None
    try:
        yield fd
    finally:
        os.close(fd)
