"""The environment that systemd gives to the system's service.

For a person who checks a configuration: the unit's environment decides, among others,
on the daemon's directories, and a person who types the same command has another one.
"""

import shlex
import subprocess
from collections.abc import Mapping

SERVICE = "queuectld.service"

ASKING_LIMIT = 10.0
"""Seconds for an answer of systemctl. Without a manager it fails at once."""


class ServiceError(Exception):
    """There is no such service, or no systemd; the message is for a person."""


def environment() -> Mapping[str, str]:
    """Return the variables that the unit and its drop-ins set.

    Raises:
        ServiceError: systemd does not know it.
    """
    shown = _show("LoadState", "Environment")
    if shown.get("LoadState") != "loaded":
        raise ServiceError(
            f"systemd has no {SERVICE}; install it: queuectl systemd install"
        )
    words = shlex.split(shown.get("Environment", ""))
    return dict(word.split("=", 1) for word in words if "=" in word)


def _show(*names: str) -> dict[str, str]:
    command = ["systemctl", "show", f"--property={','.join(names)}", SERVICE]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ASKING_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"systemctl does not answer: {error}") from None
    if done.returncode:
        raise ServiceError(done.stderr.strip() or "systemctl has failed")
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
