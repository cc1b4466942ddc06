"""What every test can ask for: the shared contracts, one body for both worlds, skips that may be forbidden."""

import asyncio
import os
import select
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable
from inspect import iscoroutinefunction
from pathlib import Path

import pytest

pytest_plugins = ["caching_core.testing.fixtures"]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder with pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with the specification, traces and conformance suites."""
    named = os.environ.get("CACHING_SHARED")
    folder = Path(named) if named else ROOT.parent / "shared"
    if not (folder / "spec").is_dir():
        pytest.skip(f"shared: no {folder.name}/spec beside the checkout; CACHING_SHARED names another place")
    return folder


@pytest.fixture(params=["blocking", "loop"])
def world(request: pytest.FixtureRequest) -> str:
    """Run an ``async def`` test twice: driven by run_sync over blocking ports, and on an event loop."""
    return request.param


@pytest.fixture
def eventually() -> Callable[..., object]:
    """Wait until a condition holds, where nothing tells of it: ``eventually(lambda: …)``; fails after ``timeout`` seconds.

    The one place that polls. What can be waited on (a pipe, an event, a process) is waited on.
    """

    def wait(condition: Callable[[], object], timeout: float = 20.0) -> object:
        until = time.monotonic() + timeout
        while True:
            found = condition()
            if found or time.monotonic() > until:
                assert found, "the condition never held"
                return found
            time.sleep(0.01)

    return wait


@pytest.fixture
def survivors() -> Callable[..., list[int]]:
    """Wait for processes, children or not, to end; return those that have not after ``timeout`` seconds."""

    def wait(pids: Iterable[int], timeout: float = 10.0) -> list[int]:
        until = time.monotonic() + timeout
        alive = []
        for pid in pids:
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:  # ended, and its parent knows
                continue
            try:
                if not select.select([handle], [], [], max(0.0, until - time.monotonic()))[0]:
                    alive.append(pid)
            finally:
                os.close(handle)
        return alive

    return wait


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function, in the world that it asks for (without one: on a loop)."""
    if not iscoroutinefunction(pyfuncitem.obj):
        return None
    from caching_core.runtime import run_sync

    names = pyfuncitem._fixtureinfo.argnames
    coro = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    drive = run_sync if pyfuncitem.funcargs.get("world") == "blocking" else asyncio.run
    drive(coro)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that skips for want of something that CACHING_REQUIRE names (its reason begins ``name:``)."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.partition(":")[0] in {name.strip() for name in os.environ.get("CACHING_REQUIRE", "").split(",")}:
            report.outcome = "failed"
            report.longrepr = f"required by CACHING_REQUIRE, but skipped: {reason}"
    return report


@pytest.fixture
def on_redis(request: pytest.FixtureRequest) -> Callable[[], dict[str, object]]:
    """Return the settings of a cache whose values are in the session's server: ``on_redis()``, asked only where they are used.

    With a deadline that a busy machine does not miss.
    """

    def settings() -> dict[str, object]:
        server = request.getfixturevalue("valkey_server")
        return {"redis_url": server.url.reveal(), "encryption_key": b64encode(bytes(range(32))).decode(), "l2": {"deadline": 10}}

    return settings


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory) -> object:
    """A certificate for 127.0.0.1 that is its own authority."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import IPv4Address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from caching_core.embedded import TLSFiles

    folder: Path = tmp_path_factory.mktemp("tls files")  # a blank in the path, on purpose
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server of a test")])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now - timedelta(hours=1), now + timedelta(hours=1)
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = TLSFiles(certificate=folder / "cert.pem", key=folder / "key.pem", authority=folder / "cert.pem")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files.key.write_bytes(private)
    assert ssl.create_default_context(cafile=files.authority)
    return files
