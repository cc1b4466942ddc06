"""A local server: started when it is needed, gone when its process is gone."""

import os
import secrets
import signal
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from caching_core.config import Secret, SecretURL
from caching_core.embedded._address import Address, free_port
from caching_core.embedded._binary import find_server_binary, major_version
from caching_core.embedded._directives import directives
from caching_core.embedded._options import ServerOptions
from caching_core.embedded._place import Place
from caching_core.embedded._process import ServerProcess
from caching_core.embedded._resp import Connection, Reply
from caching_core.errors import DeadlineExceeded, TierUnavailable

_PORT_TRIES: Final = 5
_ASK_SECONDS: Final = 0.01
_ANSWER_SECONDS: Final = 1.0
# Debug commands are open in older servers, which do not know the directive.
_DEBUG_DIRECTIVE_SINCE: Final = 7


class EmbeddedServer:
    """A Valkey or Redis server on this host, reachable by this user alone, that never outlives the process that started it.

    Its address is settled by the first start and stays over ``stop`` and ``start``. ``close`` also removes a temporary
    directory; leaving the context does it, and so does the end of the process. Thread-safe. In a forked child the
    address is good, and ``close`` and ``stop`` do nothing; the rest is the parent's.
    """

    def __init__(self, options: ServerOptions | None = None) -> None:
        self._options = options if options is not None else ServerOptions()
        given = self._options.password
        self._password = Secret(secrets.token_urlsafe(32) if given is None else given)
        self._lock = threading.RLock()
        self._holdings = _Holdings()
        self._address: Address | None = None
        weakref.finalize(self, self._holdings.release)

    @property
    def is_running(self) -> bool:
        """Return whether the server's process is there; it may be paused."""
        process = self._holdings.process
        return process is not None and not process.wait(0)

    @property
    def pid(self) -> int:
        """The process id of the server; TierUnavailable if it does not run."""
        return self._running().pid

    @property
    def address(self) -> str:
        """Where it listens, in words: ``127.0.0.1:port``, a path, or both."""
        return str(self._settled())

    @property
    def port(self) -> int | None:
        """The TCP port; None without one."""
        return self._settled().port

    @property
    def socket_path(self) -> Path | None:
        """The unix socket; None without one."""
        return self._settled().socket_path

    @property
    def password(self) -> Secret:
        """The password; empty if it asks for none."""
        return self._password

    @property
    def url(self) -> SecretURL:
        """The URL for clients, of the TCP port where there is one; its password shows only by ``reveal()``."""
        return self._settled().url()

    @property
    def unix_url(self) -> SecretURL:
        """The URL of the unix socket, masked in the same way."""
        return self._settled().unix_url()

    @property
    def log_path(self) -> Path:
        """The file that keeps what the server says."""
        place = self._holdings.place
        if place is None:
            raise TierUnavailable("this server has not been started; call start()")
        return place.log

    def start(self, *, timeout: float = 10.0) -> Self:
        """Start the server and return when it answers; nothing happens if it runs.

        Raises TierUnavailable with the end of its log if it does not start, DeadlineExceeded after ``timeout`` seconds.
        """
        self._holdings.refuse_forked()
        with self._lock:
            if self.is_running:
                return self
            deadline = time.monotonic() + timeout
            if self._address is not None:
                self._launch(self._address, deadline)
                return self
            # A port that is looked for may be gone when the server asks for it; one that was named is not replaced.
            for left in reversed(range(_PORT_TRIES if self._options.port == 0 else 1)):
                address = self._draft()
                try:
                    self._launch(address, deadline)
                except _PortTaken:
                    if left == 0:
                        raise
                else:
                    self._address = address
                    break
        return self

    def stop(self, *, timeout: float = 5.0) -> None:
        """End the server; its address and its directory stay. Nothing happens if it does not run."""
        if self._holdings.is_forked:
            return
        with self._lock:
            process = self._holdings.process
            if process is None or process.wait(0):
                return
            # Without data to keep there is no order to wait for.
            if self._options.durable:
                process.end(timeout)
            else:
                process.kill()

    def restart(self, *, empty: bool = False, timeout: float = 10.0) -> None:
        """Stop and start at the same address. ``empty`` also drops what a durable server has kept."""
        self._holdings.refuse_forked()
        with self._lock:
            self.stop()
            if empty and self._holdings.place is not None:
                self._holdings.place.empty()
            self.start(timeout=timeout)

    def close(self) -> None:
        """Stop, and remove the directory if it was a temporary one."""
        if self._holdings.is_forked:
            return
        with self._lock:
            self.stop()
            self._holdings.release()
            self._address = None

    def kill(self) -> None:
        """End the server with SIGKILL and return when it is gone; ``start`` brings it back at the same address."""
        self._running().kill()

    def pause(self) -> None:
        """Have the server hang (SIGSTOP): the kernel still accepts connections, and nobody answers."""
        self._running().pause()

    def resume(self) -> None:
        """Let a paused server go on."""
        self._running().send(signal.SIGCONT)

    def connect(self, *, timeout: float = 5.0) -> Connection:
        """Return a connection for a few commands, for tests and supervision; the caller closes it."""
        return self._settled().connect(timeout)

    def call(self, *arguments: str | bytes | int, timeout: float = 5.0) -> Reply:
        """Send one command over a connection of its own and return the reply."""
        with self.connect(timeout=timeout) as connection:
            return connection.call(*arguments, timeout=timeout)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        where = "nowhere yet" if self._address is None else f"at {self._address}"
        return f"<{type(self).__name__} {where}, {'running' if self.is_running else 'not running'}>"

    def _settled(self) -> Address:
        if self._address is None:
            raise TierUnavailable("this server has not been started, so it has no address; call start()")
        return self._address

    def _running(self) -> ServerProcess:
        self._holdings.refuse_forked()
        process = self._holdings.process
        if process is None or process.wait(0):
            raise TierUnavailable("this server does not run; call start()")
        return process

    def _draft(self) -> Address:
        """Return the address that the first start tries."""
        place = self._holdings.place = self._holdings.place or Place(self._options.directory)
        port = free_port() if self._options.port == 0 else self._options.port
        return Address(port, place.socket() if self._options.unix_socket else None, self._options.tls, self._password)

    def _launch(self, address: Address, deadline: float) -> None:
        place = self._holdings.place
        if place is None:
            raise TierUnavailable("this server was closed while it started")
        binary = find_server_binary(self._options.binary)
        knows_debug = self._options.debug and major_version(binary) >= _DEBUG_DIRECTIVE_SINCE
        config = directives(self._options, address, place.directory, knows_debug=knows_debug)
        log_begin = place.log_size()
        process = self._holdings.process = ServerProcess([str(binary), "-"], config, directory=place.directory, log=place.log)
        try:
            _await_answer(process, address, deadline)
        except BaseException as problem:
            process.kill()
            if isinstance(problem, DeadlineExceeded):
                raise DeadlineExceeded(f"{problem}; the end of its log:\n{place.log_tail(log_begin)}") from None
            raise
        if process.wait(0):
            raise _failure(binary, process, place.log_tail(log_begin))


