"""The table [roles]: who is in it, and every mistake in it with its line."""

from pathlib import Path

import pytest

from queuectl_protocol.vocabulary import Role
from queuectld import config
from queuectld.config import ConfigError, DaemonConfig, OptionChange, Roles, Sources

NOBODY = "is nobody; write a user as alice or uid:1000, a group as @staff or gid:50"


def load(folder: Path, text: str) -> DaemonConfig:
    (folder / "queuectld.toml").write_text(text)
    return config.load(Sources(environ={"QUEUECTL_HOME": str(folder)}))


def roles(folder: Path, text: str) -> Roles:
    return load(folder, text).roles


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    cut = len(str(folder)) + len("/queuectld.toml:")
    return [str(problem)[cut:] for problem in caught.value.problems]


def test_without_the_table_nobody_has_a_role(tmp_path: Path) -> None:
    """An empty table and empty lists say the same."""
    assert roles(tmp_path, "") == roles(tmp_path, "[roles]") == Roles()
    assert roles(tmp_path, "[roles]\nread = []").of(1, [1]) is None


def test_members_are_users_and_groups_by_name_or_number(tmp_path: Path) -> None:
    """Names are looked up; a number need not belong to anybody."""
    found = roles(
        tmp_path,
        '[roles]\nsubmit = ["root", "uid:4294967294"]\nadmin = ["@root", "gid:77777"]',
    )
    assert found.users == {0: Role.SUBMIT, 4294967294: Role.SUBMIT}
    assert found.groups == {0: Role.ADMIN, 77777: Role.ADMIN}


@pytest.mark.parametrize("order", [("read", "operate"), ("operate", "read")])
def test_who_is_in_several_lists_has_the_highest(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    """The order of the lists does not matter."""
    lists = [f'{role} = ["uid:7", "gid:7"]' for role in order]
    found = roles(tmp_path, "\n".join(["[roles]", *lists]))
    assert (found.users, found.groups) == ({7: Role.OPERATE}, {7: Role.OPERATE})


def test_all_mistakes_of_the_table_are_told_with_those_of_the_options(
    tmp_path: Path,
) -> None:
    """Each with the line of its role, also where a list goes on over lines."""
    text = """\
max_page = 0
[roles]
read = ["no-such-user", "root", "@no-such-group"]

submitt = ["root"]
operate = [
  "uid:1000",
  7,
]
admin = "root"
boss = ["root"]
"""
    number = "on this machine; a number is written"
    assert mistakes(tmp_path, text) == [
        f"3: roles.read: there is no user 'no-such-user' {number} uid:1000",
        f"3: roles.read: there is no group 'no-such-group' {number} gid:1000",
        "5: roles: there is no role 'submitt'; did you mean submit?",
        f"6: roles.operate: 7 {NOBODY}",
        '10: roles.admin: is a list, such as ["alice", "@staff"]',
        "11: roles: there is no role 'boss'; they are: read, submit, operate, admin",
        "1: max_page: 0 is out of range (1 to 10000)",
    ]


@pytest.mark.parametrize(
    ("member", "complaint"),
    [
        ('""', "'' is nobody"),
        ('"@"', "'@' is nobody"),
        ("true", "True is nobody"),
        ('["root"]', "['root'] is nobody"),
        ('"1000"', "there is no user '1000'"),
        ('"a\\u0000b"', "there is no user 'a\\x00b'"),
        ('"uid:"', "'' is no number of a user or group"),
        ('"uid:-1"', "'-1' is no number"),
        ('"uid: 1"', "' 1' is no number"),
        ('"gid:٣"', "'٣' is no number"),
        ('"gid:4294967295"', "4294967295 is over the highest number, 4294967294"),
        ('"uid:99999999999"', "'99999999999' is no number"),
        ('"gid:root"', "'root' is no number"),
    ],
)
def test_a_member_that_is_nobody_is_a_mistake(
    tmp_path: Path, member: str, complaint: str
) -> None:
    """A typing mistake gives no role to anybody, and -1 is no valid number."""
    (mistake,) = mistakes(tmp_path, f"[roles]\nread = [{member}]")
    assert mistake.startswith("2: roles.read: ")
    assert complaint in mistake


@pytest.mark.parametrize("text", ["roles = 1", 'roles = ["root"]', "[[roles]]"])
def test_what_is_no_table_is_a_mistake(tmp_path: Path, text: str) -> None:
    """A list without a role does not say what its members may do."""
    assert mistakes(tmp_path, text) == ["1: roles: is a table: [roles]"]


def test_the_table_is_written_as_it_can_be_read(tmp_path: Path) -> None:
    """What --check-config prints is a file that says the same."""
    text = '[roles]\nread = ["uid:7", "@root"]\nadmin = ["root"]'
    found = roles(tmp_path, text)
    assert "\n".join(found.toml()) == text
    assert str(found) == "read: uid:7, @root; admin: root"
    assert list(Roles().toml()) == []


def test_a_reload_applies_changed_roles_at_once(tmp_path: Path) -> None:
    """The log has the old and the new ones; with a mistake nothing changes."""
    running = load(tmp_path, '[roles]\nread = ["root"]')
    file = tmp_path / "queuectld.toml"
    file.write_text('[roles]\nadmin = ["uid:7"]')
    changed = config.reload(running)
    assert changed.config.roles.users == {7: Role.ADMIN}
    assert changed.applied == (OptionChange("roles", "read: root", "admin: uid:7"),)
    assert config.reload(changed.config).applied == ()
    file.write_text('[roles]\nadmin = ["no-such-user"]')
    with pytest.raises(ConfigError, match="no-such-user"):
        config.reload(changed.config)
