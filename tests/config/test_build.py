"""Building a configuration: flat keys, groups, both, the environment, and who wins."""

from pathlib import Path
from types import MappingProxyType

import pytest
from annotated_types import Ge, Gt, Le, Lt

from caching_core.config import CacheConfig, EntryPolicy, Grant, L1Config, settings
from caching_core.config._sources import group_type
from caching_core.errors import ConfigInvalid
from caching_core.types import UNSET, CompressionAlgorithm

SPECIFICATION = {
    "cache_levels": 3,
    "l1_enabled": True,
    "l1_max_size": 10000,
    "l1_policy": "adaptive",
    "l2_enabled": True,
    "redis_url": "redis://localhost:6379",
    "redis_cluster": False,
    "compression_enabled": True,
    "compression_algorithm": "zstd",
    "monitoring_enabled": True,
    "metrics_port": 8001,
    "health_check_interval": 60,
    "security_enabled": True,
    "encryption_key": "ihr-geheimer-schlüssel",
    "tenant_isolation": True,
    "ml_predictions": True,
    "auto_optimization": True,
}
ARCHITECTURE = """
    cache_levels l1_enabled l1_max_size l1_policy l1_max_bytes l1_max_age l2_enabled redis_url redis_cluster compression_enabled
    compression_algorithm monitoring_enabled metrics_port health_check_interval security_enabled encryption_key tenant_isolation
    ml_predictions auto_optimization directory disk_max_bytes l3_nodes tenant tenants roles namespace metrics_namespace default_ttl
    max_value_bytes key_privacy keystore key_file audit_keystore pickle pickle_allow serializer strategy outage_grace on_failover
    log_max_records log_shards shards coherence read_only strict trusted_proxies ttl_floor ttl_stretch sentinels redis_username
    redis_password redis_tls policies
"""
GROUPS = ("l1", "l2", "l3", "crypto", "tenancy", "coherence", "resilience", "audit", "learning", "monitoring", "alerts")


def build(source=None, **environ) -> CacheConfig:
    return CacheConfig.build(source, environ=environ)


def test_the_defaults_are_those_of_the_design():
    config = build()
    assert (config.cache_levels, config.namespace, config.default_ttl, config.max_value_bytes) == (2, "default", 300, 16 * 2**20)
    assert (config.l1.max_entries, config.l1.policy, config.l1.max_age) == (10_000, "s3fifo", 5.0)
    assert (config.l2.disk_max_bytes, config.l2.deadline, config.l3.deadline) == (2**30, 0.1, 0.2)
    assert config.compression is CompressionAlgorithm.AUTO
    assert not any((config.learning.ml_predictions, config.learning.auto_optimization, config.strict, config.disabled))


def test_the_mapping_of_the_specification_is_understood():
    config = build(SPECIFICATION)
    assert (config.cache_levels, config.l1.policy, config.monitoring.metrics_port) == (3, "adaptive", 8001)
    assert [key.reveal() for key in config.crypto.encryption_key] == ["ihr-geheimer-schlüssel"]
    assert config.learning.ml_predictions
    assert config.learning.auto_optimization


def test_every_flat_key_of_the_design_exists():
    known = {setting.flat for setting in settings()}
    assert set(ARCHITECTURE.split()) <= known
    assert set(SPECIFICATION) <= known
    assert {setting.path.partition(".")[0] for setting in settings() if "." in setting.path} == set(GROUPS)


def test_every_setting_is_explained():
    assert [setting.path for setting in settings() if len(setting.meaning) < 10 or not setting.default] == ["metrics_namespace"]


def models(model=CacheConfig):
    yield model
    for info in model.model_fields.values():
        kind = group_type(info.annotation)
        if kind is not None:
            yield from models(kind)


def test_no_field_has_two_bounds_of_one_kind():
    """Of two, the last one counts: a type's own bound would widen the tighter one of the field."""
    every = [*models(), EntryPolicy, Grant]
    doubled = [
        f"{model.__name__}.{name}: {kind.__name__}"
        for model in every
        for name, info in model.model_fields.items()
        for kind in (Ge, Gt, Le, Lt)
        if sum(isinstance(bound, kind) for bound in info.metadata) > 1
    ]
    assert len(every) == 14
    assert doubled == []


def test_groups_flat_keys_and_both_give_the_same():
    flat = build({"l1_max_size": 7, "l1_policy": "lru", "coherence": "ttl"})
    nested = build({"l1": {"max_entries": 7, "policy": "lru"}, "coherence": {"mode": "ttl"}})
    mixed = build({"l1_max_size": 7, "l1": MappingProxyType({"policy": "lru", "max_entries": 7}), "coherence": "ttl"})
    typed = build({"l1": L1Config(max_entries=7, policy="lru"), "coherence": "ttl"})
    assert flat == nested == mixed == typed


