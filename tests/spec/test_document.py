"""Every code block of the specification, run as it stands there (``caching`` reads ``caching_core``)."""

import ast
import asyncio
import inspect
import re
import tomllib
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from caching_core.embedded import ServerOptions
from caching_core.errors import TierUnavailable

Namespace = dict[str, Any]
Verify = Callable[[Namespace, Any], Awaitable[None]]
BLOCK = re.compile(r"^#{2,4} (?P<heading>[^\n]+)\n|^```(?P<language>\w*)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)


def missing(part: str, refusal: type[Exception] = NotImplementedError) -> pytest.MarkDecorator:
    """Expect a block to fail for want of what ``part`` brings, and for no other reason."""
    return pytest.mark.xfail(strict=True, reason=part, raises=(AttributeError, ImportError, refusal))


@dataclass(frozen=True, slots=True)
class Block:
    """One code block and the heading it stands under."""

    heading: str
    language: str
    body: str


@pytest.fixture(scope="module")
def blocks(shared_dir) -> dict[str, Block]:
    found: dict[str, Block] = {}
    heading = ""
    for match in BLOCK.finditer((shared_dir / "spec" / "system.de.md").read_text(encoding="utf-8")):
        if match["heading"]:
            heading = match["heading"].strip()
        else:
            assert heading not in found, f"two blocks under {heading}"
            found[heading] = Block(heading, match["language"], match["body"])
    return found


async def perform(block: Block, namespace: Namespace) -> None:
    """Run a block with its top-level awaits."""
    source = re.sub(r"\bfrom caching\b", "from caching_core", block.body)
    code = compile(source, block.heading, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result = eval(code, namespace)
    if inspect.isawaitable(result):
        await result


async def basic_operations(names: Namespace, manager: Any) -> None:
    assert names["user"] == names["user_data"]
    assert await manager.get("session:abc", tenant_id="tenant1") == names["session_data"]
    assert await manager.get("analytics:report", tenant_id="tenant1") == names["large_data"]
    await manager.tenant("tenant1").invalidate_tags("active")
    assert await manager.get("session:abc", tenant_id="tenant1") is None
    assert await manager.get("user:123", tenant_id="tenant1") == names["user_data"]


async def two_tenants(names: Namespace, _: Any) -> None:
    assert names["config_a"] == {"theme": "dark"}
    assert names["config_b"] == {"theme": "light"}


async def strategy(_: Namespace, manager: Any) -> None:
    handle = manager.tenant("tenant1")
    await handle.set("page", 1, strategy="business_logic", context={"cache_priority": "low"})
    assert await handle.get("page") is None
    await handle.set("user_session:1", 1, strategy="business_logic", context={"cache_priority": "high"})
    assert await handle.get("user_session:1") == 1
    assert 1790 < await handle.ttl("user_session:1") <= 1800
    await handle.set("other", 1, strategy="business_logic", context={"cache_priority": "high"})
    assert 3590 < await handle.ttl("other") <= 3600


async def serializer(names: Namespace, manager: Any) -> None:
    value = names["MyProtobufClass"]("grüße")
    await manager.set("message", value, tenant_id="tenant1", serializer="protobuf", ttl=60)
    seen = await manager.get("message", tenant_id="tenant1")
    assert seen == value
    assert seen is not value


async def sensitive(names: Namespace, manager: Any) -> None:
    assert await manager.get("user_credentials", tenant_id="tenant1") == names["sensitive_data"]


async def nothing_more(_: Namespace, __: Any) -> None:
    """The block's own calls are the test."""


CASES: dict[str, tuple[Verify, tuple[pytest.MarkDecorator, ...]]] = {
    "Grundoperationen": (basic_operations, ()),
    "Multi-Tenant Cache": (two_tenants, ()),
    "Analytics & Optimierung": (nothing_more, (missing("later part"),)),
    "Alarm-Konfiguration": (nothing_more, (missing("later part"),)),
    "Benutzerdefinierte Cache-Strategien": (strategy, ()),
    "Benutzerdefinierte Serialisierer": (serializer, ()),
    "Verschlüsselung sensibler Daten": (sensitive, ()),
    "Audit & Compliance": (nothing_more, (missing("part 4"),)),
    "Circuit Breaker": (nothing_more, (missing("part 3"),)),
    "Recovery-Strategien": (nothing_more, (missing("part 3"),)),
    "Integriertes Benchmarking": (nothing_more, (missing("part 5"),)),
    "ML Auto-Tuning": (nothing_more, (missing("later part"),)),
}
OTHERS = {"Abhängigkeiten", "Basiskonfiguration", "Prometheus-Metriken"}


def test_every_block_has_a_test(blocks):
    assert blocks.keys() == CASES.keys() | OTHERS
    assert {blocks[heading].language for heading in CASES} == {"python"}


@pytest.mark.parametrize("heading", [pytest.param(heading, marks=marks) for heading, (_, marks) in CASES.items()])
async def test_block(heading, blocks, opened, data):
    async with opened() as manager:
        names: Namespace = {"cache_manager": manager, "Any": Any, "Dict": dict, "__name__": "block", **data}
        await perform(blocks[heading], names)
        await CASES[heading][0](names, manager)


@pytest.mark.filterwarnings("ignore::caching_core.crypto.CacheSecurityWarning")  # its key is a passphrase
async def test_the_basic_configuration_works(blocks, tmp_path, monkeypatch, valkey_factory, eventually):
    monkeypatch.setenv("CACHING_DIRECTORY", str(tmp_path / "cache"))
    try:
        valkey_factory(ServerOptions(port=6379, password=""))
    except TierUnavailable as taken:
        pytest.skip(f"valkey: the specification's port 6379 is not free: {taken}")
    names: Namespace = {"__name__": "block"}
    try:
        await perform(blocks["Basiskonfiguration"], names)
        manager = names["cache_manager"]
        await manager.set("k", 1, tenant_id="tenant1", ttl=60)
        assert await manager.get("k", tenant_id="tenant1") == 1
        assert {tier.tier for tier in (await manager.health()).tiers} == {"memory", "redis"}
        assert "cache_hits_total" in await asyncio.to_thread(eventually, lambda: scrape(8001))
    finally:
        if "cache_manager" in names:
            await names["cache_manager"].close()


def scrape(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
            return response.read().decode()
    except URLError:
        return ""


async def test_the_metrics_are_in_a_scrape(blocks, opened):
    families = set(re.findall(r"^(\w+)\{", blocks["Prometheus-Metriken"].body, re.MULTILINE))
    assert len(families) == 8
    async with opened(monitoring_enabled=True, metrics_namespace="spotify_ai") as manager:
        await manager.set("k", 1, tenant_id="tenant1", ttl=60)
        await manager.get("k", tenant_id="tenant1")
        text = manager.metrics_text()
    assert {name for name in families if not re.search(rf"^{name}(_bucket)?\{{", text, re.MULTILINE)} == set()


def test_the_dependencies_are_ours(blocks, checkout):
    asked = [Requirement(line.removeprefix("pip install ")) for line in blocks["Abhängigkeiten"].body.splitlines()]
    assert len(asked) == 8
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = [*project["dependencies"], *project["optional-dependencies"]["ml"]]
    ours = {canonicalize_name(requirement.name): requirement.specifier for requirement in map(Requirement, stated)}
    for requirement in asked:
        lowest = [Version(part.version) for part in ours[canonicalize_name(requirement.name)] if part.operator == ">="]
        assert requirement.specifier.contains(lowest[0]), requirement
