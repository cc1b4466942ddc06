"""Settings of the three levels: memory, disk or Redis, and the distributed one."""

from typing import Annotated, Final, Literal

from caching_core.config._forms import Duration, Listed, Node, RedisURL, SentinelAddress
from caching_core.config._group import Group, setting
from caching_core.config._secret import Secret

_MOST_BYTES: Final = 2**50
L1Policy = Literal["lru", "lfu", "s3fifo", "wtinylfu", "adaptive"]


class L1Config(Group):
    """The memory of this process."""

    enabled: bool = setting(default=True, meaning="keep entries in this process's memory", flat="l1_enabled")
    max_entries: int = setting(default=10_000, meaning="entries at most", flat="l1_max_size", ge=0, le=2**40)
    max_bytes: int = setting(default=64 * 2**20, meaning="bytes at most, as estimated per entry", flat="l1_max_bytes", ge=0, le=_MOST_BYTES)
    policy: L1Policy = setting(default="s3fifo", meaning="which entry gives way when L1 is full", flat="l1_policy")
    max_age: Duration = setting(
        default=5.0, meaning="seconds that a copy may be served without word from the shared store's log", flat="l1_max_age", le=86_400
    )


class L2Config(Group):
    """The level that processes share: Redis when ``redis_url`` is set, else SQLite in ``directory``."""

    enabled: bool = setting(default=True, meaning="use this level", flat="l2_enabled")
    redis_url: RedisURL | None = setting(
        default=None, meaning="address of the Redis or Valkey server; without one this level is the host's disk", flat="redis_url"
    )
    redis_cluster: bool = setting(default=False, meaning="redis_url is a seed node of a cluster, which is then L3", flat="redis_cluster")
    redis_username: str | None = setting(
        default=None, meaning="user name at the server", flat="redis_username", min_length=1, max_length=255
    )
    redis_password: Secret | None = setting(default=None, meaning="password at the server", flat="redis_password")
    redis_tls: bool = setting(default=False, meaning="speak TLS to the server, as rediss:// does", flat="redis_tls")
    sentinels: Annotated[tuple[SentinelAddress, ...], Listed] = setting(
        default=(), meaning="host:port of each Sentinel; redis_url then names the service as its host", flat="sentinels"
    )
    disk_max_bytes: int = setting(
        default=2**30,
        meaning="size of the disk tier at most; the last 10 % of the volume stay free in any case",
        flat="disk_max_bytes",
        ge=2**20,
        le=_MOST_BYTES,
    )
    deadline: Duration = setting(default=0.1, meaning="seconds that one call may spend in this level, plus 20 ms per MiB", le=60)


class L3Config(Group):
    """The level that spreads over many servers."""

    nodes: Annotated[tuple[Node, ...], Listed] = setting(default=(), meaning="host:port or address of each seed node", flat="l3_nodes")
    shards: int = setting(
        default=1,
        meaning="parts into which each tenant is spread over the cluster; a change clears the tenant",
        flat="shards",
        ge=1,
        le=4096,
    )
    deadline: Duration = setting(default=0.2, meaning="seconds that one call may spend in this level, plus 20 ms per MiB", le=60)
