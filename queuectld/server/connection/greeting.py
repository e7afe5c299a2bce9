"""What the daemon says of itself to each client, and how it may be asked to speak."""

import os
from typing import Any

from queuectl_protocol import __version__
from queuectld.server.call import Peer
from queuectld.server.context import Context

API = 1
"""The version of the protocol, and the oldest that is still spoken."""

FEATURES = ("bin",)
"""What this daemon can do beyond version ``API``. bin: strings of Unix may come as
bin, and ``greet`` asks for them."""


def greeting(context: Context, peer: Peer) -> dict[str, Any]:
    """Return the greeting of one connection."""
    config = context.config()
    return {
        "server": "queuectld",
        "version": __version__,
        "api": API,
        "min_api": API,
        "instance": context.instance,
        "max_frame": config.max_frame,
        "features": [*FEATURES],
        "uid": peer.uid if config.as_submitter else os.geteuid(),
        "you": {"uid": peer.uid, "role": peer.role},
    }
