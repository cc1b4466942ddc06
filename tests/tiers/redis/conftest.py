"""A scripted server on a real socket, and a link of either world as a test asks it."""

import asyncio
import socket
import threading
from collections.abc import Callable

import pytest

from caching_core.tiers.redis import Address, BlockingLink, Health, LoopLink

PING = b"*1\r\n$4\r\nPING\r\n"


class Scripted:
    """A server on a loopback port that answers each command with ``answer(connection)``; it counts connections and commands."""

    def __init__(self, answer: Callable[[socket.socket], None], port: int = 0) -> None:
        self.answer = answer
        self.connections = self.commands = self.received = 0
        self.stopped = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                while not self.stopped.is_set() and (data := connection.recv(65536)):
                    self.commands += 1
                    self.received += len(data)
                    self.answer(connection)
        except OSError:
            pass

    def end_all(self) -> None:
        """End the connections as a server does that has been idle with them; whoever connects next is served."""
        while self._open:
            try:
                self._open.pop().shutdown(socket.SHUT_RDWR)  # its thread closes it
            except OSError:
                pass
        for thread in self._threads:
            thread.join()

    def close(self) -> None:
        self.stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        self.end_all()


def pong(connection: socket.socket) -> None:
    connection.sendall(b"+PONG\r\n")


class Asking:
    """A link of either world as a test asks it, and what it was told of the server's health."""

    def __init__(self, world: str, port: int, deadline: float = 0.1, password: str = "") -> None:
        self.told: list[str | None] = []
        self.back, self.gone = threading.Event(), threading.Event()
        self.health = Health(Address.parse(f"redis://:{password}@127.0.0.1:{port}"), on_change=self._hear)
        self._runner = asyncio.Runner() if world == "loop" else None
        self._link = LoopLink(self.health, deadline=deadline) if self._runner else BlockingLink(self.health, deadline=deadline)

    def _hear(self, reason: str | None) -> None:
        self.told.append(reason)
        (self.back if reason is None else self.gone).set()

    def ask(self, packed: bytes = PING, count: int = 1, *, again: bool = False) -> list:
        if self._runner is None:
            return self._link.ask_now(packed, count, again=again)
        return self._runner.run(self._link.ask(packed, count, again=again))

    def close(self) -> None:
        if self._runner is not None:
            self._runner.run(self._closed())
            self._runner.close()
        else:
            self._link.close()

    async def _closed(self) -> None:
        self._link.close()
        await asyncio.sleep(0)


@pytest.fixture(params=["blocking", "loop"])
def asking(request):
    made = []

    def make(port: int, **options) -> Asking:
        made.append(Asking(request.param, port, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def scripted():
    made = []

    def make(answer=pong, **options) -> Scripted:
        made.append(Scripted(answer, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