def test_the_environment_fills_what_the_code_left_open():
    environ = {
        "CACHING_L1__MAX_ENTRIES": "50",
        "CACHING_L1_POLICY": "lru",
        "CACHING_DEFAULT_TTL": "none",
        "CACHING_STRICT": "yes",
        "CACHING_TENANTS": "acme, globex",
        "CACHING_DIRECTORY": "/srv/cache",
        "CACHING_POLICIES": '{"page:*": {"ttl": 60}}',
        "CACHING_L2__DEADLINE": "0.5",
        "CACHING_REDIS_URL": "",
        "CACHING_SHARED": "/x",
        "CACHING_ENCRYPTION_KEYS": "k",
        "OTHER": "1",
    }
    config = build({"l1_max_size": 9}, **environ)
    assert (config.l1.max_entries, config.l1.policy, config.default_ttl, config.strict) == (9, "lru", None, True)
    assert (config.tenancy.tenants, config.directory, config.l2.deadline) == (("acme", "globex"), Path("/srv/cache"), 0.5)
    assert config.policies["page:*"].ttl == 60
    assert config.l2.redis_url is None


@pytest.mark.parametrize("source", [{"disabled": False}, {}, CacheConfig(disabled=False), None])
def test_the_switch_of_the_environment_beats_everything(source):
    assert build(source, CACHING_DISABLED="1").disabled
    assert not build(source, CACHING_DISABLED="0").disabled


def test_a_switch_that_cannot_be_read_is_an_error():
    with pytest.raises(ConfigInvalid, match="CACHING_DISABLED"):
        build({}, CACHING_DISABLED="perhaps")


def test_without_an_environ_the_process_s_own_counts(monkeypatch):
    monkeypatch.setenv("CACHING_NAMESPACE", "from-outside")
    assert CacheConfig.build({}).namespace == "from-outside"
    assert CacheConfig.build({}, environ={}).namespace == "default"


def test_a_built_configuration_stays_as_it_is():
    config = build({**SPECIFICATION, "policies": {"a*": {"ttl": None}}, "roles": {"r": ["read", ["write", "a:*", "deny"]]}})
    assert build(config, CACHING_NAMESPACE="other") == config


def test_a_copy_that_skipped_the_checks_is_checked_again():
    with pytest.raises(ConfigInvalid, match="cache_levels"):
        build(build().model_copy(update={"cache_levels": 9}))


def test_a_part_that_skipped_the_checks_is_checked_again():
    wrong = EntryPolicy().model_copy(update={"ttl": "soon"})
    with pytest.raises(ConfigInvalid, match=r"policies\.a\.ttl"):
        build({"policies": {"a": EntryPolicy()}}).replace({"policies": {"a": wrong}})
    with pytest.raises(ConfigInvalid, match=r"policies\.a\.ttl"):
        build(build().model_copy(update={"policies": {"a": wrong}}))


def test_a_dump_reads_back():
    config = build({**SPECIFICATION, "redis_url": "redis://u:pw@h:1/0", "policies": {"a": {"ttl": 5}}})
    assert build(config.model_dump()) == config


def test_replace_changes_what_it_is_told_and_nothing_else():
    config = build({"l1_max_size": 5, "namespace": "n", "policies": {"a": {"ttl": 1}}})
    other = config.replace({"l1": {"policy": "lru"}, "ml_predictions": True, "policies": {"b": {}}})
    assert (other.l1.max_entries, other.l1.policy, other.namespace, other.learning.ml_predictions) == (5, "lru", "n", True)
    assert set(other.policies) == {"b"}
    assert config.l1.policy == "s3fifo"
    with pytest.raises(ConfigInvalid, match="l1_polizy"):
        config.replace({"l1_polizy": "lru"})


def test_a_configuration_cannot_be_changed():
    config = build({"policies": {"a": {"ttl": 1}}, "roles": {"r": ["read"]}})
    with pytest.raises(ValueError, match="frozen"):
        config.strict = True
    with pytest.raises(ValueError, match="frozen"):
        config.l1.policy = "lru"
    for change in (lambda: config.policies.update(b=EntryPolicy()), lambda: config.tenancy.roles.pop("r")):
        with pytest.raises(TypeError, match="cannot be changed"):
            change()
    with pytest.raises(TypeError):
        config.policies["b"] = EntryPolicy()
    assert hash(config) == hash(build(config))


def test_a_policy_tells_for_ever_from_unset():
    config = build({"policies": {"a": {"ttl": None}, "b": {}, "c": {"ttl": 0}}})
    assert [config.policies[name].ttl for name in "abc"] == [None, UNSET, 0.0]


def test_grants_have_short_forms():
    roles = build({"roles": {"r": ["read", ["write", "a:*"], {"permission": "clear", "effect": "deny"}], "one": "stats"}}).tenancy.roles
    assert [(grant.permission, grant.keys, grant.effect) for grant in roles["r"]] == [
        ("read", "*", "allow"),
        ("write", "a:*", "allow"),
        ("clear", "*", "deny"),
    ]
    assert roles["one"][0].permission == "stats"


def test_addresses_have_short_forms():
    config = build(
        {
            "l3_nodes": ["h1:7000", "[::1]:7001", "rediss://u:p@h2:1"],
            "redis_url": "redis://mymaster/0",
            "sentinels": [("s1", 26379), "s2:26379"],
            "trusted_proxies": ["10.1.2.3/8", "::1"],
        }
    )
    assert [node.reveal() for node in config.l3.nodes] == ["redis://h1:7000", "redis://[::1]:7001", "rediss://u:p@h2:1"]
    assert config.l2.sentinels == ("s1:26379", "s2:26379")
    assert config.tenancy.trusted_proxies == ("10.0.0.0/8", "::1/128")