class _Holdings:
    """What has to be given back; apart from the server, so that it can be done when that is gone."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self.process: ServerProcess | None = None
        self.place: Place | None = None

    @property
    def is_forked(self) -> bool:
        """Return whether this is a copy in a child of the owner."""
        return os.getpid() != self._owner

    def refuse_forked(self) -> None:
        """Raise TierUnavailable in a child: the server's life is its parent's business."""
        if self.is_forked:
            raise TierUnavailable(f"this server belongs to process {self._owner}, which this one was forked from; start one of your own")

    def release(self) -> None:
        """End the server and leave the directory, in the process that started it."""
        if self.is_forked:
            return
        if self.process is not None:
            self.process.kill()
        if self.place is not None:
            self.place.leave()
        self.process = self.place = None


class _PortTaken(TierUnavailable):
    """Somebody else listens on the port."""


def _await_answer(process: ServerProcess, address: Address, deadline: float) -> None:
    """Return when the server answers or has ended."""
    while not process.wait(0) and not _answers(process.pid, address, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded(f"the server at {address} did not answer in time")
        process.wait(min(_ASK_SECONDS, left))


def _answers(pid: int, address: Address, deadline: float) -> bool:
    """Return whether our server, and not a stranger on its port, answers and has loaded its data."""
    timeout = min(_ANSWER_SECONDS, max(deadline - time.monotonic(), 0.001))
    try:
        with address.connect(timeout) as connection:
            if connection.call("PING", timeout=timeout) != "PONG":
                return False
            told = connection.call("INFO", "server", timeout=timeout)
    except TierUnavailable:
        return False
    return isinstance(told, bytes) and f"\r\nprocess_id:{pid}\r\n".encode() in told


def _failure(binary: Path, process: ServerProcess, tail: str) -> TierUnavailable:
    """Say why a server has ended that was to start."""
    if "Address already in use" in tail:
        return _PortTaken(f"{binary} found its port taken; the end of its log:\n{tail}")
    hint = " It was built without TLS: name a binary that has it, such as Debian's redis-server." if "TLS support" in tail else ""
    return TierUnavailable(f"{binary} ended with code {process.exit_code} before it answered.{hint} The end of its log:\n{tail}")
