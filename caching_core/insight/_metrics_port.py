"""A port on this host's loopback that answers scrapes: for processes that serve no HTTP of their own, such as workers."""

import io
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final

from caching_core.insight._metrics import METRICS_CONTENT_TYPE
from caching_core.runtime import after_fork_in_child

_LOG = logging.getLogger("caching_core.insight")
_HOST: Final = "127.0.0.1"
_REQUEST_SECONDS: Final = 2.0


class MetricsPort:
    """Serves ``/metrics`` on 127.0.0.1 from a daemon thread, one request at a time. Made anew in a forked child.

    The first process of a host that asks gets the port; the others try again at each ``ensure``, so that one of them has it
    soon after that one ended.
    """

    def __init__(self, port: int, text: Callable[[], str]) -> None:
        """``port`` 0 takes a free one; ``text`` makes the answer, and may ask a store."""
        self._wanted = port
        self._text = text
        self._server: _Server | None = None
        self._reset()
        after_fork_in_child(self._begin_anew)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def _begin_anew(self) -> None:
        if self._server is not None:
            self._server.socket.close()  # the parent's: it goes on there
            self._server = None
        self._reset()

    @property
    def port(self) -> int | None:
        """Return the port that this process serves; None while another has it."""
        server = self._server
        return None if server is None else server.server_port

    def ensure(self) -> bool:
        """Take the port if nobody has it; whether this process serves it now."""
        with self._lock:
            if self._server is None and not self._is_stopped:
                try:
                    self._server = _Server((_HOST, self._wanted), self._text)
                except OSError as error:
                    _LOG.debug("port %s for metrics is not to be had: %s", self._wanted, error)
                    return False
                self._thread = threading.Thread(target=self._server.serve_forever, name="caching-metrics", daemon=True)
                self._thread.start()
                _LOG.info("metrics are at http://%s:%s/metrics", _HOST, self._server.server_port)
            return self._server is not None

    def stop(self) -> None:
        """Give the port back and end the thread, for good in this process."""
        with self._lock:
            self._is_stopped = True
            server, self._server = self._server, None
        if server is not None:
            server.hang_up()  # first: the request that is under way ends, whatever its client does
            server.shutdown()
            server.server_close()
        if self._thread is not None:
            self._thread.join(_REQUEST_SECONDS)


class _Server(HTTPServer):
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], text: Callable[[], str]) -> None:
        self.text = text
        self._is_ending = False
        self._request: socket.socket | None = None
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # Any: the base class knows datagrams, too
        """Answer one request, remembered so that it can be ended."""
        self._request = request
        if self._is_ending:  # asked after it was remembered: ``hang_up`` sees the one or this the other
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)
        self._request = None

    def hang_up(self) -> None:
        """End the request that is under way, and begin no other."""
        self._is_ending = True
        request = self._request
        if request is not None:
            with suppress(OSError):  # it has ended by itself
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # Any: as above
        """Log why a request was not answered; a client that left is no fault of ours."""
        del request, client_address
        is_clients = isinstance(sys.exception(), OSError)
        _LOG.log(logging.DEBUG if is_clients else logging.WARNING, "a scrape was not answered", exc_info=True)


class _Reader(io.RawIOBase):
    """Reads from a connection until a moment of ``time.monotonic``: a client that sends byte by byte has no more time than others."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        super().__init__()
        self._connection, self._until = connection, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # Any: whatever can be written into
        seconds = self._until - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        self._connection.settimeout(seconds)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    timeout = _REQUEST_SECONDS  # for the answer; for the request as a whole, see ``setup``
    server: "_Server"  # pyright: ignore[reportIncompatibleVariableOverride]  # it is made by no other
    server_version = "caching"
    sys_version = ""

    def setup(self) -> None:
        """Give the request its time: who sends nothing, or slowly, must not keep the others out."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Reader(self.connection, time.monotonic() + _REQUEST_SECONDS))

    def do_GET(self) -> None:
        """Answer a scrape."""
        if not self._is_local():
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "ask by 127.0.0.1 or localhost")
        elif self.path.partition("?")[0] != "/metrics":
            self.send_error(HTTPStatus.NOT_FOUND, "the metrics are at /metrics")
        else:
            body = self.server.text().encode()
            self.connection.settimeout(_REQUEST_SECONDS)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", METRICS_CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _is_local(self) -> bool:
        # A page in a browser can point a name of its own at this address; it cannot choose what stands in Host.
        name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        return name in {_HOST, "localhost"}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is the base class's
        """Write no line per scrape."""
