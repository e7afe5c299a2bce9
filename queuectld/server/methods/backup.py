"""The method that copies the store while the daemon works."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import Role
from queuectld.clock import Clock
from queuectld.config import DaemonConfig
from queuectld.server.call import Call
from queuectld.server.schema import params
from queuectld.server.schema.arguments import InvalidParamsError
from queuectld.server.schema.method import WRITE_ERRORS, Method, Result
from queuectld.store.api import Store


@dataclass(frozen=True, slots=True)
class BackupMethods:
    """Copies the store.

    Attributes:
        config: returns the configuration in force.
    """

    store: Store
    config: Callable[[], DaemonConfig]
    clock: Clock

    async def backup(self, _call: Call, *, path: Path, replace: bool) -> Result:
        """Write a copy of the database to a file of the daemon's machine."""
        target = _target(path, self.config())
        size = await self.store.backup(target, replace=replace, wall=self.clock.wall)
        return {"path": str(target), "size": size}


def _target(path: Path, config: DaemonConfig) -> Path:
    """Return where to write: the path with the links in its directory resolved.

    Raises:
        InvalidParamsError: no copy may be written there.
    """
    if not path.name:
        raise InvalidParamsError("path", f"{path} is no name for a file")
    try:
        found = path.parent.is_dir()
    except OSError as error:  # a name that is too long, a closed directory
        raise InvalidParamsError("path", f"{path.parent}: {error.strerror}") from None
    if not found:
        raise InvalidParamsError("path", f"there is no directory {path.parent}")
    target = path.parent.resolve() / path.name
    state = config.state_dir.resolve()
    ours = (config.output_dir, config.spool_dir, config.workers_dir)
    if target.parent == state or any(
        target.is_relative_to(each.resolve()) for each in ours
    ):
        raise InvalidParamsError(
            "path",
            f"{target.parent} is for the daemon's own files; choose another directory, "
            f"such as {state}/backups",
        )
    return target


METHODS = (
    Method(
        name="backup",
        doc="Write a consistent copy of the database to a file, while work goes on. "
        "The file is the daemon's user's, mode 0600, and is there whole or not at all.",
        handler=BackupMethods.backup,
        role=Role.ADMIN,
        audit=("path", "replace"),
        params=(
            params.path("path", "of the copy, on the daemon's machine: absolute"),
            params.flag("replace", "replace a file that is there"),
        ),
        result="{path: unix, size: int}",
        errors=(ErrorCode.ALREADY_EXISTS, *WRITE_ERRORS),
        waits=True,
    ),
)
