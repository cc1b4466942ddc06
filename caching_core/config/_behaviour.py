"""Settings of how the cache behaves: coherence, faults, learning, monitoring, alerts, single entries."""

from typing import Annotated, Final, Literal

from pydantic import PlainValidator

from caching_core.config._forms import Duration, FrozenDict, Mapped, Name
from caching_core.config._group import Group, setting
from caching_core.config._secret import Secret
from caching_core.types import UNSET, Unset

CoherenceMode = Literal["log", "ttl"]
SecurityLevel = Literal["normal", "high"]
Channel = Literal["slack", "pagerduty", "email", "webhook"]

MAX_TTL: Final = (2**32 - 2) / 100
"""The longest lifetime in seconds that an entry's frame can state (about 497 days); ``None`` is for ever."""


def _lifetime(value: object) -> float | Unset | None:
    if value is None or value is UNSET:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected seconds or None (for ever), got {type(value).__name__}")  # noqa: TRY004 - pydantic collects ValueError only
    if not 0 <= value <= MAX_TTL:  # NaN compares false
        raise ValueError(f"expected seconds from 0 to {MAX_TTL:.0f}, or None (for ever)")
    return float(value)


Lifetime = Annotated[float | Unset | None, PlainValidator(_lifetime)]


class CoherenceConfig(Group):
    """How far behind the shared store a copy may be."""

    mode: CoherenceMode = setting(
        default="log", meaning="follow the change log, or (ttl) let copies age up to l1.max_age", flat="coherence"
    )
    outage_grace: float = setting(
        default=300.0,
        meaning="seconds that stale copies are served while the whole shared tier is away; 0 serves none",
        flat="outage_grace",
        ge=0,
        le=86_400,
    )
    on_failover: Literal["strict", "soft"] = setting(
        default="strict",
        meaning="entries from before a failover are invalid, or (soft) served stale while they refresh",
        flat="on_failover",
    )
    log_max_records: int = setting(default=100_000, meaning="records that the change log keeps", flat="log_max_records", ge=1000, le=2**31)
    log_shards: int = setting(
        default=1, meaning="parts of the change log; the first host to write decides for all", flat="log_shards", ge=1, le=1024
    )


class ResilienceConfig(Group):
    """When a tier is given up, asked again, and trusted again."""

    enabled: bool = setting(default=True, meaning="put a circuit breaker before each tier")
    failure_threshold: int = setting(default=5, meaning="failures in a row that open a breaker", ge=1, le=100_000)
    failure_rate: float = setting(default=0.5, meaning="share of failed calls in the window that opens a breaker", gt=0, le=1)
    window: Duration = setting(default=10.0, meaning="seconds over which the share is taken", le=3600)
    min_calls: int = setting(default=20, meaning="calls in the window below which the share says nothing", ge=1, le=1_000_000)
    probe_interval: Duration = setting(
        default=0.25, meaning="seconds until the first probe of an open breaker; doubles up to recovery_timeout", le=3600
    )
    recovery_timeout: Duration = setting(default=1.0, meaning="seconds between probes at most", le=3600)
    success_threshold: int = setting(default=1, meaning="probes in a row that close a breaker", ge=1, le=1000)
    fallback_strategy: Literal["graceful_degradation", "fail_fast"] = setting(
        default="graceful_degradation", meaning="go on with the next tier, stale entries and the loader, or raise at once"
    )
    max_retry_attempts: int = setting(default=1, meaning="retries inside the deadline of one call", ge=0, le=100)
    retry_backoff: Literal["exponential", "linear", "constant"] = setting(
        default="exponential", meaning="how the pause between retries grows"
    )


class LearningConfig(Group):
    """What the models may do."""

    ml_predictions: bool = setting(
        default=False, meaning="models act; false: they only report what they would have done", flat="ml_predictions"
    )
    auto_optimization: bool = setting(default=False, meaning="apply the recommendations that may be applied", flat="auto_optimization")
    ttl_floor: Duration = setting(
        default=1.0, meaning="the shortest lifetime that a model may choose, in seconds", flat="ttl_floor", le=MAX_TTL
    )
    ttl_stretch: float = setting(default=4.0, meaning="a model chooses at most default_ttl times this", flat="ttl_stretch", ge=1, le=1000)
    staleness_budget: float = setting(
        default=0.01, meaning="share of reads that may be stale for a lifetime that a model chose", gt=0, le=0.5
    )
    learning_rate: float = setting(default=0.01, meaning="step of the controller that keeps the budget", gt=0, le=1)
    optimization_interval: Duration = setting(default=3600.0, meaning="seconds between two optimisations", ge=1, le=2_592_000)
    min_data_points: int = setting(default=1000, meaning="observations below which nothing is concluded", ge=1, le=1_000_000_000)


class MonitoringConfig(Group):
    """What is measured and shown."""

    enabled: bool = setting(
        default=True, meaning="keep metrics and check health; false: no registry and no thread", flat="monitoring_enabled"
    )
    metrics_port: int | None = setting(
        default=None,
        meaning="port on 127.0.0.1 for scrapes, taken by the first process of the host; 0 = any free one; unset = none",
        flat="metrics_port",
        ge=0,
        le=65_535,
    )
    health_check_interval: Duration = setting(
        default=60.0, meaning="seconds between the checks of a HealthChecker", flat="health_check_interval", le=86_400
    )


def _option(value: object) -> Secret | bool | int | float:
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, Secret | bool | int | float):
        return value
    raise ValueError(f"expected text, a number or a truth value, got {type(value).__name__}")


# Any text of a channel may be a webhook's address or a token, so all of them are kept as secrets.
Option = Annotated[Secret | bool | int | float, PlainValidator(_option)]


class AlertsConfig(Group):
    """Where alerts go."""

    channels: Annotated[dict[Channel, Annotated[dict[Name, Option], Mapped]], Mapped] = setting(
        default=FrozenDict[str, object](), meaning="per channel its options; texts among them are treated as secrets"
    )


class EntryPolicy(Group):
    """What holds for the entries of a namespace or key pattern where a call does not say otherwise."""

    ttl: Lifetime = setting(default=UNSET, meaning="lifetime in seconds; null = for ever; unset = default_ttl")
    stale_ttl: float | None = setting(
        default=None, meaning="seconds that an entry may be served stale while it is refreshed", ge=0, le=MAX_TTL
    )
    security_level: SecurityLevel = setting(
        default="normal", meaning="high: hashed name, never compressed, in L1 only as sealed bytes, audited per read"
    )
    coherence: CoherenceMode | None = setting(default=None, meaning="as coherence.mode, for these entries")
    strategy: Name | None = setting(default=None, meaning="name of the registered strategy that decides")
    serializer: Name | None = setting(default=None, meaning="name of the serialiser")
    data_type: Name | None = setting(default=None, meaning="what the entries are, for the models")
