"""The three measurements, each the same for every peer."""

import time

from benchmarks.peers.processes import pause
from benchmarks.peers.session import Peer, Session, session
from benchmarks.peers.signals import Bell

NO_OP = "true"

IDLE = 0.02
"""Seconds between two jobs of the latency measurement."""


def drain_rate(peer: Peer, jobs: int, workers: int) -> float:
    """Return jobs a second of a full queue.

    Each worker is held by a job of its own while the queue is filled, so that no start
    of a process is counted; and each has to come to a second one, behind all others.
    """
    jobs -= jobs % workers
    with session(peer, workers) as running:
        first, last = running.barrier("first"), running.barrier("last")
        running.client.enqueue(first.command, workers)
        running.client.enqueue(NO_OP, jobs)
        running.client.enqueue(last.command, workers)
        first.await_held(workers)
        begun = time.monotonic()
        first.open(workers)
        last.await_held(workers)
        seconds = time.monotonic() - begun
        last.open(workers)
    return jobs / seconds


def enqueue_rate(peer: Peer, jobs: int) -> float:
    """Return acknowledged jobs a second of one client, while the one worker is held."""
    with session(peer, 1) as running:
        first = running.barrier("first")
        running.client.enqueue(first.command)
        first.await_held(1)
        rate = jobs / running.client.enqueue(NO_OP, jobs)
        first.open(1)
    return rate


def start_ms(peer: Peer, jobs: int) -> list[float]:
    """Return the milliseconds from before the enqueueing to the job's first act.

    One job at a time, on an idle machine, with one worker.
    """
    with session(peer, 1) as running:
        started = running.bell("started")
        _start(running, started)  # the first one waits for the worker to come up
        found = []
        for _ in range(jobs):
            pause(IDLE)
            found.append(_start(running, started))
    return found


def _start(running: Session, started: Bell) -> float:
    running.client.ask(started.command)
    started.hear()
    heard = time.monotonic()
    begun, _ = running.client.answer()
    return (heard - begun) * 1000
