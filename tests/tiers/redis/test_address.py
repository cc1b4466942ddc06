"""What a redis_url may say, and what is never repeated of it."""

import pytest

from caching_core import CacheConfig
from caching_core.errors import ConfigInvalid
from caching_core.tiers.redis import Address


@pytest.mark.parametrize("query", ["max_connections=20", "timeout=3", "socket_timeout=5&protocol=3", "health_check_interval=30"])
def test_options_of_pools_are_done_without(query):
    address = Address.parse(f"redis://127.0.0.1:6379/0?{query}")
    assert address.connection().socket_timeout == 2.0
    assert address.where == "127.0.0.1:6379/0"


@pytest.mark.parametrize(
    ("query", "named"), [("foo=1", "foo"), ("retry=1&encoder_class=x", "encoder_class"), ("ssl_ca_certs=x", "ssl_ca_certs")]
)
def test_options_that_no_connection_takes_are_refused_by_name(query, named):
    with pytest.raises(ConfigInvalid, match=named):
        Address.parse(f"redis://:hunter2@127.0.0.1:6379/0?{query}")


@pytest.mark.parametrize("host", ["a" * 64, "a..b"])
def test_a_host_that_none_can_be_named_is_refused(host):
    with pytest.raises(ConfigInvalid, match="host"):
        Address.parse(f"redis://:hunter2@{host}:6379/0")


@pytest.mark.parametrize("url", ["redis://user:12/hunter2@127.0.0.1:6379/0", "redis://h:1/hunter2", "redis://:12#hunter2@h/0"])
def test_no_part_of_a_password_is_shown(url):
    assert "hunter2" not in Address.parse(url).where


@pytest.mark.parametrize("url", ["redis://user:12/hunter2@127.0.0.1:6379/0", "redis://user:12#hunter2@127.0.0.1:6379/0"])
def test_a_password_that_reads_as_a_path_is_refused_and_not_repeated(url):
    with pytest.raises(ConfigInvalid, match="%2F") as refused:
        CacheConfig.build({"redis_url": url})
    assert "hunter2" not in str(refused.value)
    assert "user" not in str(refused.value)
