"""A directory that is begun anew under other keys, or used with other names: nothing stale, and all go on together; real processes."""

import shutil
import signal
import threading
import time
from dataclasses import dataclass

import pytest

from caching_core import SyncCacheManager
from caching_core.errors import CacheError, ConfigInvalid

ANSWERING = """
import logging
logging.disable(logging.CRITICAL)
manager = None
while True:
    verb, *arguments = hear()
    try:
        if verb == "open":
            manager = SyncCacheManager({"directory": str(DIRECTORY), **arguments[0]})
            cache = manager.tenant("acme")
            answer = None
        elif verb == "load":
            answer = cache.get_or_set(arguments[0], lambda: arguments[1])
        elif verb in ("close", "clear_all"):
            answer = bool(getattr(manager, verb)())
        else:
            answer = getattr(cache, verb)(*arguments)
        say(["ok", answer.count if isinstance(answer, Invalidated) else answer])
    except Exception as error:
        say([type(error).__name__, str(error)])
"""


class Client:
    """A process with a cache; ``call`` expects an answer, ``try_`` gives the error's name in its place."""

    def __init__(self, started):
        self.peer = started

    def ask(self, *asked):
        return self.peer.ask(list(asked))

    def try_(self, *asked):
        kind, answer = self.ask(*asked)
        return answer if kind == "ok" else kind

    def call(self, *asked):
        kind, answer = self.ask(*asked)
        assert kind == "ok", (kind, answer)
        return answer


@pytest.fixture
def client(peer):
    def start(**settings):
        made = Client(peer(ANSWERING))
        made.call("open", settings)
        return made

    return start


def keystore_only(directory):
    (directory / "keystore.db").unlink()


def everything(directory):
    gone = directory.with_name("gone")
    directory.rename(gone)  # in one step: those who run would make files in it meanwhile
    shutil.rmtree(gone)


def hear_each_other(clients, rounds=5):
    """Each writes what the others read, and deletes what they hold."""
    for number in range(rounds):
        for writer in clients:
            assert writer.call("set", "round", number) is True
            assert [reader.call("get", "round") for reader in clients] == [number] * len(clients)
            assert writer.call("delete", "round") == 1
            assert [reader.call("get", "round") for reader in clients] == [None] * len(clients)


def is_together(*clients):
    """Tell whether a value of the first reaches the others, which hold nothing of their own before."""
    first, *others = clients
    return first.try_("set", "together", 1) is True and all(other.try_("get", "together") == 1 for other in others)


@pytest.mark.parametrize("lose", [keystore_only, everything])
def test_a_lost_keystore_splits_nobody(client, directory, eventually, lose):
    one, sibling = client(), client()
    assert one.call("set", "k", "old") is True
    assert [each.call("get", "k") for each in (one, sibling)] == ["old"] * 2
    lose(directory)
    fresh = client()
    fresh.call("delete", "k")
    eventually(lambda: is_together(fresh, one, sibling), timeout=10)
    assert [each.call("get", "k") for each in (one, sibling, fresh)] == [None] * 3
    hear_each_other([one, sibling, fresh])
    third = client()
    hear_each_other([third, one, fresh])
    assert one.call("load", "loaded", "by one") == third.call("load", "loaded", "by third") == "by one"


def test_with_the_keystore_alone_lost_nothing_stale_is_read_for_a_moment(client, directory):
    """The table stands there: who replaces it first takes from the others what they hold, before its own first answer."""
    one, sibling = client(), client()
    for number in range(50):
        one.call("set", f"k{number}", "old")
        assert sibling.call("get", f"k{number}") == "old"
    keystore_only(directory)
    fresh = client()
    for number in range(50):
        fresh.call("delete", f"k{number}")
        assert [each.try_("get", f"k{number}") for each in (one, sibling)] == [None] * 2


@dataclass
class Point:
    """A class of the application, registered with the cache."""

    x: int


