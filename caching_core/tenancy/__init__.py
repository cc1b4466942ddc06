"""Tenants: ids, the current one, whose a call is, and the names under which its entries stand."""

from caching_core.tenancy._checks import (
    MAX_KEY,
    MAX_NAMESPACE,
    MAX_TAG,
    MAX_TAGS,
    check_key,
    check_namespace,
    check_tag,
    check_tags,
    check_tenant,
    check_ttl,
)
from caching_core.tenancy._current import Actor, carry_tenant, current_actor, current_tenant, use_actor, use_tenant
from caching_core.tenancy._names import NameScheme, is_plain_key, namespace_in, namespace_prefix, physical_name, tenant_prefix
from caching_core.tenancy._policy import MAX_TENANTS, TenantPolicy
from caching_core.tenancy._rejection import PROBLEM_JSON, Cause, Rejection
from caching_core.tenancy._resolvers import (
    TENANT_HEADER,
    AttributeResolver,
    HeaderResolver,
    PathResolver,
    RequestView,
    Resolver,
    SubdomainResolver,
    resolve,
)

__all__ = [
    "MAX_KEY",
    "MAX_NAMESPACE",
    "MAX_TAG",
    "MAX_TAGS",
    "MAX_TENANTS",
    "PROBLEM_JSON",
    "TENANT_HEADER",
    "Actor",
    "AttributeResolver",
    "Cause",
    "HeaderResolver",
    "NameScheme",
    "PathResolver",
    "Rejection",
    "RequestView",
    "Resolver",
    "SubdomainResolver",
    "TenantPolicy",
    "carry_tenant",
    "check_key",
    "check_namespace",
    "check_tag",
    "check_tags",
    "check_tenant",
    "check_ttl",
    "current_actor",
    "current_tenant",
    "is_plain_key",
    "namespace_in",
    "namespace_prefix",
    "physical_name",
    "resolve",
    "tenant_prefix",
    "use_actor",
    "use_tenant",
]
