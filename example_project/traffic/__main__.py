"""Send visits to the FastAPI application, and say every few seconds what came of them."""

import argparse
import http.client
import json
import threading
import time
from urllib.parse import urlsplit

from example_project.traffic._figures import Figures
from example_project.traffic._visit import Request, visits

_GOOD = frozenset({200, 201, 204})


def listen(address: str, seed: int, figures: Figures, stop: threading.Event) -> None:
    """Make visits over one connection until ``stop``."""
    host = urlsplit(address).netloc
    connection = http.client.HTTPConnection(host, timeout=10)
    for visit in visits(seed):
        session = ""
        for request in visit:
            if stop.is_set():
                connection.close()
                return
            begun = time.perf_counter()
            try:
                status, answer = ask(connection, request, session)
            except (OSError, http.client.HTTPException):  # the server is away: a new connection, a little later
                connection.close()
                status, answer = 0, None
                stop.wait(0.2)
            figures.add(time.perf_counter() - begun, is_good=status in _GOOD)
            if isinstance(answer, dict) and "id" in answer and request.path.endswith("/sessions"):
                session = str(answer["id"])


def ask(connection: http.client.HTTPConnection, request: Request, session: str) -> tuple[int, object]:
    """Send one request; return the status and the answer."""
    body = None if request.body is None else json.dumps(request.body)
    headers = {} if body is None else {"Content-Type": "application/json"}
    connection.request(request.method, request.path.format(session=session), body, headers)
    response = connection.getresponse()
    text = response.read()
    return response.status, json.loads(text) if text else None


def main() -> int:
    """Read the command line and run; exit 1 if a request failed."""
    parser = argparse.ArgumentParser(prog="example_project.traffic", description=__doc__)
    parser.add_argument("--api", required=True, help="address of the FastAPI application")
    parser.add_argument("--listeners", type=int, default=2, help="how many at once (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=None, help="how long (default: until Ctrl-C)")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two lines (default: %(default)s)")
    options = parser.parse_args()
    figures, stop, begun = Figures(), threading.Event(), time.monotonic()
    threads = [threading.Thread(target=listen, args=(options.api, seed, figures, stop), daemon=True) for seed in range(options.listeners)]
    for thread in threads:
        thread.start()
    try:
        while True:
            left = options.every if options.seconds is None else min(options.every, begun + options.seconds - time.monotonic())
            if left <= 0 or not all(thread.is_alive() for thread in threads):
                break
            stop.wait(left)
            print(figures.line(time.monotonic() - begun), flush=True)
    except KeyboardInterrupt:
        pass
    stop.set()
    for thread in threads:
        thread.join(10)
    return 1 if figures.failed or not figures.requests else 0


if __name__ == "__main__":
    raise SystemExit(main())
