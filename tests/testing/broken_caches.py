"""Caches that are wrong on purpose: each function opens one, as a ``subject`` of a history run."""

import dataclasses
import time

from caching_core.coherence import LedgerCopy, Stamps, Verdict
from caching_core.engine import _load, _read
from caching_core.engine._change import Changer
from caching_core.engine._invalidate import Invalidator
from caching_core.engine._load import Loader
from caching_core.testing.history import Plan, open_cache
from caching_core.testing.history._subject import BlockingSubject
from caching_core.tiers import Expect, Put
from caching_core.tiers.disk import DiskStore
from caching_core.types import Invalidated


class NaiveHandle:
    """A dict with a lifetime over a shared store: what people write first."""

    def __init__(self, below):
        self._below = below
        self._held = {}

    async def get(self, key):
        value, until = self._held.get(key, (None, 0.0))
        if until > time.monotonic():
            return dict(value)
        value = await self._below.get(key)
        return self._keep(key, value)

    def _keep(self, key, value):
        if type(value) is dict:
            self._held[key] = (dict(value), time.monotonic() + 0.1)
        return value

    async def get_many(self, keys):
        found = {key: await self.get(key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    async def get_or_set(self, key, loader, *, ttl, tags):
        value, until = self._held.get(key, (None, 0.0))
        if until > time.monotonic():
            return dict(value)
        return self._keep(key, await self._below.get_or_set(key, loader, ttl=ttl, tags=tags))

    async def set(self, key, value, *, ttl, tags):
        self._held.pop(key, None)
        return await self._below.set(key, value, ttl=ttl, tags=tags)

    async def touch(self, key, ttl):
        return await self._below.touch(key, ttl)

    async def persist(self, key):
        return await self._below.persist(key)

    async def incr(self, key, delta=1, *, ttl):
        return await self._below.incr(key, delta, ttl=ttl)

    async def decr(self, key, delta=1, *, ttl):
        return await self._below.decr(key, delta, ttl=ttl)

    async def delete(self, key):
        self._held.pop(key, None)
        return await self._below.delete(key)

    async def invalidate_tags(self, *tags):
        self._held.clear()
        return await self._below.invalidate_tags(*tags)

    async def clear(self):
        self._held.clear()
        return await self._below.clear()


class NaiveSubject(BlockingSubject):
    def __init__(self, plan):
        super().__init__(dataclasses.replace(plan, config={**plan.config, "l1_enabled": False}))
        self._naive = {}

    def handle(self, tenant, namespace):
        below = super().handle(tenant, namespace)
        return self._naive.setdefault((tenant, namespace), NaiveHandle(below))


def naive(plan: Plan, world):
    return NaiveSubject(plan)


def without_touch(plan: Plan, world):
    Stamps.touch_keys = lambda self, places: None
    return open_cache(plan, world)


def without_lanes(plan: Plan, world):
    def touch_cells_only(self, places):
        for cell, _ in places:
            self.view[cell] = self.fresh()

    Stamps.touch_keys = touch_cells_only
    return open_cache(plan, world)


def touch_before_store(plan: Plan, world):
    async def delete_many(self, scope, keys):
        self._state.stamps.touch_keys([scope.cells.key(key) for key in keys])
        time.sleep(0.003)  # noqa: ASYNC251 -- siblings fill the old value again, under the new stamp
        return Invalidated(sum(await self._writer.remove(scope, keys)))

    Invalidator.delete_many = delete_many
    return open_cache(plan, world)


def fill_without_lease(plan: Plan, world):
    mutate = DiskStore.mutate

    async def mutate_anyway(self, entries, ledger=()):
        entries = [dataclasses.replace(entry, token=None) if type(entry) is Put else entry for entry in entries]
        return await mutate(self, entries, ledger)

    DiskStore.mutate = mutate_anyway
    return open_cache(plan, world)


def without_ledger(plan: Plan, world):
    LedgerCopy.judge = lambda self, epoch, seq, namespace, tags: Verdict.VALID
    return open_cache(plan, world)


def joiners_take_anything(plan: Plan, world):
    Loader._is_good = lambda self, scope, key, entry: True
    return open_cache(plan, world)


def without_lifetimes(plan: Plan, world):
    keep = Loader._keep

    def keep_for_ever(self, scope, key, entry, *rest, **options):
        keep(self, scope, key, entry, *rest, **options)
        entry.until = float("inf")

    Loader._keep = keep_for_ever
    return open_cache(plan, world)


def shared_values(plan: Plan, world):
    for module in (_load, _read):
        module.isolate = lambda value, raw, codec: (value, None, 100)
    return open_cache(plan, world)


def incr_is_get_and_set(plan: Plan, world):
    async def incr(self, scope, key, delta, *, initial, writing):
        total = await self._reader.get(scope, key, initial) + delta
        await self._writer.set(scope, key, total, writing)
        return total

    Changer.incr = incr
    return open_cache(plan, world)


def swap_without_compare(plan: Plan, world):
    mutate = DiskStore.mutate

    async def mutate_anyway(self, entries, ledger=()):
        if any(type(entry) is Put and type(entry.expect) is bytes for entry in entries):
            time.sleep(0.001)  # noqa: ASYNC251 -- a sibling deletes what was read
            entries = [dataclasses.replace(entry, expect=Expect.ANYTHING) for entry in entries]
        return await mutate(self, entries, ledger)

    DiskStore.mutate = mutate_anyway
    return open_cache(plan, world)


def changes_unheard(plan: Plan, world):
    Stamps.touch_key = lambda self, cell, lane: None
    return open_cache(plan, world)


class OneTenant(BlockingSubject):
    def handle(self, tenant, namespace):
        return _Unkeyed(super().handle("tenant0", namespace))


class _Unkeyed:
    """Cuts the keys short, so that several share a slot."""

    def __init__(self, below):
        self._below = below

    def __getattr__(self, name):
        method = getattr(self._below, name)
        return lambda key, *rest, **options: method(key[:5] if key.startswith("key:") else key, *rest, **options)

    async def get_many(self, keys):
        return {}

    async def clear(self):
        return await self._below.clear()


def one_tenant(plan: Plan, world):
    return OneTenant(plan)
