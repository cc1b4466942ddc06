"""A real worker with forked children and a real beat, on both brokers: nothing shared, nothing lost, an end without a hang."""

import contextlib
import json
import sqlite3
from collections import defaultdict
from pathlib import Path

import pytest

from caching_core.audit import Status, tail, verify

SEND = """
with use_tenant("acme"), use_actor(Actor("user", "ada", ("editor",))):
    sent = [write.delay(number) for number in range(20)]
with use_tenant("globex"):
    failing = fail.delay()
nobodys = [whose.delay() for _ in range(4)]
plain = caching_tasks.audit_report.delay(tenant="acme")
answers = [result.get(timeout=30) for result in sent]
failing.get(timeout=30, propagate=False)
print(json.dumps([answers, failing.state, [result.get(timeout=30) for result in nobodys], plain.get(timeout=30)]))
"""


def processes_by_prefix(store):
    """Return nonce prefix -> the processes that sealed under it, and all nonces, from the names of the rows."""
    found, nonces = defaultdict(set), []
    connection = sqlite3.connect(store)
    try:
        for name, frame in connection.execute("SELECT name, frame FROM entries WHERE name LIKE '%:from:%'"):
            found[frame[57:69]].add(name.rsplit(":", 2)[1])
            nonces.append(frame[57:81])
    finally:
        connection.close()
    return found, nonces


@pytest.mark.parametrize("broker", ["filesystem", "valkey"])
def test_worker_and_beat(work, broker, request, eventually, survivors):
    is_preloaded = broker == "filesystem"
    address = "filesystem" if is_preloaded else request.getfixturevalue("valkey_server").url.reveal()
    site = work(address, **({"PRELOAD": "1"} if is_preloaded else {}))
    site.start("worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "INFO", "--without-gossip", "--without-mingle")
    site.start("beat", "--schedule", str(site.folder / "beat"), "--pidfile", "", "--loglevel", "INFO")
    answers, state, nobodys, audit = site.run(SEND)
    eventually(lambda: len([one for one in site.notes("caching.health_check") if one["status"] == "ok"]) >= 2)

    # Tenant and actor of the sender are the task's; the failing one's too, and none stays for the next.
    assert {(tenant, *map(str, actor)) for tenant, actor, *_ in answers} == {("acme", "user", "ada", "['editor']")}
    assert (state, site.notes("failing as")) == ("FAILURE", ["globex"])
    assert nobodys == [None] * 4
    assert audit["chain"]["status"] == "good"
    assert audit["tenants"] == {"acme": audit["events"]}

    # Each child opens the store itself, after the fork; the parent has it only where it used the cache before.
    children = {pid for _, _, pid, *_ in answers}
    assert len(children) == 2
    assert [files for _, files in site.notes("child")] == [0, 0]
    assert all(own > 0 for *_, own, _ in answers)
    assert all((parents > 0) is is_preloaded for *_, parents in answers)
    (store,) = (path for path in (site.folder / "cache").rglob("*.db") if path.name.startswith("cache"))
    found, nonces = processes_by_prefix(store)
    assert {int(pid) for who in found.values() for pid in who} == children
    assert all(len(who) == 1 for who in found.values())
    assert len(set(nonces)) == len(nonces) == 20

    site.end()
    assert survivors(children) == []
    assert site.words().count("Traceback") == site.words().count("ValueError: on purpose") == 1
    proof = verify(site.folder / "cache")
    actions = [record.action for record in tail(site.folder / "cache", 1000)]
    # Of the processes that opened it themselves each has closed it, the children too, which run no exit handlers.
    assert is_preloaded or actions.count("stopped") == actions.count("started") == 2
    assert (proof.status, proof.notes) == (Status.GOOD, ())


WRITE = """
with use_tenant("acme"):
    sent = [write.delay(number) for number in range(20)]
print(json.dumps([result.get(timeout=30)[2] for result in sent]))
"""


def connections(pid, port):
    """Return the inodes of a process's connections to a port."""
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    inodes = {fields[9] for fields in lines if int(fields[2].partition(":")[2], 16) == port}
    links = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            links.add(each.readlink().name)
    return {inode for inode in inodes if f"socket:[{inode}]" in links}


def test_children_over_a_server_have_connections_and_nonces_of_their_own(work, on_redis, valkey_server, survivors):
    site = work("filesystem", PRELOAD="1", SHARED=json.dumps(on_redis()))
    worker = site.start("worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "INFO", "--without-gossip", "--without-mingle")
    children = set(site.run(WRITE))
    assert len(children) == 2
    held = [connections(pid, valkey_server.port) for pid in [worker.pid, *children]]
    assert all(held)
    assert len(set().union(*held)) == sum(map(len, held)), "processes of the pool share a connection"
    found = defaultdict(set)
    with valkey_server.connect() as connection:
        for name in connection.call("KEYS", "*:from:*"):
            found[connection.call("GET", name)[57:69]].add(int(name.rsplit(b":", 2)[1]))
    assert {pid for who in found.values() for pid in who} == children
    assert all(len(who) == 1 for who in found.values())
    site.end()
    assert survivors(children) == []
