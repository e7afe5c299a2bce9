"""The table ``[roles]`` of the file: which users and groups may do what.

Names are looked up when the file is read: a mistake is reported then, and no client
waits for a directory service later. The look-up may take long, so a daemon that serves
reads the file in a thread. The rights of root and of the daemon's own user are not
decided here.
"""

import difflib
import grp
import json
import pwd
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from queuectl_protocol.vocabulary import Role
from queuectld.config.document import Entry

KEY = "roles"

ID_MAX = 2**32 - 2
"""uid_t and gid_t are unsigned; the last value means "none" to chown(2)."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Who has which role. Empty: only root and the daemon's own user have one.

    Attributes:
        users: uid -> role.
        groups: gid -> role.
        members: role -> who has it, as they are written in the file.
    """

    users: Mapping[int, Role] = field(default_factory=dict)
    groups: Mapping[int, Role] = field(default_factory=dict)
    members: Mapping[Role, tuple[str, ...]] = field(default_factory=dict)

    def of(self, uid: int, gids: Iterable[int]) -> Role | None:
        """Return the highest role of a user in these groups; None if there is none."""
        found = [self.groups[gid] for gid in gids if gid in self.groups]
        if uid in self.users:
            found.append(self.users[uid])
        return _highest(found)

    def toml(self) -> Iterator[str]:
        """Yield the lines of a file that say the same."""
        if self.members:
            yield f"[{KEY}]"
        for role, members in self.members.items():
            yield f"{role} = {json.dumps(members, ensure_ascii=False)}"

    def __str__(self) -> str:
        """Return the members on one line, for the log."""
        told = (f"{role}: {', '.join(who)}" for role, who in self.members.items())
        return "; ".join(told) or "none"


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with one entry, and its line.

    Attributes:
        may_pass: a name is not known; a directory service may know it a little later.
    """

    line: int
    message: str
    may_pass: bool = False


class _UnknownNameError(ValueError):
    """No user or group has this name, or none has it yet."""


def read_roles(entry: Entry) -> tuple[Roles, list[Mistake]]:
    """Return the roles that a table gives, and every mistake in it."""
    if not isinstance(entry.value, dict):
        return Roles(), [Mistake(entry.line, f"{KEY}: is a table: [{KEY}]")]
    reading = _Reading()
    for key, value in entry.value.items():
        reading.line = entry.lines.get(key, entry.line)
        reading.role(key, value)
    members = {role: reading.members[role] for role in Role if role in reading.members}
    return Roles(reading.users, reading.groups, members), reading.mistakes


@dataclass(slots=True)
class _Reading:
    """The roles read so far, and the mistakes found."""

    line: int = 0
    users: dict[int, Role] = field(default_factory=dict)
    groups: dict[int, Role] = field(default_factory=dict)
    members: dict[Role, tuple[str, ...]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def role(self, key: str, value: Any) -> None:
        """Read the list of one role."""
        if key not in list(Role):
            self._complain(f"{KEY}: {_unknown(key)}")
            return
        role = Role(key)
        if not isinstance(value, list):
            self._complain(f'{KEY}.{role}: is a list, such as ["alice", "@staff"]')
            return
        self.members[role] = tuple(str(member) for member in value)
        for member in value:
            try:
                ids, found = self._find(member)
            except ValueError as error:
                may_pass = isinstance(error, _UnknownNameError)
                self._complain(f"{KEY}.{role}: {error}", may_pass=may_pass)
                continue
            ids[found] = _highest([role, ids.get(found, role)]) or role

    def _find(self, member: Any) -> tuple[dict[int, Role], int]:
        if not isinstance(member, str) or not member.removeprefix("@"):
            raise ValueError(
                f"{member!r} is nobody; write a user as alice or uid:1000, "
                "a group as @staff or gid:50"
            )
        kind, colon, number = member.partition(":")
        if colon and kind in {"uid", "gid"}:
            return (self.users if kind == "uid" else self.groups), _number(number)
        if member.startswith("@"):
            return self.groups, _look_up(_gid, member[1:], "group", "gid")
        return self.users, _look_up(_uid, member, "user", "uid")

    def _complain(self, message: str, *, may_pass: bool = False) -> None:
        self.mistakes.append(Mistake(self.line, message, may_pass))


def _highest(roles: Iterable[Role]) -> Role | None:
    return max(roles, key=list(Role).index, default=None)


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key.lower(), Role, n=1)
    advice = f"did you mean {near[0]}?" if near else f"they are: {', '.join(Role)}"
    return f"there is no role {key!r}; {advice}"


def _number(text: str) -> int:
    # isdecimal is true for digits of other scripts as well, which int reads.
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(ID_MAX)):
        raise ValueError(f"{text!r} is no number of a user or group")
    if int(text) > ID_MAX:
        raise ValueError(f"{text} is over the highest number, {ID_MAX}")
    return int(text)


def _look_up(find: Callable[[str], int], name: str, kind: str, prefix: str) -> int:
    try:
        return find(name)
    except (KeyError, ValueError):  # ValueError: a NUL, or what is no text here
        raise _UnknownNameError(
            f"there is no {kind} {name!r} on this machine; a number is written "
            f"{prefix}:1000"
        ) from None


def _uid(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _gid(name: str) -> int:
    return grp.getgrnam(name).gr_gid
