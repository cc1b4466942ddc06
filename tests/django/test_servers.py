"""Real servers over a real project: preloaded workers, an event loop, and an end without a hang."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

SETTINGS = """
INSTALLED_APPS += ["caching_django"]
CACHES = {"default": {"BACKEND": "caching_django.TieredCache", "OPTIONS": {"directory": BASE_DIR / "cache", **@shared@}}}
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "pages"
MIDDLEWARE = []
"""
PAGES = """
import os
from django.core.cache import cache
from django.http import HttpResponse
from django.urls import path

cache.set("made by", os.getpid())
cache.get("made by")

def count(request):
    cache.set(f"own:{os.getpid()}:{request.GET['number']}", 1, None)
    cache.add("n", 0, None)
    return HttpResponse(f"{os.getpid()} {cache.incr('n')} {cache.get('made by')}")

async def later(request):
    await cache.aadd("n", 0, None)
    return HttpResponse(f"{os.getpid()} {await cache.aincr('n')} {await cache.aget('made by')}")

urlpatterns = [path("count", count), path("later", later)]
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def fetch(port, page):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=10) as response:
        return [int(part) for part in response.read().split()]


def connections(pid, port):
    """Return the inodes of a process's connections to a port."""
    inodes = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if int(fields[2].partition(":")[2], 16) == port:
            inodes.add(fields[9])
    links = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            links.append(each.readlink().name)
    return {inode for inode in inodes if f"socket:[{inode}]" in links}


def prefixes(server):
    """Return per worker the key ids and nonce prefixes that seal its entries in the server."""
    found = {}
    with server.connect() as connection:
        for name in connection.call("KEYS", "*own:*"):
            frame = connection.call("GET", name)[1:]
            found.setdefault(int(name.split(b"own:")[1].split(b":")[0]), set()).add(frame[40:68])
    return found


def wait_for(port, server):
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < until
            try:
                server.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(server.communicate()[0])


@pytest.mark.parametrize("tier", ["disk", "redis"])
@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn"])
def test_workers_count_together_and_end_at_once(project, kind, tier, on_redis, request):
    valkey = request.getfixturevalue("valkey_server") if tier == "redis" else None
    shared = on_redis() if tier == "redis" else {}
    site = project(SETTINGS.replace("@shared@", repr(shared)), pages=PAGES)
    for name in ("wsgi", "asgi"):  # what is loaded before the fork has used the cache
        with (site.folder / "shop" / f"{name}.py").open("a", encoding="utf-8") as module:
            module.write("\nimport pages\n")
    port = free_port()
    serve = {
        "gunicorn": ["gunicorn", "--preload", "--workers", "4", "--bind", f"127.0.0.1:{port}", "shop.wsgi"],
        "uvicorn": ["uvicorn", "--workers", "1", "--port", str(port), "shop.asgi:application"],
    }[kind]
    pages = ["count"] if kind == "gunicorn" else ["count", "later"]
    server = subprocess.Popen([sys.executable, "-m", *serve], cwd=site.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(port, server)
        with ThreadPoolExecutor(8) as callers:
            answers = list(callers.map(lambda number: fetch(port, f"{pages[number % len(pages)]}?number={number}"), range(80)))
        assert sorted(number for _, number, _ in answers) == list(range(1, len(answers) + 1))
        assert len({maker for _, _, maker in answers}) == 1
        if kind == "gunicorn":
            assert len({worker for worker, _, _ in answers}) > 1
        if valkey is not None:
            workers = sorted({worker for worker, _, _ in answers})
            held = [connections(worker, urlsplit(valkey.url.reveal()).port) for worker in workers]
            assert all(held)
            assert len(set().union(*held)) == sum(map(len, held)), "workers share a connection"
            sealed = prefixes(valkey)
            assert sorted(sealed) == workers
            assert len(set().union(*sealed.values())) == sum(map(len, sealed.values())), "workers seal with one nonce prefix"
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=10)
        assert "Traceback" not in output
    finally:
        if server.poll() is None:
            server.kill()
            server.communicate()