def test_a_handle_and_what_was_registered_outlive_the_change(manager, client, directory, eventually):
    from caching_core.strategies import CustomStrategy

    class Short(CustomStrategy):
        def should_cache(self, key, value, context):
            return key != "never"

        def calculate_ttl(self, key, value, context):
            return 60

    kept = manager()
    kept.register_strategy("short", Short())
    kept.register_class(Point, name="point")
    handle = kept.tenant("acme")
    handle.set("k", "old")
    keystore_only(directory)
    fresh = client()
    fresh.call("delete", "k")
    eventually(lambda: fresh.try_("set", "new", 1) is True and handle.get("new") == 1, timeout=10)
    assert handle is kept.tenant("acme")
    assert handle.get("k") is None
    handle.set("never", 1, strategy="short")
    assert handle.get("never") is None
    assert handle.set("point", Point(1))
    assert handle.get("point") == Point(1)
    assert kept.tenant("other").set("k", 1)
    kept.close()
    with pytest.raises(CacheError, match="closed"):
        handle.get("k")


async def test_a_handle_goes_on_in_both_worlds(world, open_cache, client, directory):
    kept = open_cache()
    handle = kept.tenant("acme")
    await handle.set("k", "old")
    assert await handle.get("k") == "old"
    keystore_only(directory)
    fresh = client()
    fresh.call("delete", "k")
    assert await handle.get("k") is None
    until = time.monotonic() + 10
    while await handle.get("new") is None:
        assert time.monotonic() < until
        fresh.try_("set", "new", 1)
    assert await handle.set("back", 2)
    assert fresh.call("get", "back") == 2
    await handle.delete("new")
    assert fresh.call("get", "new") is None


def test_threads_that_read_on_while_it_changes_meet_no_error_and_nothing_stale(manager, client, directory, eventually):
    kept = manager()
    handle = kept.tenant("acme")
    stop, met = threading.Event(), []

    def read():
        while not stop.is_set():
            try:
                handle.get("k")
                handle.get_many(["k", "l"])
                handle.get_or_set("l", lambda: 1)
            except Exception as error:  # noqa: BLE001 - whatever it is, a read must not raise it
                met.append(error)
                return

    handle.set("k", "old")
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        keystore_only(directory)
        fresh = client()
        fresh.call("delete", "k")
        eventually(lambda fresh=fresh: fresh.try_("set", "new", 1) is True and handle.get("new") == 1, timeout=10)
        fresh.call("delete", "new")
        fresh.call("close")
    stop.set()
    for thread in threads:
        thread.join()
    assert met == []
    assert handle.get("k") is None


def test_processes_with_keystores_of_their_own_do_not_share_and_say_so(client, tmp_path, eventually):
    one = client()
    one.call("set", "k", "old")
    assert one.call("get", "k") == "old"
    other = client(keystore=str(tmp_path / "other.db"))
    other.call("delete", "k")
    assert one.try_("get", "k") is None
    eventually(lambda: one.ask("delete", "k")[0] == "TierUnavailable" and "the same keystore" in one.ask("delete", "k")[1], timeout=10)
    assert one.call("load", "k", "loaded") == "loaded"
    assert one.call("get", "k") is None
    assert one.try_("clear_all") == "TierUnavailable"
    until = time.monotonic() + 3
    while time.monotonic() < until:  # it is not driven out in its turn, however often the other tries
        assert other.call("set", "k", 1) is True
        assert other.call("get", "k") == 1
    other.call("close")
    eventually(lambda: one.try_("set", "k", "again") is True and one.try_("get", "k") == "again", timeout=10)


# -- names and frames ------------------------------------------------------------------------------

SCHEMES = {"clear": {}, "hashed": {"key_privacy": "hashed"}, "plain": {"security_enabled": False}}


