"""What a wrong configuration is told: where, what was expected, what was meant; never a secret."""

import contextlib
import copy
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caching_core.config import MASK, CacheConfig, L1Config, Secret, SecretURL, settings
from caching_core.errors import ConfigInvalid

CANARY = "canary-7f3a"


def refusal(source=None, **environ) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        CacheConfig.build(source, environ=environ)
    assert isinstance(caught.value, ValueError)
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "environ", "path", "meant"),
    [
        ({"l1_max_sise": 1}, {}, "l1_max_sise", "l1_max_size"),
        ({"redis_ur": 1}, {}, "redis_ur", "redis_url"),
        ({"l1": {"max_entrys": 1}}, {}, "l1.max_entrys", "l1.max_entries"),
        ({"l1": {"max_size": 1}}, {}, "l1.max_size", "l1.max_entries"),
        ({"tenancy": {"trusted_proxy": 1}}, {}, "tenancy.trusted_proxy", "tenancy.trusted_proxies"),
        ({"policies": {"p": {"tll": 1}}}, {}, "policies.p.tll", "policies.p.ttl"),
        ({"roles": {"r": [{"permision": "read"}]}}, {}, "permision", "permission"),
        ({"crypt": {}}, {}, "crypt", "crypto"),
        ({}, {"CACHING_L1__MAX_ENTRYS": "1"}, "CACHING_L1__MAX_ENTRYS", "CACHING_L1__MAX_ENTRIES"),
        ({}, {"CACHING_REDIS_URI": "1"}, "CACHING_REDIS_URI", "CACHING_REDIS_URL"),
    ],
)
def test_an_unknown_setting_is_named_with_the_nearest_known(source, environ, path, meant):
    text = refusal(source, **environ)
    assert f"{path}: unknown setting" in text or f"{path} (" in text
    assert f"did you mean {meant}?" in text or f".{meant}?" in text


