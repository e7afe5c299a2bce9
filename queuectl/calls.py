"""Every method once: its name, its parameters from typed arguments, its typed result.

No I/O. The two clients carry out what is described here, and add nothing. What the
arguments mean is said at the methods of ``Client``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from queuectl.errors import ProtocolViolationError, WaitTimeoutError
from queuectl.submission import Seconds, seconds, to_wire
from queuectl_protocol.limits import MAX_LOG_CHUNK, MAX_PAGE
from queuectl_protocol.vocabulary import JobState

if TYPE_CHECKING:
    from queuectl.models import (
        Attempt,
        Check,
        DaemonStatus,
        FollowEvent,
        Job,
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
    """One reply of something that takes several, and the call for what follows."""

    content: T
    following: "Call[Part[T]] | None"


def ping() -> Call[None]:
    return Call("ping", {}, _nothing)


def describe() -> Call[dict[str, Any]]:
    return Call("describe", {}, dict)


def enqueue(
    job: Mapping[str, Any],
    inherited: Mapping[str, Any],
    if_exists: IfExists,
) -> Call["Job"]:
    fields = {**inherited, **to_wire(job, inherited)}
    return Call("enqueue", {"job": fields, "if_exists": if_exists}, _job)


def get(job_id: str, *, env: bool) -> Call["Job"]:
    return Call("get", {"id": job_id, "env": env}, _job)


def attempts(job_id: str) -> Call[tuple["Attempt", ...]]:
    return Call(
        "get",
        {"id": job_id},
        lambda result: _each(_models().Attempt, result["attempts"]),
    )


def list_jobs(
    state: str | None, limit: int | None, before: int | None = None
) -> Call[Part[tuple["Job", ...]]]:
    def parse(result: Any) -> Part[tuple["Job", ...]]:
        jobs = _each(_models().Job, result["jobs"])
        left = None if limit is None else limit - len(jobs)
        more = result["next"] is not None and left != 0
        return Part(jobs, list_jobs(state, left, result["next"]) if more else None)

    page = MAX_PAGE if limit is None else min(limit, MAX_PAGE)
    return Call("list", _given(state=state, limit=page, before=before), parse)


def cancel(job_id: str, if_state: str | None, *, wait: bool) -> Call["Job"]:
    return Call("cancel", _given(id=job_id, if_state=if_state, wait=wait), _job)


def retry(job_id: str, if_state: str | None) -> Call["Job"]:
    return Call("retry", _given(id=job_id, if_state=if_state), _job)


def retry_all(state: str) -> Call[int]:
    return Call("retry_all", {"state": state}, lambda result: int(result["retried"]))


def wait(job_id: str, timeout: Seconds | None) -> Call["Job"]:
    def parse(result: Any) -> "Job":
        if result["timed_out"]:
            raise WaitTimeoutError(
                f"job {job_id} is still {result['job']['state']}",
                data={"id": job_id, "state": result["job"]["state"]},
            )
        return _job(result)

    return Call("wait", _given(id=job_id, timeout=_seconds(timeout)), parse)


def prune(states: Iterable[str] | None, older_than: Seconds) -> Call[int]:
    chosen = None if states is None else [str(state) for state in states]
    return Call(
        "prune",
        _given(states=chosen, older_than=seconds(older_than)),
        lambda result: int(result["pruned"]),
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
        return Part(data, rest if more else None)

    params = {**what, **_given(run=run), **where, "limit": MAX_LOG_CHUNK}
    return Call("logs.read", params, parse)


def follow(
    job_id: str,
    run: int | None,
    tail: int | None,
    streams: Iterable[StreamName] | None,
) -> StreamCall["FollowEvent", "Job"]:
    chosen = None if streams is None else list(streams)
    return StreamCall(
        "logs.follow",
        _given(id=job_id, run=run, tail=tail, streams=chosen),
        _job,
        event=lambda body: _models().follow_event(body),
    )


def status() -> Call["Status"]:
    return Call("status", {}, lambda result: _models().Status.from_wire(result))


def stats(since: Seconds | None) -> Call["Stats"]:
    return Call(
        "stats",
        _given(since=_seconds(since)),
        lambda result: _models().Stats.from_wire(result),
    )


def settings() -> Call[tuple["Setting", ...]]:
    return Call(
        "config.list", {}, lambda result: _each(_models().Setting, result["settings"])
    )


def setting(key: str) -> Call["Setting"]:
    return Call("config.get", {"key": key}, _setting)


def set_setting(key: str, value: float | str) -> Call["Setting"]:
    return Call("config.set", {"key": key, "value": value}, _setting)


def unset_setting(key: str) -> Call["Setting"]:
    return Call("config.unset", {"key": key}, _setting)


def workers() -> Call[tuple["Worker", ...]]:
    return Call("workers.list", {}, _workers)


def start_workers(count: int, *, bound: bool) -> Call[tuple["Worker", ...]]:
    return Call("workers.start", {"count": count, "bound": bound}, _workers)


def ensure_workers(count: int) -> Call[int]:
    return Call(
        "workers.ensure", {"count": count}, lambda result: int(result["workers"])
    )


def stop_workers(
    timeout: Seconds | None, numbers: Iterable[int] | None, *, now: bool
) -> Call["Stopped"]:
    chosen = None if numbers is None else list(numbers)
    return Call(
        "workers.stop",
        _given(timeout=_seconds(timeout), now=now, workers=chosen),
        lambda result: _models().Stopped.from_wire(result),
    )


def daemon_status() -> Call["DaemonStatus"]:
    return Call(
        "daemon.status", {}, lambda result: _models().DaemonStatus.from_wire(result)
    )


def stop_daemon(*, now: bool) -> Call[None]:
    return Call("daemon.stop", {"now": now}, _nothing)


def restart_daemon() -> Call[None]:
    return Call("daemon.restart", {}, _nothing)


def doctor() -> Call[tuple["Check", ...]]:
    return Call("doctor", {}, lambda result: _each(_models().Check, result["checks"]))


DEAD = JobState.DEAD
"""The state of what is in the dead letter queue."""


def _models() -> ModuleType:
    """Return the models, which take 9 ms to import and are of no use to raw calls."""
    from queuectl import models  # noqa: PLC0415 - see above

    return models


def _given(**params: Any) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _seconds(value: Seconds | None) -> float | None:
    return None if value is None else seconds(value)


def _each(model: Any, wires: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
    return tuple(model.from_wire(wire) for wire in wires)


def _nothing(_result: Any) -> None:
    return None


def _job(result: Any) -> "Job":
    job: Job = _models().Job.from_wire(result["job"])
    return job


def _setting(result: Any) -> "Setting":
    setting: Setting = _models().Setting.from_wire(result)
    return setting


def _workers(result: Any) -> tuple["Worker", ...]:
    return _each(_models().Worker, result["workers"])
