"""The command that makes keys, and that every command which a message names is there."""

import ast
import base64
import re
from pathlib import Path

import pytest
from typer.main import get_command

from caching_core.cli._app import build_app
from caching_core.crypto import parse_encryption_key

PACKAGE = Path(__file__).parents[2] / "caching_core"
NAMED = re.compile(r"\bcaching ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)")


def test_a_new_key_is_32_random_bytes_and_taken_as_it_is(caching, tmp_path):
    ran = caching("keystore", "new-key")
    assert ran.code == 0
    key = ran.out.strip()
    assert len(base64.b64decode(key, validate=True)) == 32
    assert parse_encryption_key(key, "default") == base64.b64decode(key)  # a passphrase would warn, and a warning is an error
    assert caching("keystore", "new-key").out.strip() != key
    assert list(tmp_path.iterdir()) == []


def test_as_json(caching):
    assert list(caching("keystore", "new-key", "--json").data) == ["key"]


def test_the_help_says_where_to_put_it(caching):
    told = " ".join(caching("keystore", "new-key", "--help").out.split())
    places = ("encryption_key", "key_file", "CACHING_ENCRYPTION_KEYS", "redis_url", "on every host")
    assert [place for place in places if place not in told] == []


def test_a_cache_opens_with_it_and_only_with_it(caching):
    key = caching("keystore", "new-key").out.strip()
    assert caching("set", "k", "v", env={"CACHING_ENCRYPTION_KEYS": key}).code == 0
    assert caching("get", "k", env={"CACHING_ENCRYPTION_KEYS": key}).out.strip() == "v"
    other = caching("keystore", "new-key").out.strip()
    assert caching("get", "k", env={"CACHING_ENCRYPTION_KEYS": other}).code == 1


def texts(path: Path):
    """Yield the texts of a module's literals; an f-string's pieces are each one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def named_commands():
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for text in texts(path):
            for name in NAMED.findall(text):
                found.setdefault(name, path.relative_to(PACKAGE).as_posix())
    return sorted(found.items())


@pytest.mark.parametrize(("name", "place"), named_commands())
def test_a_command_that_a_text_names_is_there(name, place):
    root = get_command(build_app())
    first, _, second = name.partition(" ")
    assert first in root.commands, f"{place} sends its reader to `caching {name}`"
    if second and hasattr(root.commands[first], "commands"):
        assert second in root.commands[first].commands, f"{place} sends its reader to `caching {name}`"


def test_texts_do_name_commands():
    assert {"keystore new-key", "audit verify"} <= {name for name, _ in named_commands()}