@pytest.mark.parametrize(
    ("there", "here", "words"),
    [
        ("clear", "hashed", ["key_privacy clear", "here it is hashed"]),
        ("hashed", "clear", ["key_privacy hashed", "here it is clear"]),
        ("clear", "plain", ["security_enabled true", "here it is false"]),
        ("plain", "clear", ["security_enabled false", "here it is true"]),
        ("plain", "hashed", ["security_enabled false and key_privacy clear", "here it is true and hashed"]),
    ],
)
def test_another_scheme_of_names_is_refused_while_the_directory_is_in_use(client, directory, there, here, words):
    quiet = {"audit": {"enabled": False}}  # its files are made when its thread comes to it
    one = client(**SCHEMES[there], **quiet)
    one.call("set", "k", "old")
    one.call("get", "k")
    before = {path.name for path in directory.iterdir()}
    with pytest.raises(ConfigInvalid) as caught:
        SyncCacheManager({"directory": directory, **SCHEMES[here], **quiet}).tenant("acme")
    for word in (str(directory), *words, "same setting", "a directory of its own", "once nobody uses"):
        assert word in str(caught.value)
    assert one.call("get", "k") == "old"
    assert {path.name for path in directory.iterdir()} == before


@pytest.mark.parametrize("end", ["close", "kill"])
def test_a_change_of_the_scheme_is_taken_when_nobody_uses_the_directory(client, directory, end):
    one = client()
    one.call("set", "k", "old")
    if end == "close":
        one.call("close")
    else:
        one.peer.kill()
    with SyncCacheManager({"directory": directory, "key_privacy": "hashed"}) as manager:
        acme = manager.tenant("acme")
        assert acme.get("k") is None
        assert acme.set("k", "new")
        assert client(key_privacy="hashed").call("get", "k") == "new"


def test_a_forked_child_uses_the_directory_too(peer, directory):
    script = """
with SyncCacheManager({"directory": DIRECTORY}) as manager:
    manager.set("k", "old")
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
say("closed in the parent")
hear()
os.write(write, b"x")
os.wait()
say("gone")
"""
    started = peer(script)
    assert started.hear() == "closed in the parent"
    with pytest.raises(ConfigInvalid, match="is in use"):
        SyncCacheManager({"directory": directory, "key_privacy": "hashed"}).start()
    assert started.ask() == "gone"
    SyncCacheManager({"directory": directory, "key_privacy": "hashed"}).start().close()


def test_two_managers_of_one_process_count_as_well(manager):
    kept = manager()
    kept.set("k", 1)
    with pytest.raises(ConfigInvalid, match="is in use"):
        manager(key_privacy="hashed").start()
    handle = kept.tenant()
    kept.close()
    assert manager(key_privacy="hashed").set("k", 2)
    with pytest.raises(ConfigInvalid, match="is in use"):
        kept.start()
    assert handle is not None  # it does not hold the directory


def test_who_lost_the_directory_to_another_scheme_says_so_until_it_is_free(client, directory, eventually):
    one = client()
    one.call("set", "k", "old")
    one.call("get", "k")
    one.peer.process.send_signal(signal.SIGSTOP)  # else it may be the first to use the new directory
    everything(directory)
    other = client(key_privacy="hashed")
    other.call("delete", "k")
    one.peer.process.send_signal(signal.SIGCONT)
    eventually(lambda: one.ask("delete", "k")[0] == "TierUnavailable" and "key_privacy" in one.ask("delete", "k")[1], timeout=10)
    assert one.call("get", "k") is None
    other.call("close")
    eventually(lambda: one.try_("set", "k", "again") is True and one.try_("get", "k") == "again", timeout=10)


def test_a_strict_cache_raises_for_reads_meanwhile(client, tmp_path, eventually):
    one = client(strict=True)
    one.call("set", "k", 1)
    client(keystore=str(tmp_path / "other.db"))
    eventually(lambda: one.try_("get", "k") == "TierUnavailable", timeout=10)
