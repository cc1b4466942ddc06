"""The cache's own model for lifetimes, driven by a simulated clock as the engine drives it."""

from caching_core.learning import AdaptiveTTL

_TENANT, _NAMESPACE = "main", "default"


class ModelPolicy:
    """What ``updates.replay`` calls: each load of a key goes to the model as a load by ``get_or_set`` does.

    The model is given what the engine gives it: a digest of the value, a stamp that an announcement changes, the hits that the
    entry in memory had. In shadow mode each value lives for ``given`` seconds.
    """

    def __init__(self, model: AdaptiveTTL, given: float) -> None:
        self._model = model
        self._given = given
        self._hits: dict[str, int] = {}
        self._values: dict[str, int] = {}
        self._stamps: dict[str, int] = {}
        self._expired: set[str] = set()

    def read(self, key: str, now: float) -> None:  # noqa: ARG002 -- the protocol of the replay
        """Count a read."""
        self._hits[key] = self._hits.get(key, 0) + 1

    def observe(self, key: str, age: float, changed: bool) -> None:  # noqa: ARG002, FBT001 -- as above
        """Note that the key had expired, and whether its value is another now."""
        self._expired.add(key)
        self._values[key] = self._values.get(key, 0) + changed

    def ttl(self, key: str, data_type: str, now: float) -> float:
        """Return the seconds that the value just loaded lives."""
        hits = self._hits[key] - 1  # the read that loads is none
        self._hits[key] = 0
        if key not in self._stamps:
            self._stamps[key] = 0
        elif key not in self._expired:
            self._stamps[key] += 1
        self._expired.discard(key)
        ttl = self._model.after_load(
            _TENANT,
            _NAMESPACE,
            key,
            data_type=data_type,
            now=now,
            digest=self._values.get(key, 0),
            stamp=self._stamps[key],
            version=0,
            held=(0, hits),
            given=self._given,
        )
        return self._given if ttl is None else ttl
