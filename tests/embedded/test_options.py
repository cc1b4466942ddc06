"""Options that would not do are refused before anything starts, and nothing given can mean another directive."""

from pathlib import Path

import pytest

from caching_core.config import Secret
from caching_core.embedded import ServerOptions, TLSFiles
from caching_core.embedded._address import Address
from caching_core.embedded._directives import directives, quoted
from caching_core.errors import ConfigInvalid

FILES = TLSFiles(certificate=Path("/c"), key=Path("/k"), authority=Path("/a"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"port": None}, "needs an address"),
        ({"port": None, "unix_socket": True, "tls": FILES}, "tls is for the TCP port"),
        ({"port": 65536}, "65536 is not between"),
        ({"port": -1}, "-1 is not between"),
        ({"password": "x" * 513}, "more than 512 bytes"),
        ({"password": "a\0b"}, "holds a NUL"),
        ({"password": "\udcff"}, "UTF-8"),
        ({"durable": True}, "needs a directory"),
        ({"max_memory": 0}, "no size in bytes"),
        ({"eviction": "allkeys-lru"}, "'allkeys-lru' is not one of noeviction, volatile-lru"),
        ({"settings": {"maxmemory-policy": "allkeys-lru"}}, "maxmemory-policy is the supervisor's"),
        ({"settings": {"include": "/etc/redis.conf"}}, "include is the supervisor's"),
        ({"settings": {"hz 10\nport": "1"}}, "is not a directive"),
        ({"settings": {"Port": "1"}}, "is not a directive"),
    ],
)
def test_what_cannot_work_is_refused(given, words):
    with pytest.raises(ConfigInvalid, match=words):
        ServerOptions(**given)


def test_secrets_do_not_show():
    options = ServerOptions(password="hidden-1", settings={"primaryauth": "hidden-2"})
    assert "hidden" not in repr(options)


def test_every_value_is_one_argument_on_one_line():
    assert quoted('a "b"\\\n\xe9') == b'"a \\x22b\\x22\\x5c\\x0a\\xc3\\xa9"'
    options = ServerOptions(password='"\nport 1', settings={"client-output-buffer-limit": ("normal", "0", "0", "0"), "hz": "50"})
    address = Address(7000, None, None, Secret(options.password))
    lines = directives(options, address, Path("/d"), knows_debug=True).decode().splitlines()
    assert [line for line in lines if line.startswith("port")] == ['port "7000"']
    assert 'client-output-buffer-limit "normal" "0" "0" "0"' in lines
    assert {'hz "50"', 'save ""', 'appendonly "no"', 'bind "127.0.0.1"'} <= set(lines)


def test_an_address_masks_its_password():
    address = Address(7000, Path("/a b/s"), FILES, Secret("p/w@"))
    assert str(address) == "127.0.0.1:7000 and /a b/s"
    assert "p/w" not in repr(address)
    assert str(address.url()) == "rediss://:********@127.0.0.1:7000/0?ssl_ca_certs=********"
    assert address.url().reveal() == "rediss://:p%2Fw%40@127.0.0.1:7000/0?ssl_ca_certs=/a"
    assert str(address.unix_url()) == "unix://:********@/a%20b/s?db=0"
