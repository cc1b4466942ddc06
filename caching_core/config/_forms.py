"""The shapes that names and numbers of a configuration must have."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Never, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from caching_core.config._secret import Secret, SecretURL

K = TypeVar("K")
V = TypeVar("V")

TENANT_FORM: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
TENANT_RULE: Final = "1 to 63 of a-z, 0-9, - and _, first a letter or digit"
NAMESPACE_FORM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_METRIC_FORM: Final = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]{0,63})?")
_NAME_FORM: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_ADDRESS_FORM: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:@/\[\]]+):([0-9]{1,5})")
_REDIS_SCHEMES: Final = frozenset({"redis", "rediss", "valkey", "valkeys"})
_UNIX_SCHEMES: Final = frozenset({"unix", "redis+unix"})
_LAST_PORT: Final = 65535


def _refuse(*_args: object, **_kwargs: object) -> Never:
    raise TypeError("this mapping belongs to a configuration and cannot be changed; build another configuration")


class FrozenDict(dict[K, V]):
    """A dict that refuses changes: what a frozen model holds may not move under it."""

    __slots__ = ()

    __setitem__ = __delitem__ = __ior__ = _refuse
    update = setdefault = pop = popitem = clear = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # unlike a dict, it never changes
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type["FrozenDict[K, V]"], tuple[dict[K, V]]]:
        return type(self), (dict(self),)

    def __copy__(self) -> "FrozenDict[K, V]":
        return self

    def __deepcopy__(self, memo: object) -> "FrozenDict[K, V]":
        return self


def _freeze(value: Mapping[K, V]) -> FrozenDict[K, V]:
    return FrozenDict(value)


def _as_tuple(value: object) -> object:
    if isinstance(value, list):
        return tuple(cast("list[object]", value))
    if isinstance(value, set | frozenset):
        return tuple(sorted(cast("set[object]", value), key=repr))
    return value


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str | Secret) else _as_tuple(value)


def _tenant(text: str) -> str:
    if TENANT_FORM.fullmatch(text) is None:
        raise ValueError(f"expected a tenant id: {TENANT_RULE}")
    return text


def _namespace(text: str) -> str:
    if NAMESPACE_FORM.fullmatch(text) is None:
        raise ValueError("expected 1 to 64 letters, digits or . _ @ -, the first a letter or digit")
    return text


def _metric_prefix(text: str) -> str:
    if _METRIC_FORM.fullmatch(text) is None:
        raise ValueError("expected a metric name's beginning: letters, digits and _, not first a digit; empty for none")
    return text


def _name(text: str) -> str:
    if _NAME_FORM.fullmatch(text) is None:
        raise ValueError("expected a name: 1 to 64 letters, digits or _ . -")
    return text


def _port_is_valid(port: str) -> bool:
    return 0 < int(port) <= _LAST_PORT


def _redis_url(url: SecretURL) -> SecretURL:
    try:
        parts = urlsplit(url.reveal())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("expected an address like redis://host:6379/0; host or port cannot be read") from None
    if parts.scheme in _UNIX_SCHEMES and parts.path:
        return url
    if "@" in parts.path + parts.fragment:
        raise ValueError("expected the password before the host; write its /, ? and # as %2F, %3F and %23")
    if parts.scheme not in _REDIS_SCHEMES or not host or port == 0:
        raise ValueError("expected an address like redis://host:6379/0, rediss:// for TLS, or unix:///path/to/socket")
    return url


def _node(url: SecretURL) -> SecretURL:
    found = _ADDRESS_FORM.fullmatch(url.reveal())
    if found is not None and _port_is_valid(found.group(1)):
        return SecretURL(f"redis://{url.reveal()}")
    return _redis_url(url)


def _sentinel(value: object) -> object:
    if isinstance(value, list | tuple):
        pair = cast("Sequence[object]", value)
        return f"{pair[0]}:{pair[1]}" if len(pair) == 2 and isinstance(pair[0], str) else pair
    return value


def _address(text: str) -> str:
    found = _ADDRESS_FORM.fullmatch(text)
    if found is None or not _port_is_valid(found.group(1)):
        raise ValueError("expected host:port")
    return text


def _network(text: str) -> str:
    from ipaddress import ip_network  # only who sets trusted proxies pays for it

    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise ValueError("expected an IP address or network, like 10.0.0.0/8") from None


Mapped = AfterValidator(_freeze)
Listed = BeforeValidator(_as_tuple)
OneOrMore = BeforeValidator(_one_or_more)

TenantId = Annotated[str, AfterValidator(_tenant)]
Namespace = Annotated[str, AfterValidator(_namespace)]
MetricPrefix = Annotated[str, AfterValidator(_metric_prefix)]
Name = Annotated[str, AfterValidator(_name)]
RedisURL = Annotated[SecretURL, AfterValidator(_redis_url)]
Node = Annotated[SecretURL, AfterValidator(_node)]
SentinelAddress = Annotated[str, BeforeValidator(_sentinel), AfterValidator(_address)]
Network = Annotated[str, AfterValidator(_network)]
Pattern = Annotated[str, Field(min_length=1, max_length=250)]
Duration = Annotated[float, Field(gt=0)]
