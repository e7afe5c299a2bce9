"""The greeting: what the daemon tells each client of itself."""

import os
from typing import Any

from queuectl_protocol import __version__
from queuectld.config import DaemonConfig
from queuectld.server.call import Peer

API = 1
"""The version of the protocol, and the oldest version that is still spoken."""

FEATURES = ("bin",)
"""What this daemon can do beyond version ``API``. bin: strings of Unix may be sent as
bin, and ``greet`` asks for them."""


def greeting(peer: Peer, config: DaemonConfig, instance: str) -> dict[str, Any]:
    """Return the greeting for one client.

    Args:
        peer: the client.
        config: in force.
        instance: random, new at each start: the same word means the same process.
    """
    return {
        "server": "queuectld",
        "version": __version__,
        "api": API,
        "min_api": API,
        "instance": instance,
        "max_frame": config.max_frame,
        "features": [*FEATURES],
        "uid": peer.uid if config.as_submitter else os.geteuid(),
        "you": {"uid": peer.uid, "role": peer.role},
    }
