"""What can be chosen for a run of the benchmarks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured.

    Attributes:
        rounds: how often each thing is measured; figures and floors take turns.
        scale: shares of the full amounts (jobs, seconds): 1 is the real benchmark.
        sizes: how many jobs are in the store, for the flat-growth benchmark.
    """

    rounds: int = 5
    scale: float = 1.0
    sizes: tuple[int, ...] = (100, 10_000, 1_000_000, 5_000_000)

    def jobs(self, full: int) -> int:
        """Return how many jobs, instead of ``full``, this run can afford."""
        return max(1, round(full * self.scale))
