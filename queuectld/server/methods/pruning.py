"""The method that deletes finished jobs."""

from collections.abc import Sequence
from dataclasses import dataclass

from queuectl_protocol.vocabulary import FINAL_STATES, JobState, Role
from queuectld.control.pruning import RETENTION_STATES, Pruner
from queuectld.server.call import Call
from queuectld.server.schema import params
from queuectld.server.schema.method import WRITE_ERRORS, Method, Result


@dataclass(frozen=True, slots=True)
class PruneMethods:
    """Deletes finished jobs on request."""

    pruner: Pruner

    async def prune(
        self, _call: Call, *, states: Sequence[JobState], older_than: float
    ) -> Result:
        """Delete finished jobs and their output."""
        return {"pruned": await self.pruner.prune(states, older_than)}


METHODS = (
    Method(
        name="prune",
        doc="Forget finished jobs, with their attempts and output. Ids that users gave "
        "are free again.",
        handler=PruneMethods.prune,
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
        errors=WRITE_ERRORS,
    ),
)