def test_an_unknown_name_that_resembles_nothing_points_to_the_list():
    assert "settings()" in refusal({"zzzzzzzz": 1})


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ({"cache_levels": 4}, ["cache_levels", "at most 3", "got 4"]),
        ({"cache_levels": 0}, ["at least 1", "got 0"]),
        ({"cache_levels": True}, ["whole number", "bool"]),
        ({"cache_levels": 2.0}, ["whole number", "float"]),
        ({"l1_max_size": "10"}, ["l1_max_size (l1.max_entries)", "whole number", "str"]),
        ({"l1_max_size": -1}, ["at least 0", "got -1"]),
        ({"default_ttl": float("nan")}, ["default_ttl", "finite"]),
        ({"default_ttl": float("inf")}, ["default_ttl", "finite"]),
        ({"default_ttl": 0}, ["default_ttl", "more than 0"]),
        ({"max_value_bytes": 0}, ["max_value_bytes", "at least 64", "got 0"]),
        ({"max_value_bytes": 2**30}, ["max_value_bytes", "at most 536870912"]),
        ({"disk_max_bytes": 1}, ["disk_max_bytes (l2.disk_max_bytes)", "at least 1048576", "got 1"]),
        ({"disk_max_bytes": 2**51}, ["disk_max_bytes", "at most"]),
        ({"l1_max_bytes": -1}, ["l1_max_bytes", "at least 0"]),
        ({"l1_max_bytes": 2**51}, ["l1_max_bytes", "at most"]),
        ({"default_ttl": -5}, ["default_ttl", "more than 0"]),
        ({"outage_grace": -1}, ["outage_grace (coherence.outage_grace)", "at least 0"]),
        ({"l1_policy": "lur"}, ["l1_policy", "did you mean 'lru'"]),
        ({"compression_algorithm": "zst"}, ["compression_algorithm", "'zstd'"]),
        ({"compression_algorithm": 5}, ["compression_algorithm", "int"]),
        ({"strict": "yes"}, ["strict", "true or false", "str"]),
        ({"l1": 7}, ["l1", "mapping", "int"]),
        ({"l1": 7, "l1_max_size": 5}, ["l1", "mapping"]),
        ({"policies": {"a": 5}}, ["policies", "mapping"]),
        ({"policies": {"a": {"ttl": "x"}}}, ["policies.a.ttl", "None (for ever)", "str"]),
        ({"policies": {"a": {"ttl": True}}}, ["policies.a.ttl", "bool"]),
        ({"policies": {"a": {"ttl": float("nan")}}}, ["policies.a.ttl"]),
        ({"policies": {"": {}}}, ["policies", "at least 1 characters"]),
        ({"policies": {"a:*": {"ttl": -1}}}, ["policies['a:*'].ttl"]),
        ({"namespace": "@x"}, ["namespace", "first a letter or digit"]),
        ({"namespace": "../x"}, ["namespace"]),
        ({"namespace": ""}, ["namespace"]),
        ({"metrics_namespace": "9x"}, ["metrics_namespace"]),
        ({"tenant": "Acme"}, ["tenant (tenancy.tenant)", "a-z"]),
        ({"tenants": ["a", "a:b"]}, ["tenants[1]", "a-z"]),
        ({"tenants": "acme"}, ["tenants", "list"]),
        ({"redis_url": "http://h"}, ["redis_url (l2.redis_url)", "redis://"]),
        ({"redis_url": "redis://h:99999"}, ["redis_url", "cannot be read"]),
        ({"redis_url": "redis://"}, ["redis_url"]),
        ({"l3_nodes": ["h:0"]}, ["l3_nodes[0]"]),
        ({"sentinels": ["h"]}, ["sentinels[0]", "host:port"]),
        ({"trusted_proxies": ["10.0.0.0/99"]}, ["trusted_proxies[0]", "10.0.0.0/8"]),
        ({"roles": {"r": [["raed"]]}}, ["roles.r[0].permission", "did you mean 'read'"]),
        ({"roles": {"r": [[]]}}, ["permission", "required"]),
        ({"encryption_key": ""}, ["encryption_key", "empty"]),
        ({"encryption_key": MASK}, ["encryption_key", "mask"]),
        ({"alerts": {"channels": {"slak": {}}}}, ["alerts.channels", "did you mean 'slack'"]),
        ({"alerts": {"channels": {"slack": {"url": None}}}}, ["alerts.channels.slack.url", "NoneType"]),
        ({3: 4}, ["key of type int"]),
    ],
)
def test_a_wrong_value_is_told_with_its_path_and_what_was_expected(source, parts):
    text = refusal(source)
    assert [part for part in parts if part not in text] == []


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ({"l1_max_size": 0}, "l1_enabled to false"),
        ({"l1_max_bytes": 0}, "l1.max_bytes is 0"),
        ({"cache_levels": 1, "l1_enabled": False}, "no level is left"),
        ({"l1_enabled": False, "l2_enabled": False}, "no level is left"),
        ({"cache_levels": 3, "l1_enabled": False, "l2_enabled": False}, "no level is left"),
        ({"cache_levels": 2, "l1_enabled": False, "l2_enabled": False, "l3_nodes": ["h:1"]}, "no level is left"),
        ({"tenant": "a", "tenants": ["b"]}, "tenants does not name"),
        ({"tenants": ["b", "b"]}, "twice"),
        ({"tenant": "a", "tenant_isolation": False}, "tenant_isolation is false"),
        ({"tenants": ["a"], "tenant_isolation": False}, "tenant_isolation is false"),
        ({"security_enabled": False, "pickle": "trusted"}, "never stored in plain frames"),
        ({"security_enabled": False, "pickle": "django"}, "never stored in plain frames"),
        ({"security_enabled": False, "policies": {"a": {"security_level": "high"}}}, "sealed or not at all"),
        ({"pickle_allow": ["a.B"]}, "pickle_allow"),
        ({"encryption_key": "k", "key_file": "/k"}, "both set"),
        ({"redis_cluster": True}, "redis_cluster is set without redis_url"),
        ({"redis_password": "p"}, "redis_password is set without redis_url"),
        ({"redis_url": "redis://u:p@h", "redis_password": "p"}, "keep one"),
        ({"redis_url": "redis://h", "redis_cluster": True, "sentinels": ["s:1"]}, "keep one"),
        ({"default_ttl": 1, "ttl_floor": 10}, "ttl_floor"),
        ({"resilience": {"probe_interval": 9}}, "probe_interval"),
        ({"l1_max_size": 5, "l1": {"max_entries": 6}}, "l1_max_size and l1.max_entries are the same setting"),
    ],
)
def test_a_contradiction_is_told(source, part):
    assert part in refusal(source)


def test_a_number_too_long_to_print_is_refused_as_well():
    assert "at most" in refusal({"l1_max_size": 10**5000})
    assert "number" in refusal({"default_ttl": 10**5000})
    assert "metrics_port" in refusal({}, CACHING_METRICS_PORT="1" * 5000)


def test_a_contradiction_within_the_environment_is_told():
    assert "same setting" in refusal({}, CACHING_L1_MAX_SIZE="5", CACHING_L1__MAX_ENTRIES="6")


@pytest.mark.parametrize(
    "source",
    [
        {"l1_enabled": False, "l1_max_size": 0},
        {"tenant_isolation": False, "tenant": "main"},
        {"cache_levels": 1, "l1_enabled": False, "disabled": True},
        {"cache_levels": 3, "l1_enabled": False, "l2_enabled": False, "l3_nodes": ["h:1"]},
        {"cache_levels": 3, "l1_enabled": False, "l2_enabled": False, "redis_url": "redis://h", "redis_cluster": True},
    ],
)
def test_what_only_looks_like_a_contradiction_passes(source):
    CacheConfig.build(source, environ={})


