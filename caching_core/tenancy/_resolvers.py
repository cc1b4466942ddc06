"""Whose a request is: a chain of resolvers over a view of the request that no framework has a part in."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, Protocol

from caching_core.errors import ConfigInvalid, TenantUnknown
from caching_core.tenancy._checks import check_tenant
from caching_core.tenancy._rejection import Cause, Rejection

TENANT_HEADER: Final = "X-Tenant-ID"
_PLACE: Final = "{tenant}"
_DOMAIN: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")


@dataclass(frozen=True, slots=True)
class RequestView:
    """What resolvers may look at, filled in by an integration; nothing in it is believed by itself.

    ``path`` as it is routed; ``host`` as the framework validated it (a port may follow); ``headers`` are asked with names in
    lower case, several lines of one name joined by commas; ``peer`` the address at the other end of the connection, never one
    from a header; ``attributes`` what an authentication has verified: claims of a token, attributes of the user.
    """

    path: str = "/"
    host: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    peer: str = ""
    attributes: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)


class Resolver(Protocol):
    """Says whose a request is, by one of its parts: a tenant id as it stands there, or None where that part names nobody."""

    def __call__(self, view: RequestView, /) -> object:
        """Return the id, unchecked, or None."""
        ...


class HeaderResolver:
    """The tenant stands in a header, which is believed only from ``trusted_proxies`` (addresses and networks)."""

    __slots__ = ("_is_trusted", "_name")

    def __init__(self, trusted_proxies: Sequence[str], *, name: str = TENANT_HEADER) -> None:
        """Trust nobody where ``trusted_proxies`` is empty: then the header is as if it were not there."""
        self._name = name.lower()
        self._is_trusted = _trust(trusted_proxies)

    def __call__(self, view: RequestView, /) -> object:
        """Return what the header says."""
        said = view.headers.get(self._name)
        return said if said is not None and self._is_trusted(view.peer) else None


class PathResolver:
    """The tenant stands in the path: where ``{tenant}`` stands in ``form``, of which the rest must be there as it is."""

    __slots__ = ("_before", "_rest")

    def __init__(self, form: str = "/t/{tenant}/") -> None:
        """Take a form like ``/t/{tenant}/``; ConfigInvalid for another."""
        before, place, rest = form.partition(_PLACE)
        if not place or not before.startswith("/") or not before.endswith("/") or rest not in ("", "/"):
            raise ConfigInvalid(f"a path that names the tenant looks like '/t/{_PLACE}/', not {form!r}")
        self._before, self._rest = before, rest

    def __call__(self, view: RequestView, /) -> object:
        """Return the part of the path."""
        if not view.path.startswith(self._before):
            return None
        said, slash, _ = view.path[len(self._before) :].partition("/")
        return said if slash or not self._rest else None


class SubdomainResolver:
    """The tenant is the one label before ``domain`` in the host."""

    __slots__ = ("_ending", "_ignored")

    def __init__(self, domain: str, *, ignored: Sequence[str] = ("www",)) -> None:
        """Take the domain; labels in ``ignored`` are nobody's. ConfigInvalid for what is no domain."""
        if _DOMAIN.fullmatch(domain) is None:
            raise ConfigInvalid(f"{domain!r} is no domain below which tenants have theirs; give it like 'example.org', in lower case")
        self._ending = f".{domain}"
        self._ignored = frozenset(ignored)

    def __call__(self, view: RequestView, /) -> object:
        """Return the label; a host is the same in upper and lower case, a tenant id is not."""
        host = view.host.partition(":")[0].rstrip(".").lower()
        if not host.endswith(self._ending):
            return None
        label = host.removesuffix(self._ending)
        return None if label in self._ignored else label


class AttributeResolver:
    """The tenant is an attribute that the authentication has verified: a claim of the token, a field of the user."""

    __slots__ = ("_name",)

    def __init__(self, name: str = "tenant") -> None:
        self._name = name

    def __call__(self, view: RequestView, /) -> object:
        """Return the attribute."""
        return view.attributes.get(self._name)


def resolve(view: RequestView, resolvers: Sequence[Resolver], *, is_known: Callable[[str], bool]) -> str | Rejection:
    """Return the tenant of a request, or why there is none.

    Every resolver is asked: two that name different tenants contradict each other, whatever their order. A request never makes
    a tenant, hence ``is_known``; what is unknown, foreign or contradicted is told alike, so that nobody can find out who exists.
    """
    found: set[str] = set()
    for resolver in resolvers:
        said = resolver(view)
        if said is None:
            continue
        try:
            found.add(check_tenant(said))
        except TenantUnknown:
            return Rejection(Cause.MALFORMED)
    if not found:
        return Rejection(Cause.MISSING)
    if len(found) > 1:
        return Rejection(Cause.CONTRADICTED)
    (tenant,) = found
    return tenant if is_known(tenant) else Rejection(Cause.UNKNOWN)


def _trust(proxies: Sequence[str]) -> Callable[[str], bool]:
    """Return whether a peer is one of ``proxies``; ConfigInvalid for what is neither an address nor a network."""
    try:
        networks = tuple(ip_network(proxy, strict=False) for proxy in proxies)
    except ValueError:
        raise ConfigInvalid("trusted_proxies are IP addresses or networks, like 10.0.0.0/8") from None

    @lru_cache(maxsize=256)  # proxies are few; who is none must not cost more each time
    def is_trusted(peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False  # no address: a socket file, a name of a test's
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in networks)

    return is_trusted if networks else lambda _peer: False
