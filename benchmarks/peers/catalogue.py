"""Every peer: what it keeps, how it is installed, and how it runs shell commands.

Each is used as its documentation says is best for many short jobs. Python peers spawn
with the same ``posix_spawn`` as the floor.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers import install
from benchmarks.peers.session import Peer, Session, app_env, as_nobody
from helpers.daemon import a_daemon
from queuectl import Client
from queuectl_protocol.version import __version__

TSP_MAX = 900
"""Each waiting job holds a connection, of which its server takes 1,000."""


def _queuectl(session: Session) -> None:
    daemon = session.ending.enter_context(a_daemon())
    socket = str(daemon.socket)
    with Client(socket) as client:
        client.workers.start(session.workers)
    session.connect(sys.executable, "queuectl_app", socket)


def _no_queue(session: Session) -> None:
    session.connect(sys.executable, "command_app")


def _from_lines(session: Session, *argv: str) -> None:
    pipe = session.folder / "lines"
    os.mkfifo(pipe)
    # Opened for both, so that opening waits for nobody and there is never an end.
    lines = os.open(pipe, os.O_RDWR | os.O_CLOEXEC)
    session.ending.callback(os.close, lines)
    env = {"SHELL": "/bin/sh", "HOME": str(session.folder)}
    session.processes.start(*argv, stdin=lines, env=env)
    session.connect(sys.executable, "lines_app", str(pipe))


def _xargs(session: Session) -> None:
    workers = str(session.workers)
    _from_lines(session, "xargs", "-P", workers, "-d", "\n", "-n1", "/bin/sh", "-c")


def _parallel(session: Session) -> None:
    (session.folder / ".parallel").mkdir()
    (session.folder / ".parallel" / "will-cite").touch()
    parallel = install.program("usr/bin/parallel")
    _from_lines(session, "perl", parallel, "-j", str(session.workers))


def _spooler(session: Session, *options: str) -> None:
    program = install.program("usr/bin/tsp")
    env = {
        "TS_SOCKET": str(session.folder / "socket"),
        "TS_SLOTS": str(session.workers),
        "TS_MAXFINISHED": "10",
        "TMPDIR": str(session.folder),
    }
    session.processes.run(program, env=env)
    session.ending.callback(session.processes.run, program, "-K", env=env)
    session.connect(sys.executable, "command_app", "", program, *options, env=env)


def _spooler_quiet(session: Session) -> None:
    _spooler(session, "-n")


def _nq(session: Session) -> None:
    """As many directories as jobs at once: within one, jobs run one after the other."""
    lanes = [session.folder / f"lane{number}" for number in range(session.workers)]
    for lane in lanes:
        lane.mkdir()
    program = install.program("usr/bin/nq")
    path = ":".join(map(str, lanes))
    session.connect(sys.executable, "command_app", path, program)


def _beanstalkd(session: Session, *options: str) -> None:
    socket = session.folder / "socket"
    program = install.program("usr/bin/beanstalkd")
    session.processes.start(program, "-l", f"unix:{socket}", *options)
    session.processes.await_(socket.exists, "socket of beanstalkd")
    for _ in range(session.workers):
        worker = session.app("beanstalkd_app")
        session.processes.start(sys.executable, worker, str(socket), env=app_env())
    session.connect(sys.executable, "beanstalkd_app", str(socket))


def _beanstalkd_durable(session: Session) -> None:
    log = session.folder / "log.d"
    log.mkdir()
    _beanstalkd(session, "-b", str(log), "-f0")


def _huey(session: Session) -> None:
    env = {"PEER_FILE": str(session.folder / "huey.db")}
    session.processes.start(
        install.script("huey", "huey_consumer"),
        "huey_app.huey",
        f"--workers={session.workers}",
        "--worker-type=process",
        "--no-periodic",
        "--quiet",
        env=app_env(env),
    )
    session.connect(install.python("huey"), "huey_app", env=env)


def _redis(session: Session, *options: str) -> dict[str, str]:
    """Start a server on a private socket; return the variable that names it."""
    socket = session.folder / "socket"
    fixed = ["--port", "0", "--unixsocket", str(socket), "--save", ""]
    fixed += ["--dir", str(session.folder)]
    program = install.program("usr/bin/redis-server")
    session.processes.start(program, *fixed, *options, env=install.libraries())
    session.processes.await_(socket.exists, "socket of redis-server")
    return {"PEER_REDIS": str(socket)}


def _rq(session: Session, *redis: str) -> None:
    """SimpleWorker forks no process of Python's for each job: the fastest there is."""
    env = _redis(session, *redis)
    for _ in range(session.workers):
        session.processes.start(
            install.script("rq", "rq"),
            "worker",
            "--quiet",
            "--worker-class=rq.worker.SimpleWorker",
            f"--url=unix://{env['PEER_REDIS']}",
            env=app_env(env),
        )
    session.connect(install.python("rq"), "rq_app", env=env)


def _rq_durable(session: Session) -> None:
    _rq(session, "--appendonly", "yes", "--appendfsync", "always")


def _celery(session: Session) -> None:
    env = _redis(session)
    session.processes.start(
        install.script("celery", "celery"),
        "--app=celery_app",
        "worker",
        f"--concurrency={session.workers}",
        "--loglevel=ERROR",
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        env=app_env(env),
    )
    session.connect(install.python("celery"), "celery_app", env=env)


