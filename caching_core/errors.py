"""The error tree of the cache.

    CacheError
    ├── ConfigInvalid (ValueError)          a setting is unknown, malformed or contradicts another
    ├── KeyInvalid (ValueError)             a cache key, tag or namespace of the wrong type or form
    ├── TTLInvalid (ValueError)             a lifetime that is negative, NaN or not a number
    ├── ValueNotKept (TypeError)            a value that would not come back equal
    ├── ValueTooLarge (ValueError)          a value above ``max_value_bytes``
    ├── TenantUnknown (LookupError)         no tenant, or an id out of form, unknown or foreign
    ├── AccessDenied (PermissionError)      the actor's roles do not allow the call
    ├── QuotaExceeded                       a tenant's limit, or the process's limit of tenants
    ├── EntryCorrupt                        an entry failed authentication (``strict=True`` only)
    ├── TierUnavailable                     a tier is away, full or too slow
    │   └── DeadlineExceeded (TimeoutError) the call's time ran out
    ├── KeyUnavailable                      a data key cannot be had: keystore or provider is away
    │   └── KeyNeverMade                    a tenant has no key yet, and a cache that is read_only makes none
    ├── AuditUnavailable                    a record that must not be dropped cannot be written
    ├── NotSupported (NotImplementedError)  a documented feature that this release does not carry
    └── EngineSuspended (RuntimeError)      a blocking call met something that only a loop can await

Messages say what happened, to which thing, and what to do; they carry no values and no secrets.
"""


class CacheError(Exception):
    """Root of every error that the cache raises by itself."""


class ConfigInvalid(CacheError, ValueError):
    """A setting is unknown, malformed or contradicts another."""


class KeyInvalid(CacheError, ValueError):
    """A key, tag or namespace has the wrong type or form."""


class TTLInvalid(CacheError, ValueError):
    """A lifetime is negative, NaN or not a number."""


class ValueNotKept(CacheError, TypeError):
    """A value has a part that would not come back equal to what was stored."""


class ValueTooLarge(CacheError, ValueError):
    """A value is larger than ``max_value_bytes``."""


class TenantUnknown(CacheError, LookupError):
    """No tenant is set, or the id is out of form, unknown or foreign."""


class AccessDenied(CacheError, PermissionError):
    """The roles of the actor do not allow the call."""


class QuotaExceeded(CacheError):
    """A tenant is over its quota, or the process over its number of tenants."""


class EntryCorrupt(CacheError):
    """An entry failed authentication; raised only with ``strict=True``."""


class TierUnavailable(CacheError):
    """A tier is away, full or too slow to answer."""


class DeadlineExceeded(TierUnavailable, TimeoutError):
    """The time that the call was given ran out."""


class KeyUnavailable(CacheError):
    """A data key cannot be had: the keystore or the key provider is away."""


class KeyNeverMade(KeyUnavailable):
    """A tenant has no key yet, and a cache that is ``read_only`` makes none: nothing of it is stored; a read is a miss."""


class AuditUnavailable(CacheError):
    """An audit record that must not be dropped could not be written."""


class NotSupported(CacheError, NotImplementedError):
    """A documented feature that this release does not carry yet."""


class EngineSuspended(CacheError, RuntimeError):
    """A blocking call met an awaitable that only an event loop can drive."""
