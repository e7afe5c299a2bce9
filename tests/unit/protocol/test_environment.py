"""The environment of a job that has none of its own."""

import pwd

import pytest

from queuectl_protocol.environment import PATH, minimal


@pytest.mark.parametrize(
    ("shell", "expected"), [("/bin/zsh", "/bin/zsh"), ("", "/bin/sh")]
)
def test_it_says_where_programs_are_and_who_runs_them(
    shell: str, expected: str
) -> None:
    """No login shell means the usual one: see passwd(5)."""
    user = pwd.struct_passwd(("ada", "x", 7, 7, "", "/home/ada", shell))
    assert minimal(user) == {
        "PATH": PATH,
        "HOME": "/home/ada",
        "LOGNAME": "ada",
        "SHELL": expected,
        "USER": "ada",
    }


def test_a_user_whom_nobody_knows_has_a_path() -> None:
    """Programs are found in a container that has no list of users."""
    assert minimal(None) == {"PATH": PATH}