def _postgres(session: Session) -> dict[str, str]:
    """Start a server on a private socket; return the variable that names it."""
    folder = session.folder / "postgres"
    as_nobody(folder)
    env = install.libraries()
    running = session.processes
    initdb = Path(install.program("usr/lib/postgresql/*/bin/initdb"))
    asked = ("-D", str(folder / "data"), "-U", "peer", "-A", "trust", "--no-sync")
    running.run_unprivileged(str(initdb), *asked, env=env)
    server = ("-D", str(folder / "data"), "-k", str(folder), "-c", "listen_addresses=")
    running.start(
        str(initdb.with_name("postgres")), *server, env=env, unprivileged=True
    )
    uri = f"host={folder} user=peer dbname=postgres"
    ask = [str(initdb.with_name("pg_isready")), "-q", "-d", uri]

    def ready() -> bool:
        return subprocess.run(ask, env=os.environ | env, check=False).returncode == 0

    running.await_(ready, "answer of PostgreSQL")
    return {"PEER_POSTGRES": uri}


def _procrastinate(session: Session) -> None:
    env = app_env(_postgres(session))
    program = (
        install.script("procrastinate", "procrastinate"),
        "--app=procrastinate_app.app",
    )
    session.processes.run(*program, "schema", "--apply", env=env)
    for _ in range(session.workers):
        session.processes.start(*program, "worker", "--concurrency=1", env=env)
    python = install.python("procrastinate")
    session.connect(python, "procrastinate_app", env=env)


def _nothing_to_install() -> str:
    return ""


def _findutils() -> str:
    if not shutil.which("xargs"):
        raise install.NotInstalledError("this machine has no xargs")
    said = subprocess.run(["xargs", "--version"], capture_output=True, check=True)
    return said.stdout.decode().split("\n")[0].split()[-1]


def _with_redis(name: str, *packages: str) -> str:
    return f"{install.pip(name, *packages)}, redis {install.apt('redis-server')}"


def _with_postgres() -> str:
    server = install.apt("postgresql")
    ours = install.pip("procrastinate", "procrastinate", "psycopg[binary]")
    install.program("usr/lib/postgresql/*/bin/initdb")
    return f"{ours}, postgresql {server}"


BARE = Peer(
    "posix_spawn, no queue", 4000, 8, *("none",) * 3, _nothing_to_install, _no_queue
)

QUEUECTL = Peer(
    "queuectl", 4000, 8, "all", "all", "per attempt", lambda: __version__, _queuectl
)
XARGS = Peer("xargs -P", 4000, 8, "none", "none", "mixed", _findutils, _xargs)
PARALLEL = Peer(
    *("GNU parallel", 800, 4, "none", "none", "passed on, grouped"),
    lambda: install.apt("parallel"),
    _parallel,
)
SPOOLER = Peer(
    *("task-spooler", TSP_MAX, 8, "none", "none", "a file"),
    lambda: install.apt("task-spooler"),
    _spooler,
)
SPOOLER_QUIET = Peer(
    *("task-spooler -n", TSP_MAX, 8, "none", "none", "none"),
    lambda: install.apt("task-spooler"),
    _spooler_quiet,
)
NQ = Peer(
    *("nq", 400, 4, "each its own process", "none", "a file"),
    lambda: install.apt("nq"),
    _nq,
)
BEANSTALKD = Peer(
    *("beanstalkd", 4000, 8, "none", "none", "none"),
    lambda: install.apt("beanstalkd"),
    _beanstalkd,
)
BEANSTALKD_DURABLE = Peer(
    *("beanstalkd -b -f0", 4000, 8, "all", "all", "none"),
    lambda: install.apt("beanstalkd"),
    _beanstalkd_durable,
)
HUEY = Peer(
    *("Huey, SQLite FULL", 2000, 8, "waiting", "waiting", "none"),
    lambda: install.pip("huey", "huey"),
    _huey,
)
RQ = Peer(*("RQ", 800, 4, "none", "none", "none"), lambda: _with_redis("rq", "rq"), _rq)
RQ_DURABLE = Peer(
    *("RQ, appendfsync always", 400, 4, "waiting", "waiting", "none"),
    lambda: _with_redis("rq", "rq"),
    _rq_durable,
)
CELERY = Peer(
    *("Celery, Redis", 1500, 4, "none", "none", "none"),
    lambda: _with_redis("celery", "celery[redis]"),
    _celery,
)
PROCRASTINATE = Peer(
    *("Procrastinate", 400, 4, "waiting", "waiting", "none"),
    _with_postgres,
    _procrastinate,
)

DRAINED = (
    QUEUECTL,
    BEANSTALKD_DURABLE,
    HUEY,
    PROCRASTINATE,
    RQ_DURABLE,
    BEANSTALKD,
    XARGS,
    NQ,
    SPOOLER_QUIET,
    SPOOLER,
    CELERY,
    RQ,
    PARALLEL,
)
ENQUEUED = (
    QUEUECTL,
    BEANSTALKD_DURABLE,
    HUEY,
    RQ_DURABLE,
    PROCRASTINATE,
    SPOOLER_QUIET,
)
STARTED = (BARE, QUEUECTL, BEANSTALKD_DURABLE, BEANSTALKD, SPOOLER, RQ_DURABLE, HUEY)
