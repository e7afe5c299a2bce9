"""Hypothesis for tests of pure functions on a machine that others use too."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit",
    max_examples=100,
    deadline=None,  # how long it takes says more about the machine than about us
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("unit")
