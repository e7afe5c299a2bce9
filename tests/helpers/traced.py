"""What programs did to files and said to others, read from strace's record of it.

Knows system calls and nothing of queues. A write counts from the moment it was begun,
a sync only when it had returned, a message from the moment it was handed over: each
the way round that promises least.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

WRITES = ("pwrite64", "write")
NAMES = ("openat", "rename", "unlink", "mkdir", "rmdir", "link")
SYNCS = ("fsync", "fdatasync")
SENDS = ("sendto", "sendmsg")
CALLS = (*WRITES, *NAMES, *SYNCS, *SENDS, "ftruncate")

FORBIDDEN = (
    "pwritev", "pwritev2", "writev", "sync_file_range", "truncate", "fallocate",
    "renameat", "renameat2", "unlinkat", "mkdirat", "linkat", "copy_file_range",
    "sendfile", "splice", "sendmmsg",
)  # fmt: skip
"""Calls that would change files or promise things behind this module's back."""

LONGEST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Created:
    """A name that was not there is there: of a file, or of a directory."""

    path: str
    directory: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes of a file; at its end when ``offset`` is None."""

    path: str
    offset: int | None
    data: bytes


@dataclass(frozen=True, slots=True)
class Resized:
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    """What was written to the file, or happened to names in the directory, stays."""

    path: str


@dataclass(frozen=True, slots=True)
class Renamed:
    path: str
    to: str


@dataclass(frozen=True, slots=True)
class Removed:
    path: str


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes that left through one end of a socket."""

    channel: str
    data: bytes


Event = Created | Written | Resized | Synced | Renamed | Removed | Sent


def available() -> bool:
    """Whether strace is there and may trace."""
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"],
        check=False,
        capture_output=True,
    )
    return tried.returncode == 0


def command(record: Path, program: Sequence[str]) -> list[str]:
    """Return the command line that runs a program and writes down what it does."""
    # A question mark: some machines do not have that call.
    calls = ",".join(f"?{call}" for call in (*CALLS, *FORBIDDEN))
    what = ["-e", f"trace={calls}", "-e", "signal=none", "-o", str(record)]
    how = ["-f", "--seccomp-bpf", "-y", "-xx", "-s", str(LONGEST)]
    return ["strace", *how, *what, *program]


def read(record: Path, root: str) -> list[Event]:
    """Return what happened below a directory, and all messages, in order."""
    events = [
        (line, event) for call in _calls(record) for line, event in _events(call, root)
    ]
    return [event for _, event in sorted(events, key=lambda entry: entry[0])]


# -- lines --------------------------------------------------------------------------


@dataclass(slots=True)
class _Call:
    """One system call; ``result`` is None when its caller was killed in it.

    strace shows that in three ways: a call that is never resumed, one whose result is a
    question mark, and one that it was detached from. When the kill came before the call
    was let through, its number may be gone as well: such a call has not been made.
    """

    name: str
    text: str
    begun: int
    ended: int
    result: int | None


_LINE = re.compile(r"(\d+) +(.*)", re.DOTALL)
_BEGUN = re.compile(r"(\w+)\((.*?)( <unfinished \.\.\.>)?$", re.DOTALL)
_NEVER_MADE = re.compile(r"\?+\(|syscall_0xf+\(")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
_DETACHED = " <detached ...>"
_RESULT = re.compile(r"^(.*)\) += (-?\d+|\?)", re.DOTALL)


def _calls(record: Path) -> Iterator[_Call]:
    open_calls: dict[str, _Call] = {}
    with record.open(encoding="ascii") as lines:
        for number, line in enumerate(lines):
            match = _LINE.match(line.rstrip("\n"))
            assert match, line[:200]
            pid, text = match.groups()
            if _NEVER_MADE.match(text):
                continue
            if resumed := _RESUMED.match(text):
                call = open_calls.pop(pid)
                call.text += resumed[2]
            elif begun := _BEGUN.match(text):
                call = _Call(begun[1], begun[2], number, number, None)
                if begun[3]:
                    open_calls[pid] = call
                    continue
            else:
                continue  # +++ exited with 0 +++
            _end(call, number)
            yield call
    yield from open_calls.values()


def _end(call: _Call, line: int) -> None:
    call.ended = line
    if call.text.endswith(_DETACHED):
        call.text = call.text.removesuffix(_DETACHED)
        return
    result = _RESULT.match(call.text)
    assert result, (call.name, call.text[-200:])
    call.text = result[1]
    call.result = None if result[2] == "?" else int(result[2])


# -- meaning ------------------------------------------------------------------------

_FD = re.compile(r"\d+<((?:\\x..)*)>")
_STRING = re.compile(r'"((?:\\x..)*)"')
_IOV = re.compile(r'iov_base="((?:\\x..)*)"')


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _events(call: _Call, root: str) -> Iterator[tuple[int, Event]]:
    failed = call.result is not None and call.result < 0
    if failed or (call.result is None and call.name not in WRITES):
        return
    if call.name in SENDS:
        yield call.begun, _sent(call)
        return
    for event in _file_events(call):
        if event.path == root or event.path.startswith(f"{root}/"):
            assert call.name not in FORBIDDEN, call.name
            at = call.ended if isinstance(event, Synced) else call.begun
            yield at, event


def _sent(call: _Call) -> Sent:
    fd = _FD.match(call.text)
    assert fd, call.text[:200]
    found = (_STRING if call.name == "sendto" else _IOV).findall(call.text)
    data = b"".join(map(_bytes, found[:1] if call.name == "sendto" else found))
    assert call.result is not None
    return Sent(_bytes(fd[1]).decode(), data[: call.result])


def _file_events(
    call: _Call,
) -> Iterator[Created | Written | Resized | Synced | Renamed | Removed]:
    fd = _FD.match(call.text)
    path = _bytes(fd[1]).decode() if fd else ""
    strings = [_bytes(text) for text in _STRING.findall(call.text)]
    last = call.text.rpartition(", ")[2]
    match call.name:
        case "pwrite64" | "write":
            offset = int(last) if call.name == "pwrite64" else None
            yield Written(path, offset, strings[0][: call.result])
        case "ftruncate":
            yield Resized(path, int(last))
        case "fsync" | "fdatasync":
            yield Synced(path)
        case "openat":
            path = strings[0].decode()
            if "O_CREAT" in call.text:
                yield Created(path)
            if "O_TRUNC" in call.text:
                yield Resized(path, 0)
        case "rename":
            yield Renamed(strings[0].decode(), strings[1].decode())
        case "unlink" | "rmdir":
            yield Removed(strings[0].decode())
        case "mkdir":
            yield Created(strings[0].decode(), directory=True)
        case _:
            yield Removed(strings[-1].decode() if strings else path)
