"""Settings of what protects: keys, tenants, roles, audit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import BeforeValidator

from caching_core.config._forms import Listed, Mapped, Name, Network, OneOrMore, Pattern, TenantId
from caching_core.config._group import Group, setting
from caching_core.config._secret import Secret, SecretURL

Permission = Literal["read", "write", "delete", "invalidate", "clear", "stats", "audit.read", "keys.manage", "config.apply"]
PickleMode = Literal["off", "django", "trusted"]
KeyPrivacy = Literal["clear", "hashed"]
AuditLevel = Literal["basic", "detailed"]


class CryptoConfig(Group):
    """How values are sealed, and where the keys come from."""

    enabled: bool = setting(
        default=True, meaning="seal every value below L1; false stores plain frames, and never pickle", flat="security_enabled"
    )
    encryption_key: Annotated[tuple[Secret, ...], OneOrMore] = setting(
        default=(),
        meaning="32 bytes in base64, or a passphrase; of a list the first seals, the rest only open",
        flat="encryption_key",
        max_length=32,
    )
    key_file: Path | None = setting(
        default=None, meaning="file that holds the keys, readable by its owner only", flat="key_file", strict=False
    )
    keystore: SecretURL | None = setting(
        default=None, meaning="path or address of the keystore; by default it lives where the authoritative tier lives", flat="keystore"
    )
    audit_keystore: SecretURL | None = setting(
        default=None, meaning="path or address of the durable store of audit keys; by default the directory", flat="audit_keystore"
    )
    key_privacy: KeyPrivacy = setting(
        default="clear", meaning="whether key and tag names stand in the store as they are or hashed", flat="key_privacy"
    )
    pickle: PickleMode = setting(
        default="off",
        meaning="what pickle may keep where msgpack does not: nothing, a list (of Django and plain types), or anything",
        flat="pickle",
    )
    pickle_allow: Annotated[tuple[Pattern, ...], Listed] = setting(
        default=(),
        meaning="what the list of pickle holds besides: dotted names, or patterns like app.* for the classes defined there",
        flat="pickle_allow",
    )


def _as_grant(value: object) -> object:
    if isinstance(value, str):
        return {"permission": value}
    if isinstance(value, list | tuple):
        parts = cast("Sequence[object]", value)
        return dict(zip(Grant.model_fields, parts, strict=False)) if len(parts) <= len(Grant.model_fields) else parts
    return value


class Grant(Group):
    """One line of a role: a permission on the keys of a pattern, allowed or denied."""

    permission: Permission = setting(default=..., meaning="what may be done")
    keys: Pattern = setting(default="*", meaning="glob over the logical key")
    effect: Literal["allow", "deny"] = setting(default="allow", meaning="a denial beats every allowance")


class TenancyConfig(Group):
    """Whose data this is."""

    isolation: bool = setting(default=True, meaning="keep tenants apart; false runs everything in the tenant main", flat="tenant_isolation")
    tenant: TenantId | None = setting(default=None, meaning="pin this configuration to one tenant", flat="tenant")
    tenants: Annotated[tuple[TenantId, ...] | None, Listed] = setting(
        default=None, meaning="the tenants there are; others are refused. Unset: any, when a call names it", flat="tenants"
    )
    roles: Annotated[dict[Name, Annotated[tuple[Annotated[Grant, BeforeValidator(_as_grant)], ...], OneOrMore]], Mapped] | None = setting(
        default=None,
        meaning="what each role may do, as [permission, key pattern, effect]; unset: everybody may do everything",
        flat="roles",
    )
    trusted_proxies: Annotated[tuple[Network, ...], Listed] = setting(
        default=(), meaning="addresses and networks whose forwarding headers are believed", flat="trusted_proxies"
    )


class AuditConfig(Group):
    """What is recorded, and for how long."""

    enabled: bool = setting(default=True, meaning="keep an audit log")
    level: AuditLevel = setting(default="basic", meaning="detailed also records writes and invalidations")
    include_data_access: bool = setting(default=False, meaning="record reads, aggregated per minute")
    retention_days: int | None = setting(
        default=None, meaning="days after which whole sealed segments are removed; unset keeps all", ge=1, le=36_500
    )
