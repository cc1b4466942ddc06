"""Whose a call is, by configuration, call and context."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from caching_core.config import CacheConfig
from caching_core.errors import QuotaExceeded, TenantUnknown
from caching_core.tenancy import TenantPolicy, use_tenant


def policy(limit: int = 10_000, **settings: object) -> TenantPolicy:
    return TenantPolicy(CacheConfig.build(settings, environ={}), limit=limit)


def test_single_tenant_use_runs_in_main():
    single = policy()
    assert not single.is_multi_tenant
    assert single.resolve() == "main"
    assert single.resolve("acme") == "acme"
    assert single.resolve() == "main"


def test_the_call_beats_the_context():
    open_policy = policy()
    with use_tenant("a"):
        assert open_policy.resolve() == "a"
        assert open_policy.resolve("b") == "b"


def test_multi_tenant_use_has_no_fallback():
    listed, switched = policy(tenants=["a"]), policy()
    switched.require_tenant()
    for multi in (listed, switched):
        assert multi.is_multi_tenant
        with pytest.raises(TenantUnknown, match="no tenant: pass tenant_id"):
            multi.resolve()
        with use_tenant("a"):
            assert multi.resolve() == "a"


def test_a_tenant_that_is_not_listed_is_refused():
    listed = policy(tenants=["a"])
    with pytest.raises(TenantUnknown, match="'b' is not among"):
        listed.resolve("b")
    with use_tenant("b"), pytest.raises(TenantUnknown, match="'b' is not among"):
        listed.resolve()
    assert (listed.is_known("a"), listed.is_known("b")) == (True, False)


@pytest.mark.parametrize("settings", [{}, {"tenants": ["a", "b"]}])
def test_a_pin_beats_the_context_and_refuses_another_id(settings):
    pinned = policy(tenant="a", **settings)
    with use_tenant("b"):
        assert pinned.resolve() == "a"
    assert pinned.resolve("a") == "a"
    with pytest.raises(TenantUnknown, match="pinned to 'a'"):
        pinned.resolve("b")
    pinned.require_tenant()
    assert pinned.resolve() == pinned.pinned == "a"


def test_without_isolation_everything_is_in_main():
    shared = policy(tenant_isolation=False)
    shared.require_tenant()
    with use_tenant("a"):
        assert shared.resolve() == "main"
    assert shared.resolve("main") == "main"
    assert not shared.is_multi_tenant
    with pytest.raises(TenantUnknown, match="tenant_isolation off"):
        shared.resolve("a")


@pytest.mark.parametrize("tenant", ["A", "", "a:b", "a" * 64, 5, ["a"], b"a"])
@pytest.mark.parametrize("settings", [{}, {"tenants": ["a"]}, {"tenant": "a"}, {"tenant_isolation": False}])
def test_an_id_out_of_form_is_refused_always(settings, tenant):
    with pytest.raises(TenantUnknown):
        policy(**settings).resolve(tenant)


def test_a_process_takes_so_many_tenants_and_no_more():
    few = policy(limit=2)
    for _ in range(2):
        assert [few.resolve("a"), few.resolve("b")] == ["a", "b"]
    with pytest.raises(QuotaExceeded, match="2 tenants"):
        few.resolve("c")
    assert few.resolve("a") == "a"
    listed = policy(limit=1, tenants=["a", "b"])
    assert [listed.resolve("a"), listed.resolve("b")] == ["a", "b"]


def test_the_limit_of_a_process_is_ten_thousand():
    open_policy = policy()
    for number in range(10_000):
        open_policy.resolve(f"t{number}")
    with pytest.raises(QuotaExceeded):
        open_policy.resolve("one-more")


def test_many_threads_do_not_pass_the_limit():
    few = policy(limit=50)

    def ask(number: int) -> bool:
        try:
            return few.resolve(f"t{number}") == f"t{number}"
        except QuotaExceeded:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(400))) == 50


def test_a_request_may_name_only_what_is_known():
    open_policy = policy()
    assert not open_policy.is_known("a")
    open_policy.resolve("a")
    assert open_policy.is_known("a")
    pinned = policy(tenant="a", tenants=["a", "b"])
    assert (pinned.is_known("a"), pinned.is_known("b")) == (True, False)