def test_every_problem_is_listed_at_once():
    text = refusal({"l1_max_sise": 1, "strict": 3, "l1": {"policy": "x"}, "cache_levels": 9}, CACHING_METRICS_PORT="abc")
    assert "in 5 places" in text
    assert "CACHING_METRICS_PORT (monitoring.metrics_port): expected a whole number" in text


def test_models_made_by_hand_raise_our_error_too():
    with pytest.raises(ConfigInvalid, match="max_entries: expected at least 0"):
        L1Config(max_entries=-1)
    with pytest.raises(ConfigInvalid, match="max_entries is 0"):
        CacheConfig(l1=L1Config(max_entries=0))


def test_a_source_that_is_no_mapping_is_refused():
    assert "got list" in refusal([("strict", True)])


def test_names_from_outside_are_escaped_and_cut():
    text = refusal({"x\n\x1b[31m" + "y" * 500: 1})
    assert "\n" not in text
    assert "\x1b" not in text
    assert "…+" in text


SECRETS = {
    "encryption_key": [CANARY, f"{CANARY}-2"],
    "redis_url": f"redis://user:{CANARY}@host:6379/0?password={CANARY}",
    "l3_nodes": [f"redis://:{CANARY}@n1:1"],
    "keystore": f"redis://:{CANARY}@k:1",
    "alerts": {"channels": {"slack": {"url": f"https://hooks/{CANARY}"}}},
}


def test_secrets_are_seen_nowhere():
    config = CacheConfig.build(SECRETS, environ={})
    shown = [repr(config), str(config), repr(config.model_dump()), config.model_dump_json(), repr(vars(config)), f"{config.l2.redis_url}"]
    shown += [pickle.dumps(config, protocol).decode("latin-1") for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    assert [text for text in shown if CANARY in text] == []
    assert f"redis://user:{MASK}@host:6379/0" in repr(config)
    assert config.crypto.encryption_key[1].reveal() == f"{CANARY}-2"
    assert copy.deepcopy(config).crypto.encryption_key[0].reveal() == CANARY


def test_a_pickled_configuration_says_that_its_secrets_stayed_behind():
    config = pickle.loads(pickle.dumps(CacheConfig.build({**SECRETS, "policies": {"a": {"ttl": 1}}}, environ={})))
    assert config.policies["a"].ttl == 1
    with pytest.raises(ConfigInvalid, match="build the configuration again"):
        config.crypto.encryption_key[0].reveal()


@pytest.mark.parametrize(
    "source",
    [
        {"encryption_key": [CANARY, 5]},
        {"redis_url": f"http://u:{CANARY}@h"},
        {"redis_url": f"redis://u:{CANARY}@h:notaport"},
        {"redis_url": f"redis://u:{CANARY}@h", "redis_password": CANARY},
        {"l3_nodes": [f"ftp://:{CANARY}@x"]},
        {"encryption_key": CANARY, "crypto": {"encryption_key": CANARY + "x"}},
        {"encryption_key": {CANARY: 1}},
        {"redis_password": [CANARY], "redis_url": "redis://h"},
        {"alerts": {"channels": {"slack": {"url": [CANARY]}}}},
        {"encryption_key": CANARY, "strict": 5},
    ],
)
def test_an_error_never_shows_a_secret(source):
    try:
        CacheConfig.build(source, environ={})
    except ConfigInvalid as error:
        text = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__context__)
    assert CANARY not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://:pw@h", f"redis://:{MASK}@h"),
        ("redis://u@h", "redis://u@h"),
        ("redis://h?password=pw&db=2", f"redis://h?password={MASK}&db=2"),
        ("unix:///run/r.sock", "unix:///run/r.sock"),
        ("/var/keys.db", "/var/keys.db"),
        ("u:pw@host:1", MASK),
        ("pw@host/0", MASK),
        ("redis://u:p@w@h", f"redis://u:{MASK}@h"),
        ("redis://[u:pw@h", MASK),
    ],
)
def test_an_address_is_shown_without_its_password(url, shown):
    assert str(SecretURL(url)) == shown


def test_secrets_compare_by_what_they_hold():
    assert Secret("a") == Secret("a") != Secret("b")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != "a"


words = st.text(alphabet="ab1:@/*[{,\n\0\ud800ä-", max_size=8)
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
NAMES = [setting.flat or setting.path for setting in settings()] + ["l1", "l2", "crypto", "tenancy", "alerts", "nonsense"]


@given(st.dictionaries(st.sampled_from(NAMES), json_like, max_size=5))
def test_whatever_is_given_is_taken_or_refused_by_our_error(source):
    with contextlib.suppress(ConfigInvalid):
        CacheConfig.build(source, environ={})


@given(st.dictionaries(st.sampled_from([setting.variable for setting in settings()]), words, max_size=5))
def test_whatever_the_environment_says_is_taken_or_refused_by_our_error(environ):
    with contextlib.suppress(ConfigInvalid):
        CacheConfig.build({}, environ=environ)
