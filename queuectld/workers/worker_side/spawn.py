"""Starts a job's program, or says in a sentence why it cannot be started.

Owns how the program is found and what it starts with. Mostly by posix_spawn: it copies
nothing of the worker and runs no Python in the child. It can set neither directory nor
umask, so the worker, which does one thing at a time, takes on those of the job for the
moment of the spawn. A job that needs a cgroup, limits or an account takes a fork
(``fork_exec``); then the child finds and executes the program, as its own user.
"""

import errno
import os
import stat
from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

from queuectld.core.job import SHELL
from queuectld.linux import procfs
from queuectld.linux.procfs import ProcessId
from queuectld.workers.shared import marker, messages
from queuectld.workers.shared.outputs import OutputFiles
from queuectld.workers.worker_side import fork_exec
from queuectld.workers.worker_side.fork_exec import NOTHING, Confinement

OWN_UMASK = 0o077
"""The worker's umask, except while it spawns."""

DEFAULT_UMASK = 0o022

_STDIN = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)

_SENTENCES = {
    errno.ENOENT: "no such file",
    errno.EACCES: "permission denied: it is not executable, or a directory above it "
    "is closed to this user",
    errno.ENOEXEC: "neither a program for this machine nor a script that begins with "
    "#! and its interpreter",
    errno.E2BIG: "the arguments and the environment are larger than the kernel takes",
    errno.EAGAIN: "no more processes: the limit of this user or of the service is "
    "reached",
}


_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR}


class SpawnError(Exception):
    """The job's program could not be started; the message is for its owner."""


def environment(
    given: Mapping[str, str], job: messages.RunJob, hello: messages.Hello
) -> dict[str, str]:
    """Return a job's environment: the given one, and the variables of queuectl."""
    return {
        **given,
        marker.NAME: marker.value(hello.store, job.lease),
        "QUEUECTL_JOB_ID": job.id,
        "QUEUECTL_ATTEMPT": str(job.run),
        "QUEUECTL_SOCKET": hello.socket,
    }


def spawn(
    job: messages.RunJob,
    env: Mapping[str, str],
    files: OutputFiles,
    reset: Collection[int],
    confinement: Confinement = NOTHING,
) -> ProcessId:
    """Start a job in its own session and return its main process.

    Args:
        job: its command, cwd and umask.
        env: its whole environment.
        files: where stdout and stderr go; stdin is /dev/null.
        reset: signals that get their default action again (``signals.ignored``).
        confinement: its cgroup, limits and account.

    Raises:
        SpawnError: it could not be started; says why.
    """
    try:
        if confinement is NOTHING:
            return _start(job, env, files, reset)
        return _fork(job, env, files, reset, confinement)
    finally:
        os.umask(OWN_UMASK)
        if job.cwd is not None:
            os.chdir("/")


def find_program(name: str, path: str) -> str:
    """Return the file that a shell would run for ``name``, given this ``PATH``.

    Entries of ``path`` that are empty or relative count from the current directory.

    Raises:
        SpawnError: there is no such file, or none that can be executed.
    """
    if "/" in name:
        return name
    refused = None
    for directory in path.split(":"):
        candidate = f"{directory or '.'}/{name}"
        if _is_file(candidate):
            if os.access(candidate, os.X_OK):
                return candidate
            refused = refused or candidate
    if refused:
        raise SpawnError(f"{refused}: {_SENTENCES[errno.EACCES]}")
    raise SpawnError(f"{name}: command not found; the job's PATH is {path!r}")


def _resolve(job: messages.RunJob, env: Mapping[str, str]) -> tuple[str, list[str]]:
    command = job.command
    if isinstance(command, str):
        shell = job.shell or SHELL
        # The shell would take a line that begins like this for an option.
        guard = ["--"] if command[:1] in {"-", "+"} else []
        return shell, [shell, "-c", *guard, command]
    try:
        program = find_program(command[0], env.get("PATH", os.defpath))
    except SpawnError as error:
        raise SpawnError(f"{error}{_hint_if_line(command)}") from None
    return program, list(command)


def _hint_if_line(argv: Sequence[str]) -> str:
    """Return a hint if the program's name looks like a whole shell line, or nothing."""
    if len(argv) == 1 and " " in argv[0].strip():
        return (
            "; one word after -- is a program, spaces included: without -- this is a "
            "shell line"
        )
    return ""


def _start(
    job: messages.RunJob,
    env: Mapping[str, str],
    files: OutputFiles,
    reset: Collection[int],
) -> ProcessId:
    program, argv = _prepare(job, env)
    os.umask(_umask(job))
    stdout = (os.POSIX_SPAWN_DUP2, files.stdout, 1)
    stderr = (os.POSIX_SPAWN_DUP2, files.stderr, 2)
    before = procfs.now_ticks()
    try:
        pid = os.posix_spawn(
            program,
            argv,
            env,
            file_actions=(_STDIN, stdout, stderr),
            setsid=True,
            setsigmask=(),
            setsigdef=reset,
        )
    except (OSError, ValueError) as error:
        raise _refusal(program, argv, error) from None
    return _identified(pid, before)


def _fork(
    job: messages.RunJob,
    env: Mapping[str, str],
    files: OutputFiles,
    reset: Collection[int],
    confinement: Confinement,
) -> ProcessId:
    def become() -> NoReturn:
        program, argv = _prepare(job, env)
        try:
            os.execve(program, argv, env)  # noqa: S606 (the job's own command)
        except (OSError, ValueError) as error:
            raise _refusal(program, argv, error) from None

    os.umask(_umask(job))
    before = procfs.now_ticks()
    try:
        own = {1: files.stdout, 2: files.stderr}
        pid = fork_exec.start(confinement, own, reset, become)
    except fork_exec.ChildError as error:
        raise SpawnError(str(error)) from None
    except OSError as error:
        raise SpawnError(_sentence("", error)) from None
    return _identified(pid, before)


def _prepare(job: messages.RunJob, env: Mapping[str, str]) -> tuple[str, list[str]]:
    """Enter the job's directory; return its program and that program's arguments."""
    if job.cwd is not None:
        _enter(job.cwd)
    return _resolve(job, env)


def _umask(job: messages.RunJob) -> int:
    return DEFAULT_UMASK if job.umask is None else job.umask


def _refusal(program: str, argv: Sequence[str], error: Exception) -> SpawnError:
    """Return the error of a program that could not be started."""
    if not isinstance(error, OSError):  # a NUL in it
        return SpawnError(f"the command or its environment: {error}")
    hint = _hint_if_line(argv) if error.errno in _NO_SUCH_FILE else ""
    return SpawnError(f"{program}: {_sentence(program, error)}{hint}")


def _identified(pid: int, before: int) -> ProcessId:
    """Return the identity of a process that started after ``before``, in ticks."""
    # A tick is 10 ms and a spawn takes a fraction of one, so mostly the clock alone
    # tells when the child started. To read /proc costs as much as all else in a run.
    ticks = before if procfs.now_ticks() == before else procfs.start_ticks(pid)
    return ProcessId(pid, ticks or before)


def _sentence(program: str, error: OSError) -> str:
    if error.errno == errno.ENOENT and _is_file(program):
        return "the interpreter that its first line names, or its loader, is missing"
    return _SENTENCES.get(error.errno or 0) or os.strerror(error.errno or 0)


def _enter(cwd: str) -> None:
    try:
        os.chdir(cwd)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpawnError(f"cannot enter the directory {cwd}: {reason}") from None


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False
