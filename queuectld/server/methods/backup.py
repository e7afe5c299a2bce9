"""The method that copies the store while it is at work."""

from pathlib import Path

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import Role
from queuectld.config import DaemonConfig
from queuectld.server import params
from queuectld.server.call import Call
from queuectld.server.method import Method, Result
from queuectld.server.params import InvalidParamsError


async def backup(call: Call, *, path: Path, replace: bool) -> Result:
    """Write a copy of the database to a file of the daemon's machine."""
    context = call.context
    target = _place(path, context.config())
    size = await context.store.backup(target, replace=replace, wall=context.clock.wall)
    return {"path": str(target), "size": size}


def _place(path: Path, config: DaemonConfig) -> Path:
    """Return the path without symbolic links above its name, if a copy may be there."""
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
        handler=backup,
        role=Role.ADMIN,
        audit=("path", "replace"),
        params=(
            params.path("path", "of the copy, on the daemon's machine: absolute"),
            params.flag("replace", "replace a file that is there"),
        ),
        result="{path: unix, size: int}",
        errors=(
            ErrorCode.ALREADY_EXISTS,
            ErrorCode.STORAGE_FULL,
            ErrorCode.STORAGE_ERROR,
        ),
        waits=True,
    ),
)
