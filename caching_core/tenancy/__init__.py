"""Tenants: ids, the current one, whose a call is, and the names under which its entries stand."""

from caching_core.tenancy._checks import (
    MAX_INVALIDATED,
    MAX_KEY,
    MAX_NAMESPACE,
    MAX_TAG,
    MAX_TAGS,
    check_key,
    check_keys,
    check_namespace,
    check_stale_ttl,
    check_tag,
    check_tags,
    check_tenant,
    check_ttl,
    named,
)
from caching_core.tenancy._current import Actor, carry_tenant, current_actor, current_tenant, use_actor, use_tenant
from caching_core.tenancy._names import NameScheme, is_plain_key, physical_name, tenant_prefix
from caching_core.tenancy._policy import MAX_TENANTS, TenantPolicy

__all__ = [
    "MAX_INVALIDATED",
    "MAX_KEY",
    "MAX_NAMESPACE",
    "MAX_TAG",
    "MAX_TAGS",
    "MAX_TENANTS",
    "Actor",
    "NameScheme",
    "TenantPolicy",
    "carry_tenant",
    "check_key",
    "check_keys",
    "check_namespace",
    "check_stale_ttl",
    "check_tag",
    "check_tags",
    "check_tenant",
    "check_ttl",
    "current_actor",
    "current_tenant",
    "is_plain_key",
    "named",
    "physical_name",
    "tenant_prefix",
    "use_actor",
    "use_tenant",
]
