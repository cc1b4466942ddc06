"""TLS and passwords: the cache speaks to a real server through a terminator, since the small server at hand has no TLS itself."""

import asyncio
import contextlib
import socket
import ssl
import threading
from urllib.parse import urlsplit

import pytest

from caching_core.errors import TierUnavailable
from caching_core.runtime import run_sync
from caching_core.tiers.redis import Address, BlockingLink, Health, LoopLink, RedisStore


class Terminator:
    """Takes TLS on a loopback port and passes on what comes to a plain one."""

    def __init__(self, files, port):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(files.certificate, files.key)
        self._target = port
        self._threads = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, connection)

    def _serve(self, connection):
        try:
            with (
                self._context.wrap_socket(connection, server_side=True) as outer,
                socket.create_connection(("127.0.0.1", self._target)) as inner,
            ):
                back = threading.Thread(target=self._pass_on, args=(inner, outer), daemon=True)
                back.start()
                self._pass_on(outer, inner)
                back.join()
        except OSError:
            pass  # a client that does not trust it, or goes away

    @staticmethod
    def _pass_on(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for each in (source, sink):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def settle(self):
        """Wait until what was refused has been closed on this side."""
        for thread in self._threads[1:]:
            thread.join()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()


@pytest.fixture
def terminator(valkey_server, tls_files):
    made = Terminator(tls_files, urlsplit(valkey_server.url.reveal()).port)
    yield made
    made.close()


def address(terminator, server, authority):
    password = urlsplit(server.url.reveal()).password
    return Address.parse(f"rediss://127.0.0.1:{terminator.port}/0?ssl_ca_certs={authority}", password=password)


def asked(world, place, settle=lambda: None):
    """Store and read a value in a world; what it came back as."""
    health = Health(place)

    async def trip(store):
        try:
            frame = bytes(80)
            await store.mutate([put(frame)])
            return await store.get("cc:{a}:name"), frame
        finally:
            store.close()

    if world == "loop":

        async def whole():
            try:
                return await trip(RedisStore(LoopLink(health, deadline=10)))
            finally:
                await asyncio.to_thread(settle)  # asyncio closes a refused connection when the other side has

        return asyncio.run(whole())
    return run_sync(trip(RedisStore(BlockingLink(health, deadline=10))))


def put(frame):
    from caching_core.tiers import Put

    return Put("cc:{a}:name", frame, None)


@pytest.mark.parametrize("kind", ["blocking", "loop"])
def test_values_pass_through_tls(kind, terminator, valkey_server, tls_files):
    found, frame = asked(kind, address(terminator, valkey_server, tls_files.authority))
    assert found == b"\0" + frame


@pytest.mark.parametrize("kind", ["blocking", "loop"])
def test_a_server_that_is_not_trusted_is_refused(kind, terminator, valkey_server, tmp_path):
    import certifi

    with pytest.raises(TierUnavailable):
        asked(kind, address(terminator, valkey_server, certifi.where()), terminator.settle)


def test_redis_tls_makes_a_plain_address_speak_it(terminator, valkey_server, tls_files):
    plain = f"redis://127.0.0.1:{terminator.port}/0?ssl_ca_certs={tls_files.authority}"
    place = Address.parse(plain, password=urlsplit(valkey_server.url.reveal()).password, tls=True)
    found, frame = asked("blocking", place)
    assert found == b"\0" + frame
