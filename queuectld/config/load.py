"""Makes the configuration: flags over environment over file over defaults.

All mistakes in all of them are reported together. Reads one file; writes nothing.
"""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from queuectl_protocol import paths
from queuectld.config.document import Entry, SyntaxProblemError, parse
from queuectld.config.model import ConfigError, DaemonConfig, Problem, Sources
from queuectld.config.options import OPTIONS, SUBMITTER, OptionKind, nearest
from queuectld.config.roles import KEY as ROLES
from queuectld.config.roles import Roles, read_roles

FILE_NAME = "queuectld.toml"


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as it was given.

    Attributes:
        origin: a flag, a variable, ``file:line`` or ``default``.
        base: the directory that a relative path starts from.
        subject: how a message begins if the origin does not name the key.
    """

    value: Any
    origin: str
    base: str
    subject: str = ""


_Layer = dict[str, _Given]


def load(sources: Sources) -> DaemonConfig:
    """Return the configuration from these sources.

    Raises:
        ConfigError: with all mistakes in them.
    """
    return _Loading(sources).run()


@dataclass(slots=True)
class _Loading:
    """One load: the sources, and the mistakes found so far."""

    sources: Sources
    problems: list[Problem] = field(default_factory=list)
    roles: Roles = field(default_factory=Roles)

    def run(self) -> DaemonConfig:
        defaults = self._checked(_defaults(self.sources))
        said: _Layer = {}
        for layer in (_places, _variables, _flags):
            said |= self._checked(layer(self.sources))
        file = self._find((defaults | said)["state_dir"].value)
        values = defaults | self._checked(self._read(file)) | said
        values.setdefault("runtime_dir", values["state_dir"])
        values.setdefault("socket", _beside_records(values["runtime_dir"]))
        self._check_length(values["socket"])
        self._check_power(values["run_as"])
        if self.problems:
            raise ConfigError(self.problems)
        read = file if file.exists() else None
        return _build(values, self.roles, self.sources, read)

    def _checked(self, layer: _Layer) -> _Layer:
        """Return the layer's sound values, each in its option's own type."""
        sound: _Layer = {}
        for key, given in layer.items():
            option = OPTIONS.get(key)
            if option is None:
                self._complain(given.origin, _unknown(key))
                continue
            try:
                value: Any = option.check(given.value)
            except ValueError as error:
                self._complain(given.origin, f"{given.subject}{error}")
                continue
            if option.kind is OptionKind.PATH:
                value = _absolute(value, given.base, self.sources.home)
            sound[key] = replace(given, value=value)
        return sound

    def _find(self, state_dir: Path) -> Path:
        if self.sources.config_file is None:
            return state_dir / FILE_NAME
        asked = self.sources.config_file
        return _absolute(asked, self.sources.cwd, self.sources.home)

    def _read(self, file: Path) -> _Layer:
        """Return the values in the file; it may be missing unless it was asked for."""
        try:
            entries = parse(file.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            # A problem with the state directory is reported where it is made.
            if self.sources.config_file is not None:
                self._complain(str(file), "there is no such file")
            return {}
        except OSError as error:
            self._complain(str(file), f"cannot be read: {error.strerror}")
            return {}
        except SyntaxProblemError as error:
            self._complain(f"{file}:{error.line}", str(error))
            return {}
        base = str(file.parent)
        if table := entries.pop(ROLES, None):
            self._read_roles(file, table)
        return {
            key: _Given(entry.value, f"{file}:{entry.line}", base, f"{key}: ")
            for key, entry in entries.items()
        }

    def _read_roles(self, file: Path, table: Entry) -> None:
        self.roles, mistakes = read_roles(table)
        for mistake in mistakes:
            origin = f"{file}:{mistake.line}"
            self._complain(origin, mistake.message, may_pass=mistake.may_pass)

    def _check_length(self, socket: _Given) -> None:
        size = len(os.fsencode(socket.value))
        if size > paths.SUN_PATH_MAX:
            self._complain(
                socket.origin,
                f"the socket {socket.value} has a path of {size} bytes, and the "
                f"kernel's limit is {paths.SUN_PATH_MAX}; choose a shorter one with "
                f"{OPTIONS['socket'].flag} or QUEUECTL_SOCKET",
            )

    def _check_power(self, run_as: _Given) -> None:
        if run_as.value == SUBMITTER and (uid := os.geteuid()):
            self._complain(
                run_as.origin,
                f"{run_as.subject}only root can run jobs as their submitters, and "
                f"this is uid {uid}; start the daemon as root, or choose "
                'run_as = "daemon"',
            )

    def _complain(self, origin: str, message: str, *, may_pass: bool = False) -> None:
        self.problems.append(Problem(origin, message, may_pass))


def _defaults(sources: Sources) -> _Layer:
    found = paths.resolve(sources.environ, sources.home)
    values = {
        key: option.default
        for key, option in OPTIONS.items()
        if option.default is not None
    }
    values["state_dir"] = found.state_dir
    return {key: _Given(value, "default", sources.cwd) for key, value in values.items()}


def _places(sources: Sources) -> _Layer:
    """Return the values of QUEUECTL_HOME and QUEUECTL_SOCKET, which clients read, too.

    The variables of XDG determine defaults, so they are among the defaults. In a job,
    QUEUECTL_SOCKET is set by the daemon that runs the job and is not used.
    """
    environ = sources.environ
    said = {"state_dir": "QUEUECTL_HOME"}
    if not environ.get(paths.IN_JOB):
        said["socket"] = "QUEUECTL_SOCKET"
    return {
        key: _Given(environ[name], name, sources.cwd)
        for key, name in said.items()
        if environ.get(name)
    }


def _variables(sources: Sources) -> _Layer:
    """Return the values of QUEUECTLD_* variables; an empty one counts as not set.

    Unknown ones are ignored: container managers invent names of that form from the
    name of a service (QUEUECTLD_PORT).
    """
    return {
        key: _Given(value, option.variable, sources.cwd)
        for key, option in OPTIONS.items()
        if (value := sources.environ.get(option.variable))
    }


def _flags(sources: Sources) -> _Layer:
    return {
        key: _Given(value, OPTIONS[key].flag, sources.cwd)
        for key, value in sources.flags.items()
    }


def _beside_records(runtime_dir: _Given) -> _Given:
    return replace(runtime_dir, value=runtime_dir.value / paths.SOCKET_NAME)


def _absolute(path: str, base: str, home: str) -> Path:
    """Return the absolute path. Expand ~, which a shell does only in flags."""
    if path == "~" or path.startswith("~/"):
        return Path(home, path[2:])
    return Path(base, path)


def _unknown(key: str) -> str:
    """Return a message that names the most similar option, if there is one."""
    if likely := nearest(key):
        return f"there is no option {key!r}; did you mean {likely.key}?"
    return (
        f"there is no option {key!r}; the options are: {', '.join(OPTIONS)} "
        "(settings of jobs are set with queuectl config set)"
    )


def _build(
    values: _Layer, given: Roles, sources: Sources, config_file: Path | None
) -> DaemonConfig:
    checked: dict[str, Any] = {key: given.value for key, given in values.items()}
    log_file = checked["state_dir"] / paths.LOG_NAME if sources.detached else None
    return DaemonConfig(
        **checked,
        roles=given,
        log_file=log_file,
        config_file=config_file,
        origins={key: values[key].origin for key in OPTIONS},
        sources=sources,
    )
