"""System checks: each tells of one mistake, with its id and what to do."""

import pytest
from django.core.checks import run_checks
from django.test import override_settings

BACKEND = "caching_django.TieredCache"
GOOD_KEY = "x" * 20
TENANT = "caching_django.TenantMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
UPDATE = "django.middleware.cache.UpdateCacheMiddleware"


def told(**settings):
    """The messages with our ids under these settings; ``alias`` is the entry of the default alias."""
    alias = {"BACKEND": BACKEND, **settings.pop("alias", {})}
    caches = {"default": alias, **settings.pop("others", {})}
    with override_settings(CACHES=caches, **settings):
        return {message.id: message for message in run_checks() if message.id.startswith("caching.")}


@pytest.mark.parametrize(
    "alias",
    [
        {},
        {"LOCATION": "/var/cache/shop", "TIMEOUT": None, "KEY_PREFIX": "shop", "VERSION": 2},
        {"OPTIONS": {"L1_MAX_SIZE": 10, "l2_enabled": False, "Pickle": "off", "MAX_ENTRIES": 10} | {}} | {},
        {"OPTIONS": {"L1": {"MAX_ENTRIES": 10}, "CRYPTO": {"PICKLE": "off"}, "policies": {"Page:*": {"ttl": 60}}}},
        {"OPTIONS": {"SECURITY_ENABLED": False}},
        {"LOCATION": "~/cache"},
        {"LOCATION": ["/var/cache/shop"]},
    ],
)
def test_good_settings_pass(alias):
    if "MAX_ENTRIES" in alias.get("OPTIONS", {}) and "L1_MAX_SIZE" in alias["OPTIONS"]:
        alias = {"OPTIONS": {name: value for name, value in alias["OPTIONS"].items() if name != "MAX_ENTRIES"}}
    assert told(alias=alias) == {}


@pytest.mark.parametrize(
    ("option", "meant"),
    [("L1_MAX_SISE", "L1_MAX_SIZE"), ("TENNANT", "TENANT"), ("pikle", "PICKLE"), ("MAX_ENTRYS", "MAX_ENTRIES"), ("qqqqqq", None)],
)
def test_an_unknown_option_is_told_with_the_nearest(option, meant):
    (message,) = told(alias={"OPTIONS": {option: 1}}).values()
    assert message.id == "caching.E001"
    assert repr(option) in message.msg
    assert (f"{meant!r}" if meant else "lists what there is") in message.hint


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ({"OPTIONS": {"L1_MAX_SIZE": "many"}}, "l1_max_size"),
        ({"OPTIONS": {"PICKLE": "jango"}}, "did you mean 'django'"),
        ({"OPTIONS": {"SECURITY_ENABLED": False, "PICKLE": "django"}}, "never stored in plain frames"),
        ({"LOCATION": "/a", "OPTIONS": {"DIRECTORY": "/b"}}, "two different values for 'directory'"),
        ({"OPTIONS": {"DEFAULT_TTL": 5}}, "TIMEOUT"),
        ({"OPTIONS": {"TENANT": "a", "tenant": "b"}}, "twice"),
        ({"OPTIONS": {"TENANT": "Not One"}}, "tenant id"),
        ({"LOCATION": ["redis://a", "redis://b"]}, "several servers"),
        ({"LOCATION": {"a": 1}}, "LOCATION must be"),
    ],
)
def test_a_wrong_setting_is_told(alias, words):
    (message,) = told(alias=alias).values()
    assert message.id == "caching.E002"
    assert words in message.msg
    assert message.hint


def test_a_wrong_prefix_is_told():
    assert list(told(alias={"KEY_PREFIX": "a@v2"})) == ["caching.E003"]


def test_a_shared_server_needs_a_key(monkeypatch):
    shared = {"LOCATION": "redis://127.0.0.1:6379/1", "OPTIONS": {"PICKLE": "off"}}
    (message,) = told(alias=shared).values()
    assert message.id == "caching.E004"
    assert [word for word in ("`caching keystore new-key`", "CACHING_ENCRYPTION_KEYS", "every host") if word not in message.hint] == []
    monkeypatch.setenv("CACHING_ENCRYPTION_KEYS", GOOD_KEY)
    assert told(alias=shared) == {}


def test_pickle_on_a_shared_server_is_a_warning(monkeypatch):
    monkeypatch.setenv("CACHING_ENCRYPTION_KEYS", GOOD_KEY)
    assert list(told(alias={"LOCATION": "redis://127.0.0.1:6379/1"})) == ["caching.W002"]


@pytest.mark.parametrize("alias", [{"LOCATION": "cache"}, {"OPTIONS": {"DIRECTORY": "./cache"}}])
def test_a_relative_folder_is_told(alias):
    assert list(told(alias=alias)) == ["caching.E005"]


def test_a_key_in_the_settings_is_a_warning_in_production():
    alias = {"OPTIONS": {"ENCRYPTION_KEY": GOOD_KEY}}
    (message,) = told(alias=alias, DEBUG=False).values()
    assert message.id == "caching.W001"
    assert GOOD_KEY not in str(message)
    assert told(alias=alias, DEBUG=True) == {}


def test_an_option_without_effect_is_a_warning():
    assert list(told(alias={"OPTIONS": {"CULL_FREQUENCY": 3}})) == ["caching.W003"]


def test_sessions_of_a_multi_tenant_project_need_an_alias_of_their_own():
    sessions = {"SESSION_ENGINE": "django.contrib.sessions.backends.cache"}
    many = {"OPTIONS": {"TENANTS": ["a", "b"]}}
    assert told(**sessions) == {}
    assert list(told(alias=many, **sessions)) == ["caching.E006"]
    assert list(told(MIDDLEWARE=[TENANT], **sessions)) == ["caching.E006"]
    pinned = {"sessions": {"BACKEND": BACKEND, "OPTIONS": {"TENANT": "site"}}}
    assert told(alias=many, others=pinned, SESSION_CACHE_ALIAS="sessions", **sessions) == {}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"RESOLVER": ["header"]}, "did you mean 'RESOLVERS'"),
        ({"RESOLVERS": []}, "is empty"),
        ({"RESOLVERS": "header"}, "list"),
        ({"RESOLVERS": ["nowhere.at.all"]}, "cannot be imported"),
        ({"RESOLVERS": ["subdomain"]}, "DOMAIN"),
        ({"RESOLVERS": ["path"], "PATH": "/t/"}, "/t/{tenant}/"),
        ({"ALIAS": "nobody"}, "no alias"),
        ({"HEADER": 5}, "must be text"),
        ("header", "must be a mapping"),
    ],
)
def test_wrong_rules_are_told(rules, words):
    (message,) = told(MIDDLEWARE=[TENANT], CACHING_TENANTS=rules).values()
    assert message.id == "caching.E007"
    assert words in message.msg


@pytest.mark.parametrize(
    ("order", "rules", "ids"),
    [
        ([TENANT, UPDATE], {}, []),
        ([UPDATE, TENANT], {}, ["caching.E008"]),
        ([AUTHENTICATION, TENANT], {"RESOLVERS": ["user"]}, []),
        ([TENANT, AUTHENTICATION], {"RESOLVERS": ["user"]}, ["caching.E008"]),
        ([UPDATE, AUTHENTICATION], {}, []),
    ],
)
def test_the_order_of_middleware_is_checked(order, rules, ids):
    assert list(told(MIDDLEWARE=order, CACHING_TENANTS=rules)) == ids


def test_other_backends_are_not_ours_to_check():
    with override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache", "OPTIONS": {"L1": 1}}}):
        assert [message for message in run_checks() if message.id.startswith("caching.")] == []
