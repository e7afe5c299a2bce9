"""The output of jobs: what they have written, and what they write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from queuectl.calls.call import (
    Call,
    Part,
    StreamCall,
    as_model,
    given,
    model_named,
    waits,
)
from queuectl_protocol.limits import MAX_LOG_CHUNK

if TYPE_CHECKING:
    from queuectl.models import FollowEvent, Job

StreamName = Literal["stdout", "stderr"]


def logs(
    job_id: str,
    stream: StreamName = "stdout",
    *,
    run: int | None = None,
    tail: int | None = None,
) -> Call[Part[bytes]]:
    """Yield the output that a run of a job has written so far, in pieces up to 1 MiB.

    Args:
        job_id: the job's id.
        stream: which of the two streams.
        run: the number of the run; None: the last one.
        tail: only so many lines, the last ones.
    """
    return _piece({"id": job_id, "stream": stream}, run, given(tail=tail))


def _piece(
    what: Mapping[str, Any], run: int | None, where: Mapping[str, Any]
) -> Call[Part[bytes]]:
    def parse(result: Any) -> Part[bytes]:
        data, following = result["data"], result["next"]
        # The size at the time of the request is the end, also while the run goes on:
        # what the job writes later is for ``follow``.
        more = bool(data) and following < result["size"]
        rest = _piece(what, result["run"], {"offset": following})
        return Part((data,) if data else (), rest if more else None)

    params = {**what, **given(run=run), **where, "limit": MAX_LOG_CHUNK}
    return Call("logs.read", params, parse)


@waits("logs.follow")
def follow(
    job_id: str,
    *,
    run: int | None = None,
    tail: int | None = None,
    streams: Iterable[StreamName] | None = None,
) -> StreamCall[FollowEvent, Job]:
    """Yield the output of a job as it comes, until the job is final.

    The stream's ``result`` is then the job. It goes on across retries:
    ``AttemptStarted`` tells where a run begins, ``Output`` holds a piece of output, and
    ``OutputGone`` says that a run wrote more than the daemon still has. With ``run`` it
    ends when that run ends.

    Args:
        job_id: the job's id.
        run: the number of the only run to follow.
        tail: only so many lines of the output that exists already.
        streams: which of stdout and stderr; None: both.
    """
    chosen = None if streams is None else list(streams)
    params = given(id=job_id, run=run, tail=tail, streams=chosen)
    return StreamCall("logs.follow", params, as_model("Job", "job"), event=_event)


def _event(body: Mapping[str, Any]) -> FollowEvent | None:
    event: FollowEvent | None = model_named("follow_event")(body)
    return event
