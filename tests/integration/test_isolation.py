"""What a reader does to a value it got changes nothing: not in memory, not on disk, not for those who joined its load."""

import threading

import pytest

from caching_core import carry_tenant, current_tenant, use_tenant

MUTABLE = {
    "dict": (lambda: {"a": 1}, lambda value: value.update(a=2, b=3)),
    "list": (lambda: [1, 2], lambda value: value.append(3)),
    "nested": (lambda: {"a": [{"b": [1]}]}, lambda value: value["a"][0]["b"].append(2)),
    "list of dicts": (lambda: [{"n": 1}, {"n": 2}], lambda value: value[0].update(n=9)),
    "bytearray": (lambda: bytearray(b"abc"), lambda value: value.__setitem__(0, 0)),
    "set": (lambda: {1, 2}, lambda value: value.add(3)),
    "tuple of lists": (lambda: ([1], "x"), lambda value: value[0].append(2)),
    "dict of sets": (lambda: {"s": {1}}, lambda value: value["s"].clear()),
    "empty dict": (dict, lambda value: value.update(a=1)),
}


@pytest.fixture(params=MUTABLE, ids=str)
def mutable(request):
    return MUTABLE[request.param]


@pytest.mark.parametrize("settings", [{}, {"l1_enabled": False}, {"cache_levels": 1}, {"l1_max_size": 1}], ids=str)
async def test_what_readers_do_changes_nothing(world, open_cache, mutable, settings):
    make, change = mutable
    manager = open_cache(**settings)
    cache, other = manager.tenant("acme"), manager.tenant("other")

    given = make()
    await cache.set("set", given)
    change(given)  # the writer's own object is the writer's
    led = await cache.get_or_set("loaded", make)
    change(led)
    await cache.set_many({"many": make()})
    await cache.add("added", make())
    await other.set("set", make())
    for _ in range(3):
        for key in ("set", "many", "added"):
            if settings.get("l1_max_size") == 1 and key != "set":
                await cache.get("set")  # moves in and out of memory
            found = await cache.get(key)
            assert found == make(), key
            change(found)
        found = await cache.get_or_set("loaded", lambda: pytest.fail("loaded again"))
        assert found == make()
        change(found)
        many = await cache.get_many(["set", "many", "loaded"])
        assert many == dict.fromkeys(("set", "many", "loaded"), make())
        for value in many.values():
            change(value)
        assert await other.get("set") == make()


def test_followers_of_a_load_get_values_of_their_own(manager, mutable, eventually):
    make, change = mutable
    cache = manager()
    acme = cache.tenant("acme")
    loading, results, mine = threading.Event(), [], []

    def load():
        loading.set()
        eventually(lambda: cache.stats().joined == 5)
        mine.append(make())
        return mine[0]

    def call(number):
        value = acme.get_or_set("k", load)
        before = repr(value)
        change(value)
        results.append((before, id(value)))

    threads = [threading.Thread(target=call, args=(0,))]
    threads[0].start()
    assert loading.wait(30)
    threads += [threading.Thread(target=call, args=(number,)) for number in range(1, 6)]
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert {before for before, _ in results} == {repr(make())}
    assert acme.get("k") == make()


def test_the_tenant_of_one_request_is_not_seen_in_another(manager):
    cache = manager(tenants=[f"t{number}" for number in range(20)])
    wrong = []

    def request(number):
        tenant = f"t{number % 20}"
        with use_tenant(tenant):
            for step in range(20):
                cache.set("mine", [tenant, number, step])
                found = cache.get("mine")
                if found[0] != tenant or current_tenant() != tenant:
                    wrong.append((tenant, found))
            background = threading.Thread(target=carry_tenant(lambda: wrong.append("lost") if current_tenant() != tenant else None))
            background.start()
            background.join()
        if current_tenant() is not None:
            wrong.append("left over")

    threads = [threading.Thread(target=request, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
