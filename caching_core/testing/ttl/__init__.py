"""The adaptive TTL on simulated updates, beside the best fixed lifetimes in hindsight; needs numpy and the workloads' folder."""

from caching_core.testing.ttl._policy import ModelPolicy
from caching_core.testing.ttl._simulation import Plan, Result, run
from caching_core.testing.ttl._workloads import Workloads, WorkloadsMissing

__all__ = ["ModelPolicy", "Plan", "Result", "Workloads", "WorkloadsMissing", "run"]
