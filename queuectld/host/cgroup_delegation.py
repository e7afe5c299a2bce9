"""Finds the part of the cgroup tree that is delegated to the daemon, and prepares it.

Jobs get cgroups of their own if a subtree of cgroup v2 is delegated to the daemon:
either by systemd with ``Delegate=yes``, which sets an extended attribute of the
directory or, where it does not, is recognized by its variables and the directory's
name; or by an administrator, who names the directory. Permission to write is not
enough: root has it everywhere, and a cgroup that others use must not be changed.

See cgroups(7), and "Control Group APIs and Delegation" of systemd.
"""

import errno
import os
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from queuectld.core.limits import CONTROLLER, RLIMITS, Means
from queuectld.host import logs
from queuectld.linux import rlimits, syscalls

SUPERVISOR = "supervisor"
"""The cgroup of the daemon and its workers. A cgroup that has controllers for the
cgroups below it cannot have processes of its own."""

_ATTRIBUTES = ("user.delegate", "trusted.delegate")  # systemd since 251; for root
SERVICE = "queuectld.service"
"""The unit that comes with queuectl, which has ``Delegate=yes``."""

_PASSES = 20
"""Tries to move all processes: they may fork meanwhile, and a process whose first
thread has ended stays in the list."""

_CAP_SYS_NICE = 23  # linux/capability.h

_events = logs.get("cgroup")


class Subtree(NamedTuple):
    """Where job cgroups are made.

    Attributes:
        directory: absolute; None: there is none.
        controllers: those of the needed controllers that job cgroups have.
        missing: why some are missing; a clause for a person, or empty.
    """

    directory: Path | None
    controllers: frozenset[str]
    missing: str


class DelegationError(Exception):
    """Cgroups cannot be made in the directory that was named."""


def take(option: str) -> Subtree:
    """Find the subtree and prepare it for job cgroups.

    Args:
        option: ``auto``, ``off``, or the path of a directory.

    Raises:
        DelegationError: there is no such directory, or it is not writable.
    """
    if option == "off":
        return Subtree(None, frozenset(), "cgroups are switched off (cgroup = off)")
    if option != "auto":
        directory = _checked(Path(option))
        _try_it(directory)
        return _prepared(directory)
    own = _own()
    if own is None:
        return Subtree(None, frozenset(), "there is no cgroup version 2 here")
    # With DelegateSubgroup= this process starts one level below its own subtree.
    for directory in (own, own.parent):
        if _is_delegated(directory):
            return _arranged(directory)
    if _is_of_users_unit(own, os.environ, os.geteuid()):
        return _arranged(own)
    return Subtree(
        None,
        frozenset(),
        "no cgroup is delegated to this daemon (systemd: Delegate=yes)",
    )


def means(subtree: Subtree, *, as_submitter: bool) -> Means:
    """Return which limits can be enforced.

    Args:
        subtree: what ``take`` returned.
        as_submitter: jobs run as other users, who must not gain privileges.
    """
    ceilings = {name: _hard(name) for name in RLIMITS}
    return Means(
        controllers=subtree.controllers,
        missing=subtree.missing,
        lowest_nice=0 if as_submitter else _lowest_nice(),
        ceilings={name: hard for name, hard in ceilings.items() if hard >= 0},
    )


def _own() -> Path | None:
    """Return this process's directory in the tree of version 2."""
    for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
        number, _, path = line.split(":", 2)
        if number == "0":
            return _below(path)
    return None


def _below(path: str) -> Path | None:
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        fields, _, rest = line.partition(" - ")
        root, mount = fields.split()[3:5]
        if rest.startswith("cgroup2 ") and path.startswith(root.rstrip("/")):
            # A container may see only a part of the tree.
            return Path(mount, path.removeprefix(root.rstrip("/")).lstrip("/"))
    return None


def _is_delegated(directory: Path) -> bool:
    for name in _ATTRIBUTES:
        try:
            if os.getxattr(directory, name) == b"1":
                return True
        except OSError:
            continue
    return False


