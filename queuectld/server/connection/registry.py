"""The open connections, and whether another one is allowed.

No user can keep all others away: a user who may not operate has a limited share, and
the last connections are for those who may, so that they can look and intervene.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

KEPT_FOR_OPERATORS = 10
"""One in so many connections."""


class Registry:
    """The sessions whose connection is open or whose requests are at work."""

    def __init__(self) -> None:
        self._uids: dict[Any, int] = {}
        self._by_uid: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._uids)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._uids)

    def add(self, session: Any, uid: int) -> None:
        """Add a session that was accepted."""
        self._uids[session] = uid
        self._by_uid[uid] += 1

    def discard(self, session: Any) -> None:
        """Remove a session, if it is there."""
        uid = self._uids.pop(session, None)
        if uid is None:
            return
        self._by_uid[uid] -= 1
        if not self._by_uid[uid]:
            del self._by_uid[uid]

    def objection(self, uid: int, *, operates: bool, limit: int) -> str | None:
        """Return why this user may not have another connection; None: it may.

        Args:
            uid: the user that has just connected.
            operates: whether that user may operate.
            limit: connections of all users together.
        """
        if len(self) >= limit:
            return (
                f"{limit} clients are connected and max_connections allows no more; "
                "try again later"
            )
        if operates:
            return None
        room = limit - kept(limit)
        own = self._by_uid[uid]
        if own >= max(1, room // 2):
            return (
                f"{own} connections of uid {uid} are open, and max_connections "
                f"({limit}) allows one user no more; close some, or try again later"
            )
        if len(self) >= room:
            return (
                f"{len(self)} clients are connected, and the rest of max_connections "
                f"({limit}) is kept for the daemon's own user, root and who may "
                "operate; try again later"
            )
        return None


def kept(limit: int) -> int:
    """Return how many of ``limit`` connections are for those who may operate."""
    return 0 if limit == 1 else max(1, limit // KEPT_FOR_OPERATORS)
