"""One measurement's peer: its servers, its workers and its client, in one folder."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.processes import Processes, processes
from benchmarks.peers.signals import Barrier, Bell

HERE = Path(__file__).parent

CLIENT_LOG = "client.log"


class Session:
    """What a peer's ``start`` is given.

    Attributes:
        workers: how many jobs are to run at once.
        folder: for everything it keeps.
        ending: what to do at the end, before the processes are ended.
    """

    def __init__(
        self,
        workers: int,
        folder: Path,
        running: Processes,
        ending: ExitStack,
        pipes: ExitStack,
    ) -> None:
        self.workers = workers
        self.folder = folder
        self.processes = running
        self.ending = ending
        self._pipes = pipes
        self._client: Client | None = None

    @property
    def client(self) -> "Client":
        """The connection for the jobs."""
        assert self._client is not None, "the peer has not been started"
        return self._client

    def bell(self, name: str) -> Bell:
        """Return a new bell, which lives as long as the processes."""
        return self._pipes.enter_context(closing(Bell(self.folder / name)))

    def barrier(self, name: str) -> Barrier:
        """Return a new barrier, which lives as long as the processes."""
        return self._pipes.enter_context(closing(Barrier(self.folder, name)))

    def app(self, name: str) -> str:
        """Return the file of an app."""
        return str(HERE / "apps" / f"{name}.py")

    def connect(
        self, python: str, app: str, *arguments: str, env: dict[str, str] | None = None
    ) -> None:
        """Start the client."""
        argv = (python, str(HERE / "client.py"), app, *arguments)
        self._client = Client(self.processes, argv, app_env(env))


def app_env(env: dict[str, str] | None = None) -> dict[str, str]:
    """Return the variables for a program that imports an app."""
    return {"PYTHONPATH": str(HERE / "apps"), **(env or {})}


class Client:
    """A process that enqueues, one job at a time."""

    def __init__(
        self, running: Processes, argv: tuple[str, ...], env: dict[str, str]
    ) -> None:
        self._processes = running
        self._process = running.start(*argv, env=env, pipes=True, log=CLIENT_LOG)

    def ask(self, command: str, count: int = 1) -> None:
        """Let it enqueue a command so often; ``answer`` has to be called next."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count} {command}\n".encode())
        self._process.stdin.flush()

    def answer(self) -> tuple[float, float]:
        """Return when it began and ended, by ``time.monotonic``.

        Raises:
            PeerFailedError: it died.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._processes.failed("the client died", CLIENT_LOG)
        begun, ended = map(float, line.split())
        return begun, ended

    def enqueue(self, command: str, count: int = 1) -> float:
        """Enqueue a command so often; return the seconds it took."""
        self.ask(command, count)
        begun, ended = self.answer()
        return ended - begun


@dataclass(frozen=True, slots=True)
class Peer:
    """A job queue.

    Attributes:
        jobs: how many it drains in a measurement: a slow one fewer.
        most: the most workers worth to be measured.
        survives_kill: which jobs outlive a SIGKILL of all its processes.
        survives_power: and which a power loss.
        output: what becomes of a job's output.
        install: what brings it here, and returns its version.
        start: starts servers, workers and the client.
    """

    name: str
    jobs: int
    most: int
    survives_kill: str
    survives_power: str
    output: str
    install: Callable[[], str]
    start: Callable[[Session], None]


@contextmanager
def session(peer: Peer, workers: int) -> Iterator[Session]:
    """Run a peer; leave nothing of it."""
    # Short, as sockets need it; open to nobody else but for passing through.
    folder = Path(tempfile.mkdtemp(prefix="peer-"))
    folder.chmod(0o711)
    try:
        with (
            ExitStack() as pipes,  # closed last: a held job could not be let go
            processes(folder) as running,
            ExitStack() as ending,
        ):
            made = Session(workers, folder, running, ending, pipes)
            peer.start(made)
            yield made
    finally:
        shutil.rmtree(folder)


def as_nobody(folder: Path) -> None:
    """Give a new folder to whom unprivileged processes run as."""
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
