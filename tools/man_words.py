"""What manual pages say that no help and no table says. Markdown, as in docs."""

CONVENTIONS = """\
Data goes to stdout and notes for people to stderr. Where a command has `--json`, that
is for programs: it is one JSON document.

Durations are written `90`, `90s`, `5m`, `2h` or `1d`, and sizes `64k`, `10M` or `1GiB`.
Every command has `--help`. Options of queuectl itself go before the command.
"""

SETTINGS_HEAD = """\
What `queuectl config` lists and sets is kept with the queue. A change touches either
new jobs or all of them.
"""

JOB_VARIABLES = {
    "QUEUECTL_JOB_ID": "in the environment of a job: its id",
    "QUEUECTL_ATTEMPT": "in the environment of a job: the number of this run, from 1",
}

EXAMPLES = """\
Two workers, a job, and what it wrote:

    queuectl worker start --count 2
    queuectl enqueue --id report -- rsync -a 'my dir' host:/backup
    queuectl wait report
    queuectl logs report

A job that is more urgent than others, may take ten minutes, and is tried three times:

    queuectl enqueue --priority 5 --timeout 10m --max-retries 2 'make test'

A command run as a job, in the foreground, for its exit code:

    queuectl run -- make -j4

Jobs that failed for good, and all of them once more:

    queuectl dlq list
    queuectl dlq retry --all

The queue of the whole machine instead of one's own:

    queuectl --system status
"""

DAEMON = """\
The daemon keeps the jobs in a SQLite database and owns the workers that run them. It
answers `queuectl` and other programs on a Unix socket. One daemon at a time has a state
directory. `queuectl` starts one when it puts something
into a queue and none answers.
"""

SIGNALS = {
    "SIGTERM, SIGINT": "Stop. No new job is begun; running ones have as long as "
    "`shutdown_grace` says, then they are interrupted, and are pending when the daemon "
    "runs again: the attempt does not count. A second one interrupts them at once.",
    "SIGHUP": "Read the file again; see *Reload* in `queuectld.toml(5)`. A file with a "
    "mistake is refused whole, and logged.",
    "SIGUSR1": "End and leave the workers and their jobs running: the next daemon "
    "takes them over and records their results. This is how to restart.",
    "SIGKILL": "As a crash. Running jobs go on, and the next daemon takes them over.",
}

SYSTEMD = """\
`queuectl systemd install` writes the units of a service. The daemon tells systemd when
its socket answers (`Type=notify`), how its jobs and workers are (`systemctl status`),
when it reloads and when it stops. With `WatchdogSec=` it reports that it is alive,
after a round through its database each time. While it waits for running jobs to end it
asks for as much time as that may take, beyond `TimeoutStopSec=`. A socket that systemd
listens on is taken over, so that clients who connect during a restart wait and are not
refused. In the journal a record has its level as priority.

A service needs `KillMode=process`, or a restart kills the running jobs, and
`RestartKillSignal=SIGUSR1`, or it ends them.

    systemctl restart queuectld     running jobs go on
    systemctl stop queuectld        running jobs end, or are pending again
    systemctl reload queuectld      the file is read again
    journalctl -u queuectld -p warning
"""

MANAGER_VARIABLES = {
    "NOTIFY_SOCKET, WATCHDOG_USEC": "set by a service manager: `sd_notify(3)`",
    "LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES": "sockets that a service manager passes: "
    "`sd_listen_fds(3)`",
}

FILE = """\
`queuectld` needs no configuration. It reads this file, in TOML, where there is one in
the state directory; `queuectld --config FILE` names another, which must exist. The
system's service has `/etc/queuectl/queuectld.toml`.

Each option can also be a flag or a variable of the environment:

    queuectld --max-page 500                  a flag
    QUEUECTLD_MAX_PAGE=500 queuectld          a variable
    max_page = 500                            a line of the file

A flag goes before a variable, a variable before the file, the file before the default.
What is about jobs (retries, timeouts, backoff, limits of output, retention) is kept
with the queue and set with `queuectl config set`; no key is in both.
"""

CHECKING = """\
Check a changed file, then have the daemon read it:

    queuectld --config /etc/queuectl/queuectld.toml --check-config
    systemctl reload queuectld
"""
