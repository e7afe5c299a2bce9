"""Every method once: its name, its parameters from typed arguments, its typed result.

No I/O. The two clients carry out what is described here, and add nothing. What the
arguments mean is said at the methods of ``Client``.
"""

from __future__ import annotations

# ruff: noqa: D103 - said once, at the methods of Client
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from queuectl.errors import ProtocolViolationError, WaitTimeoutError
from queuectl.submission import Seconds, seconds, to_wire
from queuectl_protocol.limits import MAX_LOG_CHUNK, MAX_PAGE
from queuectl_protocol.vocabulary import JobState

if TYPE_CHECKING:
    from queuectl.models import (
        Attempt,
        Backup,
        Changed,
        Check,
        DaemonStatus,
        FollowEvent,
        Health,
        Job,
        JobBrief,
        Position,
        Scaled,
        Setting,
        Stats,
        Status,
        Stopped,
        Worker,
    )

T = TypeVar("T")
E = TypeVar("E")

IfExists = Literal["error", "return"]
StreamName = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and how to read its reply."""

    method: str
    params: dict[str, Any]
    parse: Callable[[Any], T]

    def read(self, result: Any) -> T:
        """Return the typed form of a reply's result.

        Raises:
            ProtocolViolationError: it is not what PROTOCOL.md says.
        """
        try:
            return self.parse(result)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolViolationError(
                f"the reply to {self.method} cannot be read: {error!r}"
            ) from error


@dataclass(frozen=True, slots=True)
class StreamCall(Call[T], Generic[E, T]):
    """A request that events answer; ``event`` returns None for one to be skipped."""

    event: Callable[[Mapping[str, Any]], E | None]


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """Some of many items, and the call that brings those that follow."""

    items: tuple[T, ...]
    following: Call[Part[T]] | None


def ping() -> Call[None]:
    return Call("ping", {}, _nothing)


def limits() -> Call[dict[str, int]]:
    return Call("greet", {}, lambda result: dict(result["limits"]))


def describe() -> Call[dict[str, Any]]:
    return Call("describe", {}, dict)


def enqueue(
    job: Mapping[str, Any],
    inherited: Mapping[str, Any],
    if_exists: IfExists,
) -> Call[Job]:
    fields = {**inherited, **to_wire(job, inherited)}
    return Call("enqueue", {"job": fields, "if_exists": if_exists}, _as("Job", "job"))


def get(job_id: str, *, env: bool) -> Call[Job]:
    return Call("get", {"id": job_id, "env": env}, _as("Job", "job"))


def attempts(job_id: str, before: int | None = None) -> Call[Part[Attempt]]:
    """Return the last attempts, oldest first; the part that follows is earlier."""

    def parse(result: Any) -> Part[Attempt]:
        earlier = result.get("attempts_next")
        return Part(
            _each("Attempt", "attempts")(result),
            None if earlier is None else attempts(job_id, earlier),
        )

    return Call("get", _given(id=job_id, attempts_before=before), parse)


def list_jobs(
    states: str | Iterable[str] | None, limit: int | None, before: int | None = None
) -> Call[Part[Job]]:
    """Return jobs, newest first; the part that follows is older."""
    chosen = _chosen(states)

    def parse(result: Any) -> Part[Job]:
        jobs = _each("Job", "jobs")(result)
        left = None if limit is None else limit - len(jobs)
        more = result["next"] is not None and (left is None or left > 0)
        return Part(jobs, list_jobs(chosen, left, result["next"]) if more else None)

    page = MAX_PAGE if limit is None else min(limit, MAX_PAGE)
    # One state has a parameter of its own, which daemons know that know no list.
    one = chosen[0] if chosen is not None and len(chosen) == 1 else None
    which = {"states": chosen} if one is None else {"state": one}
    return Call("list", _given(**which, limit=page, before=before), parse)


def _chosen(states: str | Iterable[str] | None) -> list[str] | None:
    """Return what was written as one state or as several; without any: None is all."""
    if states is None or isinstance(states, str):
        return None if states is None else [str(states)]
    return [str(state) for state in states]


def cancel(job_id: str, if_state: str | None, *, wait: bool) -> Call[Job]:
    return Call(
        "cancel", _given(id=job_id, if_state=if_state, wait=wait), _as("Job", "job")
    )


def retry(job_id: str, if_state: str | None) -> Call[Job]:
    return Call("retry", _given(id=job_id, if_state=if_state), _as("Job", "job"))


def start(job_id: str, if_state: str | None) -> Call[Job]:
    return Call("start", _given(id=job_id, if_state=if_state), _as("Job", "job"))


def delete(job_id: str, if_state: str | None) -> Call[JobBrief]:
    return Call("delete", _given(id=job_id, if_state=if_state), _as("JobBrief", "job"))


def cancel_many(
    job_ids: Sequence[str], if_state: str | None, *, wait: bool
) -> Call[tuple[Changed, ...]]:
    return _many("cancel_many", job_ids, if_state, wait=wait)


def retry_many(
    job_ids: Sequence[str], if_state: str | None
) -> Call[tuple[Changed, ...]]:
    return _many("retry_many", job_ids, if_state)


def start_many(
    job_ids: Sequence[str], if_state: str | None
) -> Call[tuple[Changed, ...]]:
    return _many("start_many", job_ids, if_state)


def delete_many(
    job_ids: Sequence[str], if_state: str | None
) -> Call[tuple[Changed, ...]]:
    return _many("delete_many", job_ids, if_state)


def _many(
    method: str, job_ids: Sequence[str], if_state: str | None, **params: Any
) -> Call[tuple[Changed, ...]]:
    given = _given(ids=list(job_ids), if_state=if_state, **params)
    return Call(method, given, _each("Changed", "results"))


def retry_all(state: str, foreground: bool | None) -> Call[int]:
    params = _given(state=state, foreground=foreground)
    return Call("retry_all", params, _count("retried"))


def position(job_id: str) -> Call[Position]:
    return Call("position", {"id": job_id}, _as("Position"))


def wait(job_id: str, timeout: Seconds | None) -> Call[Job]:
    def parse(result: Any) -> Job:
        if result["timed_out"]:
            raise WaitTimeoutError(
                f"job {job_id} is still {result['job']['state']}",
                data={"id": job_id, "state": result["job"]["state"]},
            )
        job: Job = _as("Job", "job")(result)
        return job

    return Call("wait", _given(id=job_id, timeout=_seconds(timeout)), parse)


def prune(states: Iterable[str] | None, older_than: Seconds) -> Call[int]:
    chosen = None if states is None else [str(state) for state in states]
    return Call(
        "prune",
        _given(states=chosen, older_than=seconds(older_than)),
        _count("pruned"),
    )


def logs(
    job_id: str, stream: StreamName, run: int | None, tail: int | None
) -> Call[Part[bytes]]:
    return _log_part({"id": job_id, "stream": stream}, run, _given(tail=tail))


def _log_part(
    what: Mapping[str, Any], run: int | None, where: Mapping[str, Any]
) -> Call[Part[bytes]]:
    def parse(result: Any) -> Part[bytes]:
        data, following = result["data"], result["next"]
        # A run that is going on ends here too: what it writes from now on is follow's.
        more = bool(data) and following < result["size"]
        rest = _log_part(what, result["run"], {"offset": following})
        return Part((data,) if data else (), rest if more else None)

    params = {**what, **_given(run=run), **where, "limit": MAX_LOG_CHUNK}
    return Call("logs.read", params, parse)


def follow(
    job_id: str,
    run: int | None,
    tail: int | None,
    streams: Iterable[StreamName] | None,
) -> StreamCall[FollowEvent, Job]:
    chosen = None if streams is None else list(streams)
    return StreamCall(
        "logs.follow",
        _given(id=job_id, run=run, tail=tail, streams=chosen),
        _as("Job", "job"),
        event=_follow_event,
    )


def status() -> Call[Status]:
    return Call("status", {}, _as("Status"))


def health() -> Call[Health]:
    return Call("health", {}, _as("Health"))


def stats(since: Seconds | None) -> Call[Stats]:
    return Call(
        "stats",
        _given(since=_seconds(since)),
        _as("Stats"),
    )


def settings() -> Call[tuple[Setting, ...]]:
    return Call("config.list", {}, _each("Setting", "settings"))


def setting(key: str) -> Call[Setting]:
    return Call("config.get", {"key": key}, _as("Setting"))


def set_setting(key: str, value: float | str) -> Call[Setting]:
    return Call("config.set", {"key": key, "value": value}, _as("Setting"))


def unset_setting(key: str) -> Call[Setting]:
    return Call("config.unset", {"key": key}, _as("Setting"))


def workers() -> Call[tuple[Worker, ...]]:
    return Call("workers.list", {}, _each("Worker", "workers"))


def start_workers(count: int, *, bound: bool) -> Call[tuple[Worker, ...]]:
    return Call(
        "workers.start", {"count": count, "bound": bound}, _each("Worker", "workers")
    )


def ensure_workers(count: int) -> Call[int]:
    return Call("workers.ensure", {"count": count}, _count("workers"))


def reserve_worker(job_id: str) -> Call[bool]:
    return Call("workers.reserve", {"id": job_id}, lambda result: result["reserved"])


def wait_for_workers() -> Call[None]:
    return Call("workers.wait", {}, _nothing)


def scale_workers(count: int, timeout: Seconds | None, *, now: bool) -> Call[Scaled]:
    return Call(
        "workers.scale",
        _given(count=count, timeout=_seconds(timeout), now=now),
        _as("Scaled"),
    )


def stop_workers(
    timeout: Seconds | None,
    numbers: Iterable[int] | None,
    count: int | None = None,
    *,
    now: bool,
) -> Call[Stopped]:
    chosen = None if numbers is None else list(numbers)
    return Call(
        "workers.stop",
        _given(timeout=_seconds(timeout), now=now, workers=chosen, count=count),
        _as("Stopped"),
    )


def daemon_status() -> Call[DaemonStatus]:
    return Call("daemon.status", {}, _as("DaemonStatus"))


def stop_daemon(*, now: bool) -> Call[None]:
    return Call("daemon.stop", {"now": now}, _nothing)


def restart_daemon() -> Call[None]:
    return Call("daemon.restart", {}, _nothing)


def doctor(*, deep: bool) -> Call[tuple[Check, ...]]:
    return Call("doctor", {"deep": True} if deep else {}, _each("Check", "checks"))


def backup(path: str, *, replace: bool) -> Call[Backup]:
    return Call("backup", {"path": path, "replace": replace}, _as("Backup"))


DEAD = JobState.DEAD
"""The state of what is in the dead letter queue."""


def _follow_event(body: Mapping[str, Any]) -> FollowEvent | None:
    event: FollowEvent | None = _model("follow_event")(body)
    return event


def _given(**params: Any) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _seconds(value: Seconds | None) -> float | None:
    return None if value is None else seconds(value)


def _nothing(_result: Any) -> None:
    return None


def _count(key: str) -> Callable[[Any], int]:
    return lambda result: int(result[key])


def _as(model: str, key: str | None = None) -> Callable[[Any], Any]:
    """Return what reads a result, or what it has under ``key``, as a model."""

    def parse(result: Any) -> Any:
        return _model(model).from_wire(result if key is None else result[key])

    return parse


def _each(model: str, key: str) -> Callable[[Any], tuple[Any, ...]]:
    def parse(result: Any) -> tuple[Any, ...]:
        kind = _model(model)
        return tuple(kind.from_wire(wire) for wire in result[key])

    return parse


def _model(name: str) -> Any:
    # They take 7 ms to import, and raw calls have no use for them.
    from queuectl import models  # noqa: PLC0415

    return getattr(models, name)
