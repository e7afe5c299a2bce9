"""Being somebody else: real users, as the kernel sees them, without accounts for them.

Root alone can do that, so what uses it is marked ``needs_root``.
"""

import json
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can be several users"
)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a uid, a group and supplementary groups."""

    uid: int
    gid: int = 29999
    groups: tuple[int, ...] = ()


@contextmanager
def acting_as(user: User) -> Iterator[None]:
    """Be somebody for a while, to files and to whom one connects to."""
    mine = os.getgroups()
    os.setgroups(user.groups)
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(mine)


def become(user: User) -> None:
    """Be somebody for good. A Python below /root can import nothing from then on."""
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)


def fork(user: User, work: Callable[[], int]) -> int:
    """Do something in a process that is all that user's; return its pid.

    The process has the modules that are loaded here, which that user may be unable to
    read, and ends with the status that ``work`` returns.
    """
    if child := os.fork():
        return child
    status = 1
    try:
        become(user)
        status = work()
    except BaseException:  # noqa: BLE001 - nothing may get out into a second pytest
        traceback.print_exc()
    finally:
        os._exit(status)


def in_child(user: User, work: Callable[[], Any]) -> Any:
    """Return what ``work`` returns (JSON) in a process that is all that user's."""
    with os.fdopen(os.memfd_create("said"), "r+b") as said:

        def tell() -> int:
            said.write(json.dumps(work()).encode())
            said.flush()
            return 0

        ended = os.waitpid(fork(user, tell), 0)
        assert ended[1] == 0, "the child failed; see what it printed"
        said.seek(0)
        return json.load(said)