def _is_of_users_unit(directory: Path, environ: Mapping[str, str], uid: int) -> bool:
    """Return whether a user's systemd made it for the unit that comes with queuectl.

    systemd 252 marks the delegated cgroups of system units, but not those of user
    units. There, three conditions together replace the mark: the manager of a user
    started this very process as a service (variables of systemd.exec(5); inherited ones
    name another process); the cgroup has the name of queuectl's unit, below the
    ``user@UID.service`` that belongs to this user; and this user owns it.
    """
    started = environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())
    if not (started and environ.get("INVOCATION_ID") and environ.get("MANAGERPID")):
        return False
    above = directory.parts[:-1]
    if directory.name != SERVICE or f"user@{uid}.service" not in above:
        return False
    try:
        return directory.stat().st_uid == uid
    except OSError:
        return False


def _checked(directory: Path) -> Path:
    for name in ("cgroup.procs", "cgroup.subtree_control"):
        file = directory / name
        if not file.exists():
            raise DelegationError(f"cgroup: {directory} is no cgroup of version 2")
        if not os.access(file, os.W_OK):
            raise DelegationError(f"cgroup: this user may not write {file}")
    return directory


def _arranged(directory: Path) -> Subtree:
    try:
        _move_all(directory)
    except OSError as error:  # ProtectControlGroups=, a container
        reason = f"the cgroup {directory} cannot be used: {error.strerror}"
        return Subtree(None, frozenset(), reason)
    return _prepared(directory)


def _try_it(directory: Path) -> None:
    """Start a process in it.

    Permission to write in it is not enough: this process also needs it in the closest
    cgroup above both.
    """
    trial = directory / f"trial-{os.getpid()}"
    try:
        trial.mkdir()
        try:
            _start_in(trial)
        finally:
            trial.rmdir()
    except OSError as error:
        raise DelegationError(
            f"cgroup: this daemon cannot start a process below {directory}: "
            f"{error.strerror}"
        ) from None


def _start_in(group: Path) -> None:
    fd = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
    try:
        pid = syscalls.fork_into(fd)
    finally:
        os.close(fd)
    if pid == 0:
        os._exit(0)
    if pid is not None:
        os.waitpid(pid, 0)


def _move_all(directory: Path) -> None:
    """Move its processes, this one among them, one level down.

    The others are left from a daemon that had not done this yet.
    """
    supervisor = directory / SUPERVISOR
    supervisor.mkdir(exist_ok=True)
    for _ in range(_PASSES):
        # 0 stands for a process that this namespace does not know.
        pids = {*(directory / "cgroup.procs").read_text("ascii").split()} - {"0"}
        if not pids:
            return
        for pid in pids:
            _move(pid, supervisor)
    raise OSError(errno.EBUSY, "what runs in it cannot be moved")


def _move(pid: str, group: Path) -> None:
    try:
        (group / "cgroup.procs").write_text(pid, "ascii")
    except ProcessLookupError:
        return  # it has just ended


def _prepared(directory: Path) -> Subtree:
    wanted = frozenset(CONTROLLER.values())
    there = _words(directory / "cgroup.controllers") & wanted
    control = directory / "cgroup.subtree_control"
    for name in sorted(there):
        try:
            control.write_text(f"+{name}", "ascii")
        except OSError as error:
            _events.error("controller_refused", controller=name, error=str(error))
    enabled = _words(control) & wanted
    return Subtree(directory, enabled, _missing(wanted - enabled, directory))


def _missing(names: frozenset[str], directory: Path) -> str:
    if not names:
        return ""
    return f"the cgroup {directory} has no controller {' and no '.join(sorted(names))}"


def _words(file: Path) -> frozenset[str]:
    return frozenset(file.read_text("ascii").split())


def _hard(name: str) -> int:
    _, hard = resource.getrlimit(rlimits.number(name))
    return hard


def _lowest_nice() -> int:
    """Return the lowest value that a child may add to the niceness of this process."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    if _has_capability(_CAP_SYS_NICE):
        return -20 - own
    soft, _ = resource.getrlimit(resource.RLIMIT_NICE)
    least = -20 if soft == resource.RLIM_INFINITY else 20 - soft
    return min(0, least - own)


def _has_capability(number: int) -> bool:
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    (effective,) = (line.split()[1] for line in lines if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> number & 1)
