"""Mistakes in a command line, of every command: found before anything is sent."""

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from queuectl.cli.root import root

ID_MISSING = "Missing argument 'ID...'."

MISTAKES = [
    ("--colour status", "No such option '--colour'."),
    ("status --no-autostart", "--no-autostart goes before the command: queuectl --no-"),
    ("status now", "Got unexpected extra argument"),
    ("status --state dead", "No such option '--state'."),
    ("list --state ready", "Invalid value for '-s' / '--state'"),
    ("list --limit 0", "Invalid value for '-n' / '--limit': 0 is not in the range"),
    ("show", "Missing argument 'ID'."),
    # -- enqueue
    ("enqueue", "there is no command; give it in quotes"),
    ("enqueue -c true false", "give the command by -c or as arguments, not both"),
    ("enqueue -p high true", "Invalid value for '-p' / '--priority'"),
    ("enqueue --max-retries -1 x", "Invalid value for '--max-retries': -1 is not in"),
    ("enqueue --delay soon true", "Invalid value for '--delay': 'soon' is no"),
    ("enqueue --at noon true", "Invalid value for '--at': 'noon' is no time"),
    ("enqueue --delay 1 --at 10:00 true", "give --delay or --at, not both"),
    ("enqueue --if-exists maybe true", "Invalid value for '--if-exists'"),
    ("enqueue -e =x x", "Invalid value for '-e' / '--env': a variable has no name"),
    ("enqueue -e UNSET x", "Invalid value for '-e' / '--env': UNSET is not set"),
    ("enqueue --memory-max big true", "Invalid value for '--memory-max'"),
    ("enqueue --cpu-quota half true", "Invalid value for '--cpu-quota'"),
    ("enqueue --tasks-max -1 true", "Invalid value for '--tasks-max'"),
    ("enqueue --nice low true", "Invalid value for '--nice'"),
    ("enqueue --rlimit files=5 true", "Invalid value for '--rlimit'"),
    ("enqueue --lines true", "--lines goes with --file"),
    ("enqueue --file - true", "--file does not go with a command"),
    ("enqueue --file - --id x", "--file does not go with --id"),
    ("enqueue --file - --wait", "--file does not go with --wait"),
    ("enqueue --file - --json", "--file does not go with --json"),
    ("enqueue --file /no/such", "Invalid value for '-f' / '--file': File '/no/such'"),
    ("enqueue rsync -a x", "No such option '-a'. Options of the job's own program go"),
    ("""enqueue -p 1 '{"command": "x", "priority": 2}'""", "priority: given in the JS"),
    ("""enqueue -e A=1 '{"command": "x", "env": {}}'""", "env: given in the JSON"),
    ("""enqueue --rlimit core=0 '{"command": "x", "rlimits": {}}'""", "rlimits: given"),
    ("enqueue --shell /bin/bash -- echo x", "--shell is for a command that is one"),
    ("run --shell /bin/bash -- echo x", "--shell is for a command that is one line"),
    (
        "run --shell bash true",
        "Invalid value for '--shell': 'bash' is no absolute",
    ),
    # -- run, wait, logs
    ("run", "there is no command"),
    ("run -c true x", "give the command by -c or as arguments"),
    ("run ls -l", "No such option '-l'. Options of the job's own program go after --"),
    ("run --max-retries 1 x", "No such option '--max-retries'"),
    ("wait", ID_MISSING),
    ("wait 7 --timeout long", "Invalid value for '--timeout'"),
    ("logs", "Missing argument 'ID'."),
    ("logs 7 --attempt 0", "Invalid value for '-a' / '--attempt'"),
    ("logs 7 --stream both", "Invalid value for '--stream'"),
    ("logs 7 --tail -1", "Invalid value for '-n' / '--tail'"),
    # -- commands that change jobs
    ("cancel", ID_MISSING),
    ("cancel ''", "Invalid value for 'ID...': an id is not empty"),
    ("retry", ID_MISSING),
    ("start", ID_MISSING),
    ("delete", ID_MISSING),
    ("prune --state pending", "Invalid value for '-s' / '--state'"),
    ("prune --older-than '7 days'", "Invalid value for '--older-than'"),
    ("dlq purge --older-than 1d 7", "give the ids of jobs, or --older-than"),
    ("dlq retry", "give the ids of jobs, or --all"),
    ("dlq retry --all 7", "give the ids of jobs, or --all"),
    ("dlq list --limit 0", "Invalid value for '-n' / '--limit'"),
    ("dlq empty", "There is no command 'empty'."),
    # -- the daemon and its workers
    ("daemon halt", "There is no command 'halt'."),
    ("daemon logs --lines -1", "Invalid value for '-n' / '--lines'"),
    ("daemon start now", "Got unexpected extra argument (now)"),
    ("worker start --count 0", "Invalid value for '-n' / '--count': 0 is not in the r"),
    ("worker start --count 257", "Invalid value for '-n' / '--count': 257 is not in"),
    ("worker start --count two", "Invalid value for '-n' / '--count'"),
    ("worker start 2", "Got unexpected extra argument (2)"),
    ("worker scale -1", "Invalid value for 'N': -1 is not in the range"),
    ("worker stop -12", "Invalid value for '[WORKER]...': -12 is not in the range"),
    ("worker scale --bogus", "No such option"),
    ("worker stop --timeout soon", "Invalid value for '--timeout'"),
    ("worker stop --now --timeout 1", "give --timeout or --now, not both"),
    ("config set max-retries", "Missing argument 'VALUE'."),
    ("backup ''", "FILE is empty"),
    ("backup -", "the daemon writes the copy, so there is no copy to stdout"),
    ("stats --since yesterday", "Invalid value for '--since'"),
    # -- for programs
    ("rpc", "Missing argument 'METHOD'."),
    ("rpc ping [", "the parameters: bad JSON: Expecting value"),
    ("rpc get [1]", "the parameters: bad JSON: not an object"),
    ("completion tcsh", "Invalid value for '{bash|zsh"),
]


@pytest.mark.parametrize(("typed", "message"), MISTAKES)
def test_a_mistake_is_told_with_what_is_meant(
    typed: str, message: str, tmp_path: Path
) -> None:
    """It ends with 2."""
    nobody = {"QUEUECTL_HOME": str(tmp_path), "QUEUECTL_AUTOSTART": "0", "UNSET": None}
    done = CliRunner().invoke(
        root, shlex.split(typed), prog_name="queuectl", env=nobody
    )
    _usage, _, error = done.output.partition("\nError: ")
    assert error.startswith(message), done.output
    assert done.exit_code == 2
