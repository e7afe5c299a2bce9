"""What install and uninstall do to each file: decided for all, then carried out.

If one file must not be changed, none is.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

from queuectl.cli.systemd import marked_files, unit_files
from queuectl.cli.systemd.marked_files import Existing, Origin
from queuectl.cli.systemd.target import Target
from queuectl.cli.systemd.unit_files import Manager, Place

DIRECTORY_MODES = {Manager.SYSTEM: 0o755, Manager.USER: 0o700}
"""Modes of directories that are made. The service's user reads /etc/queuectl; ~/.config
is for its user alone, as the XDG specification asks."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is done to one file.

    Attributes:
        path: where it is.
        action: ``written``, ``unchanged``, ``kept``, ``removed`` or ``left``.
        content: its new content, if it is written.
    """

    path: Path
    action: str
    content: bytes = b""

    def to_json(self, *, whole: bool) -> dict[str, str]:
        """Return it as a JSON object; ``whole``: with the new text."""
        shown = {"path": str(self.path), "action": self.action}
        if whole and self.action == "written":
            shown["text"] = self.content.decode()
        return shown


def installation(
    target: Target, program: Path, *, force: bool, backup: bool
) -> list[Step]:
    """Return what install does.

    Args:
        target: what is installed to.
        program: the ``queuectld`` that the units run.
        force: replace files that queuectl did not write, or that were changed since.
        backup: with the units of backups. If they exist already, they are updated.

    Raises:
        click.ClickException: a file must not be replaced.
    """
    steps, refused = [], []
    backup = backup or _has_backup(target)
    for place in unit_files.places(target.manager, backup=backup):
        path = target.actual(place.path)
        with _reported(target, path):
            existing = marked_files.examine(path)
        step, ours = _step(place, path, existing, unit_files.text(place, program))
        steps.append(step)
        if not ours and not force:
            refused.append(f"{path} {existing.origin}")
    _check_none(
        refused,
        f"keep your changes in a drop-in (see {unit_files.EXAMPLE}) or elsewhere; "
        "--force replaces it",
    )
    return steps


def _has_backup(target: Target) -> bool:
    folder = target.actual(
        unit_files.directory(target.manager) / unit_files.BACKUP[0]
    ).parent
    return any((folder / name).exists() for name in unit_files.BACKUP)


def _step(place: Place, path: Path, existing: Existing, body: str) -> tuple[Step, bool]:
    """Return what is done to a file, and whether that needs no ``force``."""
    if place.configuration:
        absent = existing.origin is Origin.ABSENT
        return Step(path, "written" if absent else "kept", body.encode()), True
    content = marked_files.marked(body)
    if existing.content == content:
        return Step(path, "unchanged", content), True
    # A copy of the template made by hand loses nothing by the mark.
    ours = existing.origin in {Origin.ABSENT, Origin.OURS}
    return Step(path, "written", content), ours or existing.content == body.encode()


def removal(target: Target, *, force: bool) -> list[Step]:
    """Return what uninstall does.

    Raises:
        click.ClickException: a file that queuectl wrote was changed.
    """
    steps, refused = [], []
    for place in unit_files.places(target.manager, backup=True):
        path = target.actual(place.path)
        with _reported(target, path):
            origin = marked_files.examine(path).origin
        if place.configuration or origin is Origin.ABSENT:
            continue
        if origin is Origin.CHANGED and not force:
            refused.append(f"{path} {origin}")
        steps.append(Step(path, "left" if origin is Origin.FOREIGN else "removed"))
    _check_none(refused, "remove it by hand, or with --force")
    steps += [
        Step(path, "left")
        for path in map(target.actual, unit_files.left(target.manager))
        if path.exists()
    ]
    return steps


def _check_none(refused: Sequence[str], advice: str) -> None:
    if refused:
        raise click.ClickException(f"{', '.join(refused)}; {advice}")


def write(target: Target, steps: Sequence[Step]) -> None:
    """Write the files.

    Raises:
        click.ClickException: one failed; those before it are done.
    """
    mode = DIRECTORY_MODES[target.manager]
    for step in steps:
        if step.action == "written":
            with _reported(target, step.path):
                marked_files.write(step.path, step.content, directory_mode=mode)


def remove(target: Target, steps: Sequence[Step]) -> None:
    """Remove the files.

    Raises:
        click.ClickException: one failed; those before it are done.
    """
    for step in steps:
        if step.action == "removed":
            with _reported(target, step.path):
                marked_files.remove(step.path)
    # The directory of drop-ins was made for the example; it may hold other files now.
    with suppress(OSError):
        directory = unit_files.directory(target.manager)
        target.actual(directory / unit_files.EXAMPLE).parent.rmdir()


@contextmanager
def _reported(target: Target, path: Path) -> Iterator[None]:
    """Report an error with the path of the file, and not that of a temporary one."""
    try:
        yield
    except OSError as error:
        advice = ""
        if isinstance(error, PermissionError) and target.manager is Manager.SYSTEM:
            advice = "; do it as root, or use --user"
        raise click.ClickException(f"{path}: {error.strerror}{advice}") from None
