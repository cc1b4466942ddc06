"""From an entry of ``CACHES`` to the settings of the core: LOCATION, TIMEOUT and OPTIONS, in Django's upper case or the core's lower."""

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import Final, cast

from caching_core.config import MAX_TTL, Setting, settings
from caching_core.errors import ConfigInvalid

DJANGO_OPTIONS: Final = {"max_entries": "l1_max_size"}
"""What Django's own backends take, and the setting that it is here."""
IGNORED_OPTIONS: Final = frozenset({"cull_frequency"})
"""What Django's own backends take and this one has no use for."""

_SERVERS: Final = ("redis://", "rediss://", "valkey://", "valkeys://", "unix://", "redis+unix://")


def known_options() -> frozenset[str]:
    """Return the names that OPTIONS may hold, in lower case."""
    every: tuple[Setting, ...] = settings()
    names = {setting.flat for setting in every if setting.flat} | {setting.path.partition(".")[0] for setting in every}
    return frozenset(names | DJANGO_OPTIONS.keys() | IGNORED_OPTIONS)


def core_settings(location: object, params: Mapping[str, object], *, app_patterns: tuple[str, ...] = ()) -> dict[str, object]:
    """Return the mapping that ``CacheConfig.build`` takes. Raises ConfigInvalid where LOCATION and OPTIONS contradict each other.

    ``app_patterns`` are the classes that a pickle may hold beside the fixed list, where OPTIONS choose no other mode.
    """
    found: dict[str, object] = {}
    for name, value in _options(params).items():
        lower = name.lower()
        if lower in IGNORED_OPTIONS:
            continue
        core = DJANGO_OPTIONS.get(lower, lower)
        if core in found:
            raise ConfigInvalid(f"OPTIONS give {core!r} twice, as {name!r} and in another spelling; keep one of them")
        found[core] = _lower(value) if isinstance(value, Mapping) and core != "policies" else value
    _place(found, location)
    _default_ttl(found, params)
    _pickle(found, app_patterns)
    return found


def _options(params: Mapping[str, object]) -> Mapping[str, object]:
    options = params.get("OPTIONS") or {}
    if not isinstance(options, Mapping):
        raise ConfigInvalid(f"OPTIONS must be a mapping, got {type(options).__name__}")
    return {str(name): value for name, value in cast("Mapping[object, object]", options).items()}


def _lower(group: Mapping[object, object]) -> dict[object, object]:
    return {name.lower() if isinstance(name, str) else name: value for name, value in group.items()}


def _place(found: dict[str, object], location: object) -> None:
    if not location:
        return
    if isinstance(location, list | tuple):  # as Django's RedisCache takes them: the first writes, the others are its replicas
        servers = cast("Sequence[object]", location)
        if len(servers) > 1:
            raise ConfigInvalid("LOCATION names several servers; give the primary's address alone: replicas would be read late")
        location = servers[0] if servers else ""
        if not location:
            return
    if not isinstance(location, str | PathLike):
        raise ConfigInvalid(f"LOCATION must be a folder or the address of a server, got {type(location).__name__}")
    place = fspath(location)
    name = "redis_url" if isinstance(place, str) and place.startswith(_SERVERS) else "directory"
    if name in found and str(found[name]) != str(place):
        raise ConfigInvalid(f"LOCATION and OPTIONS give two different values for {name!r}; keep one of them")
    found[name] = str(place)


def _default_ttl(found: dict[str, object], params: Mapping[str, object]) -> None:
    timeout = params.get("TIMEOUT", params.get("timeout", 300))
    if "default_ttl" in found:
        raise ConfigInvalid("the lifetime of entries is TIMEOUT, beside OPTIONS; leave DEFAULT_TTL out")
    if timeout is None:
        found["default_ttl"] = None
        return
    try:
        seconds = int(cast("int", timeout))
    except (TypeError, ValueError):
        seconds = 300  # what Django makes of it
    if seconds > MAX_TTL:
        found["default_ttl"] = None
    elif seconds > 0:  # 0 and less is already over: the backend says so with each call
        found["default_ttl"] = float(seconds)


def _pickle(found: dict[str, object], app_patterns: tuple[str, ...]) -> None:
    """Fill in what a Django project expects: its own values can be kept."""
    crypto = found.get("crypto")
    nested: Mapping[object, object] = crypto if isinstance(crypto, Mapping) else {}
    is_sealed = found.get("security_enabled", nested.get("enabled", True))
    if "pickle" not in found and "pickle" not in nested and is_sealed is not False:
        found["pickle"] = "django"
    if found.get("pickle", nested.get("pickle")) != "django" or "pickle_allow" in nested:
        return
    given = found.get("pickle_allow", ())
    listed = (given,) if isinstance(given, str) else given
    if isinstance(listed, list | tuple | set | frozenset):
        found["pickle_allow"] = [*cast("tuple[object, ...]", tuple(listed)), *app_patterns]
