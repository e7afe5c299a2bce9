"""What ``doctor`` makes of what it finds."""

import pytest

from queuectl.cli.commands import doctor_checks


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
    ],
)
def test_versions_with_the_wal_reset_bug_are_known(
    version: tuple[int, int, int], affected: bool
) -> None:
    """The fix was also put into two older series."""
    assert doctor_checks.has_wal_reset_bug(version) == affected


MOUNTS = [
    "rootfs / ext4 rw 0 0",
    "server:/home /home nfs4 rw 0 0",
    "tmpfs /home/me/.cache tmpfs rw 0 0",
    "server:/x /mnt/my\\040disk cifs rw 0 0",
    "tmpfs / overlay rw 0 0",
]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/queuectl", "overlay"),
        ("/home/me/.local/state", "nfs4"),
        ("/home/me/.cache/q", "tmpfs"),
        ("/homely", "overlay"),
        ("/mnt/my disk/q", "cifs"),
    ],
)
def test_the_file_system_of_a_path_is_found(path: str, kind: str) -> None:
    """The innermost mount counts, and of two on one place the later."""
    assert doctor_checks.file_system(path, MOUNTS) == kind
