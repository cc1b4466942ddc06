"""Suite redis: values in a server on loopback, read and written by a blocking caller (F5)."""

from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

from caching_core.bench import Row, Subject, reading, writing
from caching_core.comparison._ours import open_ours
from caching_core.comparison._peer import Opened
from caching_core.comparison._plan import OURS, Plan
from caching_core.comparison._redis_peers import ADDRESS_FILE, REDIS_PEERS
from caching_core.comparison._shapes import SHAPES, key_of
from caching_core.embedded import EmbeddedServer

_TITLES: Final = {"flat": "200 B dict", "record": "2 KB dict", "page": "20 KB text"}
_LIMITS: Final = {"redis-py": 0.75, "django-redis": 0.7}
_PLAIN: Final = "without promotion"
_PROMOTED: Final = "with promotion"


def run_redis(plan: Plan) -> Iterator[Row]:
    """Start a server, fill it through ours and through each peer, then read and set."""
    place = plan.directory / "redis"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan.say("redis: starting a server")
    with EmbeddedServer() as server:
        address = server.url.reveal()
        _keep(place / ADDRESS_FILE, address)
        opened = {peer.name: peer.open(place) for peer in REDIS_PEERS if peer.name in plan.peers and peer.is_installed}
        settings: dict[str, object] = {"redis_url": address, "encryption_key": token_urlsafe(32)}
        try:
            for shape, title in _TITLES.items():
                yield from _gets(plan, shape, title, opened, settings)
            for shape, title in _TITLES.items():
                yield from _sets(plan, shape, title, opened, settings)
        finally:
            for peer in opened.values():
                peer.close()


def _gets(plan: Plan, shape: str, title: str, opened: dict[str, Opened], settings: dict[str, object]) -> Iterator[Row]:
    values = {key_of(shape, number): SHAPES[shape](number) for number in range(plan.keys)}
    keys = list(values)
    what = f"redis get, {title}"
    with (
        open_ours(plan.directory / "ours-redis", l1_enabled=False, **settings) as plain,
        open_ours(plan.directory / "ours-redis", **settings) as promoting,
    ):
        for key, value in values.items():
            promoting.put(key, value)
            for peer in opened.values():
                peer.put(key, value)
        plain.confirm(values)
        promoting.confirm(values)
        before = plain.stats()
        subjects: list[Subject] = [reading(name, peer.get, keys) for name, peer in opened.items()]
        subjects += [reading(_PLAIN, plain.get, keys), reading(_PROMOTED, promoting.get, keys, prepare=promoting.forget)]
        figures = plan.measure(what, subjects)
        plain.confirm_no_l1(before)
    for variant in (_PLAIN, _PROMOTED):
        limits = _LIMITS if variant == _PLAIN and shape != "page" else {}
        yield from plan.rows_beside(REDIS_PEERS, f"{what}, {variant}", figures, ours=variant, target="F5", limits=limits)


def _sets(plan: Plan, shape: str, title: str, opened: dict[str, Opened], settings: dict[str, object]) -> Iterator[Row]:
    keys = [f"set:{shape}:{number}" for number in range(plan.keys)]
    value = SHAPES[shape](1)
    what = f"redis set, {title}"
    with open_ours(plan.directory / "ours-redis", **settings) as ours:
        subjects: list[Subject] = [writing(OURS, ours.put, keys, value)]
        subjects += [writing(name, peer.put, keys, value) for name, peer in opened.items()]
        figures = plan.measure(what, subjects)
    yield from plan.rows_beside(REDIS_PEERS, what, figures)


def _keep(path: Path, address: str) -> None:
    path.touch(mode=0o600)  # it bears the server's password
    path.write_text(address, encoding="utf-8")
