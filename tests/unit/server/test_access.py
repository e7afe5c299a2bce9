"""Who has which role, given what the kernel and the configuration say."""

import pytest

from queuectl_protocol.vocabulary import Role
from queuectld.config import Roles
from queuectld.server.connection import access
from queuectld.server.connection.access import Credentials

OWNER = 1000
ROLES = Roles(
    users={0: Role.READ, OWNER: Role.READ, 2000: Role.SUBMIT},
    groups={50: Role.READ, 60: Role.OPERATE},
)


def role(uid: int, *gids: int, roles: Roles = ROLES) -> Role | None:
    return access.role(Credentials(1, uid, gids), roles, owner=OWNER)


@pytest.mark.parametrize("role", Role)
def test_a_role_includes_itself_and_those_before_it(role: Role) -> None:
    """Roles are ordered as in their list, not by the alphabet."""
    order = ["read", "submit", "operate", "admin"]
    included = [each for each in order if role.includes(Role(each))]
    assert included == order[: order.index(role) + 1]


@pytest.mark.parametrize("uid", [OWNER, 0])
def test_the_daemons_user_and_root_are_admin(uid: int) -> None:
    """They need not be named in the configuration, and no entry there changes it."""
    assert role(uid, roles=Roles()) is Role.ADMIN
    assert role(uid) is Role.ADMIN


def test_nobody_else_has_a_role_where_none_is_configured() -> None:
    """No group gives a role either, not even that of root or of the owner."""
    assert role(1001, 0, OWNER, 50, roles=Roles()) is None


@pytest.mark.parametrize(
    ("uid", "gids", "expected"),
    [
        (2000, [], Role.SUBMIT),
        (2001, [], None),
        (2001, [99], None),
        (2001, [50], Role.READ),
        (2001, [99, 60], Role.OPERATE),
        (2001, [50, 60], Role.OPERATE),
        (2001, [60, 50], Role.OPERATE),
        (2000, [50], Role.SUBMIT),
        (2000, [60], Role.OPERATE),
        (50, [2000], None),
    ],
)
def test_the_highest_role_of_user_and_groups_counts(
    uid: int, gids: list[int], expected: Role | None
) -> None:
    """A uid is not compared with a gid, and the order of the groups does not matter."""
    assert role(uid, *gids) is expected
