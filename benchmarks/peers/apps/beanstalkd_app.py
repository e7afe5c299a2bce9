"""Beanstalkd: a producer, and a worker of ten lines (run as a program)."""

import socket
import sys
from collections.abc import Callable

from shell import run


def connect(path: str) -> Callable[[str], None]:
    """Return what puts a job and waits until it is INSERTED."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(path)
    replies = server.makefile("rb")

    def enqueue(command: str) -> None:
        body = command.encode()
        server.sendall(b"put 0 0 600 %d\r\n%s\r\n" % (len(body), body))
        reply = replies.readline()
        assert reply.startswith(b"INSERTED"), reply

    return enqueue


def work(path: str) -> None:
    """Run jobs, one at a time, for ever."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(path)
    replies = server.makefile("rb")
    while True:
        server.sendall(b"reserve\r\n")
        _, number, size = replies.readline().split()
        body = replies.read(int(size) + 2)[:-2]
        run(body.decode())
        server.sendall(b"delete %s\r\n" % number)
        assert replies.readline() == b"DELETED\r\n"


if __name__ == "__main__":
    work(sys.argv[1])
