"""The method that forgets finished jobs."""

from collections.abc import Sequence

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import FINAL_STATES, JobState, Role
from queuectld.control.pruning import RETENTION_STATES
from queuectld.server import params
from queuectld.server.call import Call
from queuectld.server.method import Method, Result


async def prune(call: Call, *, states: Sequence[JobState], older_than: float) -> Result:
    """Forget finished jobs and their output."""
    return {"pruned": await call.context.pruner.prune(states, older_than)}


METHODS = (
    Method(
        name="prune",
        doc="Forget finished jobs, with their attempts and output. Ids that users gave "
        "are free again.",
        handler=prune,
        role=Role.OPERATE,
        changes=(),
        audit=("states", "older_than"),
        params=(
            params.choices(
                "states",
                "of jobs to forget",
                [state for state in JobState if state in FINAL_STATES],
                default=RETENTION_STATES,
            ),
            params.seconds("older_than", "since their end", default=0),
        ),
        result="{pruned: int}",
        errors=(ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_ERROR),
    ),
)
