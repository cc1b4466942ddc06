"""The cache's own names beside the entries: leases and ledgers, each where the entry's or the tenant's slot is."""

from hashlib import blake2b
from typing import Final

_LEASES: Final = "@lease:"
_LEDGERS: Final = "cc:{@0}:led:"


def lease_of(name: str) -> str:
    """Return where the lease on an entry stands, in the same slot of a cluster."""
    digest = blake2b(name.encode(), digest_size=16, person=b"cc-lease-v1").hexdigest()
    return f"{name[: name.find('}:') + 2] if '}:' in name else 'cc:'}{_LEASES}{digest}"


def ledger_of(tenant: str) -> str:
    """Return where a tenant's ledger stands."""
    return _LEDGERS + tenant


def is_entry(name: str) -> bool:
    """Tell whether an entry may stand under this name: it is none of the cache's own."""
    return not name.startswith("cc:{@") and not name[name.find("}:") + 2 if "}:" in name else 3 :].startswith(_LEASES)
