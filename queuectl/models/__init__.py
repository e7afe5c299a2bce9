"""What the daemon sends, as typed values. Each is built from its map on the wire.

Keys that this version does not know are ignored, and words that it does not know (a new
state, a new reason) stay strings, so that it can read what a newer daemon sends.
Points in time are aware datetimes in UTC, durations are seconds, sizes are bytes.
"""

from queuectl.models.daemon import Backup, Check, DaemonStatus, Enforced, Setting
from queuectl.models.follow import (
    AttemptStarted,
    FollowEvent,
    Output,
    OutputGone,
    follow_event,
)
from queuectl.models.job import Attempt, Changed, Job, JobBrief, Position
from queuectl.models.statistics import Health, Spread, Stats, Status, StoreHealth
from queuectl.models.worker import Scaled, Stopped, Worker, WorkerCounts

__all__ = [
    "Attempt",
    "AttemptStarted",
    "Backup",
    "Changed",
    "Check",
    "DaemonStatus",
    "Enforced",
    "FollowEvent",
    "Health",
    "Job",
    "JobBrief",
    "Output",
    "OutputGone",
    "Position",
    "Scaled",
    "Setting",
    "Spread",
    "Stats",
    "Status",
    "Stopped",
    "StoreHealth",
    "Worker",
    "WorkerCounts",
    "follow_event",
]
