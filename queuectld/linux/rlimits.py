"""Resource limits: by name, and those of this process that jobs must not inherit."""

import resource


def number(name: str) -> int:
    """Return which resource a name of prlimit(1) stands for: ``nofile``, ``as``."""
    found: int = getattr(resource, f"RLIMIT_{name.upper()}")
    return found


def raise_descriptors() -> int:
    """Allow this process as many descriptors as it can have; return the old limit.

    The usual soft limit, 1,024, is for programs that use select(2), which jobs may be:
    workers go back to it before they run any.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def lower_descriptors(soft: int) -> None:
    """Go back to a soft limit, as far as there is room under the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and not 0 <= soft <= hard:
        soft = hard  # which somebody has lowered meanwhile
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
