"""The limits of the wire, by name, so that a client need not find them by failing.

``describe`` and ``greet`` tell the values in force, and PROTOCOL.md their defaults.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from queuectl_protocol import limits
from queuectl_protocol.messages import MAX_REQUEST_ID
from queuectld.config import DaemonConfig
from queuectld.control.desired import MAX_WORKERS
from queuectld.core.settings import Settings
from queuectld.operations import lookups
from queuectld.server.output import reader

CONTAINERS_OF_A_JOB = 10
"""Lists and maps that a message may hold for each job of the largest batch. A job has
three at most; a batch that is too large is still parsed, and refused as such."""

MAX_TAIL = 1_000_000
"""Lines."""

Value = Callable[[DaemonConfig, Settings], int]


def containers(config: DaemonConfig) -> int:
    """Return how many lists and maps a large message may hold."""
    return CONTAINERS_OF_A_JOB * config.max_batch


def buffered(config: DaemonConfig) -> int:
    """Return the bytes that all connections together may hold.

    At least what each connection may have: one frame, and as much unread.
    """
    return max(config.max_buffered, 2 * config.max_frame)


def _fixed(value: int) -> Value:
    return lambda _config, _settings: value


LIMITS: Mapping[str, Value] = MappingProxyType(
    {
        "max_frame": lambda config, _: config.max_frame,
        "max_connections": lambda config, _: config.max_connections,
        "max_inflight": lambda config, _: config.max_inflight,
        "max_buffered": lambda config, _: buffered(config),
        "max_containers": lambda config, _: containers(config),
        "max_depth": _fixed(limits.MAX_DEPTH),
        "max_request_id": _fixed(MAX_REQUEST_ID),
        "max_queued": lambda _, settings: settings.max_queued,
        "max_batch": lambda config, _: config.max_batch,
        "max_batch_text": _fixed(limits.MAX_BATCH_TEXT),
        "max_changes": _fixed(limits.MAX_CHANGES),
        "max_page": lambda config, _: config.max_page,
        "max_attempts": _fixed(lookups.ATTEMPTS_SHOWN),
        "max_id": _fixed(limits.MAX_ID),
        "max_word": _fixed(limits.MAX_COMMAND),
        "max_words": _fixed(limits.MAX_ARGV),
        "max_path": _fixed(limits.MAX_PATH),
        "max_variable": _fixed(limits.MAX_COMMAND),
        "max_env": _fixed(limits.MAX_ENV),
        "max_label": _fixed(limits.MAX_LABEL),
        "max_log_chunk": _fixed(limits.MAX_LOG_CHUNK),
        "max_tail": _fixed(MAX_TAIL),
        "max_tail_bytes": _fixed(reader.TAIL_MAX),
        "max_workers": _fixed(MAX_WORKERS),
    }
)


def in_force(config: DaemonConfig, settings: Settings) -> dict[str, int]:
    """Return the values of all limits."""
    return {name: value(config, settings) for name, value in LIMITS.items()}
