"""Resource limits: setrlimit(2)."""

import resource


def number(name: str) -> int:
    """Return the number of a resource by its name in prlimit(1): ``nofile``, ``as``."""
    found: int = getattr(resource, f"RLIMIT_{name.upper()}")
    return found


def raise_descriptors() -> int:
    """Raise the soft limit of descriptors to the hard one; return the old soft limit.

    The usual soft limit, 1,024, protects programs that use select(2): a process that
    starts such programs lowers it again for them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def lower_descriptors(soft: int) -> None:
    """Set the soft limit of descriptors, at most to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and not 0 <= soft <= hard:
        soft = hard  # lowered since
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
