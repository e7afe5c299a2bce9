"""The daemon's configuration as one value, its sources, and the mistakes in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from queuectl_protocol.paths import DATABASE_NAME
from queuectld.config.options import OPTIONS, SUBMITTER
from queuectld.config.roles import Roles


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake.

    Attributes:
        origin: where it is: a flag, a variable, or ``file:line``.
        may_pass: it may disappear a little later without a change.
    """

    origin: str
    message: str
    may_pass: bool = False

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}"


class ConfigError(Exception):
    """The configuration has mistakes; all of them are in ``problems``."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    @property
    def may_pass(self) -> bool:
        """Whether the same configuration may be valid a little later."""
        return all(problem.may_pass for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything a configuration is made from, so that a reload can repeat it.

    Attributes:
        flags: option key -> what was written on the command line.
        environ: the process's environment.
        config_file: the file given by ``--config``; it must exist.
        home: the user's home directory.
        cwd: the directory that relative paths in flags and environment start from.
        detached: there is no terminal and no journal, so the log goes to a file.
    """

    flags: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    config_file: str | None = None
    home: str = "/"
    cwd: str = "/"
    detached: bool = False


def _default(key: str) -> Any:
    return OPTIONS[key].default


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """The daemon's configuration, checked. Every path is absolute.

    Attributes:
        state_dir: database, output, spool and log.
        runtime_dir: socket and workers' records.
        socket: where the daemon listens; short enough for the kernel.
        run_as: the user of jobs: ``daemon``, or the ``submitter`` of each.
        cgroup: ``auto``, ``off``, or an absolute path.
        log_level: ``debug``, ``info``, ``warning`` or ``error``.
        log_format: ``text`` or ``json``.
        log_file: None for stderr.
        shutdown_grace: seconds.
        max_frame: bytes.
        roles: who may do what, besides root and the daemon's own user.
        config_file: the file that was read; None if there was none.
        origins: option key -> where its value comes from, for messages.
        sources: what a reload reads again.
    """

    state_dir: Path
    runtime_dir: Path
    socket: Path
    run_as: str = _default("run_as")
    cgroup: str = _default("cgroup")
    log_level: str = _default("log_level")
    log_format: str = _default("log_format")
    log_file: Path | None = None
    shutdown_grace: float = _default("shutdown_grace")
    max_frame: int = _default("max_frame")
    max_batch: int = _default("max_batch")
    max_connections: int = _default("max_connections")
    max_inflight: int = _default("max_inflight")
    max_buffered: int = _default("max_buffered")
    max_page: int = _default("max_page")
    roles: Roles = field(default_factory=Roles)
    config_file: Path | None = None
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    sources: Sources = field(default_factory=Sources, compare=False, repr=False)

    @property
    def as_submitter(self) -> bool:
        """Whether each job runs as its submitter; the daemon runs as root then."""
        return self.run_as == SUBMITTER

    @property
    def database(self) -> Path:
        """The store's file."""
        return self.state_dir / DATABASE_NAME

    @property
    def output_dir(self) -> Path:
        """The output of jobs."""
        return self.state_dir / "output"

    @property
    def spool_dir(self) -> Path:
        """The results of workers that lost their daemon."""
        return self.state_dir / "spool"

    @property
    def lock(self) -> Path:
        """The file that the one daemon of the state directory locks."""
        return self.state_dir / "lock"

    @property
    def workers_dir(self) -> Path:
        """The workers' records."""
        return self.runtime_dir / "workers"
