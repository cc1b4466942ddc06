"""Managers decide whose a request is, and no request makes a tenant."""

import pytest

from caching_core import SyncCacheManager
from caching_core.audit import tail
from caching_core.errors import TenantUnknown
from caching_core.tenancy import AttributeResolver, Cause, Rejection, RequestView

RESOLVERS = [AttributeResolver()]


def view(tenant):
    return RequestView(attributes={"tenant": tenant})


@pytest.fixture
def opened(tmp_path):
    """A function that opens a manager with some settings."""
    made = []

    def make(**settings):
        made.append(SyncCacheManager({"directory": str(tmp_path / "state"), **settings}))
        return made[-1]

    yield make
    for manager in made:
        manager.close()


def test_listed_tenants_are_known(opened):
    manager = opened(tenants=["a", "b"])
    assert manager.tenant_of(view("a"), RESOLVERS) == "a"
    assert manager.tenant_of(view("c"), RESOLVERS, is_known=lambda _tenant: True) == Rejection(Cause.UNKNOWN)


def test_in_open_use_a_tenant_is_known_once_code_has_named_it(opened):
    manager = opened()
    assert manager.tenant_of(view("a"), RESOLVERS) == Rejection(Cause.UNKNOWN)
    manager.tenant("a")
    assert manager.tenant_of(view("a"), RESOLVERS) == "a"
    assert manager.tenant_of(view("b"), RESOLVERS, is_known=lambda tenant: tenant == "b") == "b"


def test_a_pinned_manager_knows_its_own(opened):
    manager = opened(tenant="a")
    assert manager.tenant_of(view("a"), RESOLVERS) == "a"
    assert manager.tenant_of(view("b"), RESOLVERS, is_known=lambda _tenant: True) == Rejection(Cause.UNKNOWN)


def test_a_rejection_is_recorded_without_the_id(opened, tmp_path):
    manager = opened(tenants=["a"])
    manager.tenant_of(view("secret-name"), RESOLVERS)
    assert manager.flush_audit()
    (record,) = [record for record in tail(tmp_path / "state") if record.action == "tenant_rejected"]
    assert record.detail == {"reason": "unknown"}
    assert "secret-name" not in repr(record)


def test_a_required_tenant_has_no_fallback(opened):
    manager = opened()
    manager.require_tenant()
    with pytest.raises(TenantUnknown, match="no tenant"):
        manager.tenant()
