"""From Django's timeouts to lifetimes of the core, and back."""

import math
import time
from datetime import datetime
from typing import Any

from caching_core.config import MAX_TTL

Timeout = Any  # a number of seconds, None, or Django's mark for "not given"


def seconds_of(timeout: Timeout) -> float | None:
    """Return the lifetime of a timeout: None for ever, 0 for one that is over; what no entry can state is for ever."""
    if timeout is None:
        return None
    if timeout <= 0:
        return 0.0
    return None if timeout > MAX_TTL else float(timeout)


def left_of(ttl: float | None, per_second: int) -> int | None:
    """Return what is left as django-redis says it: None for ever, 0 where there is nothing."""
    if ttl is None:
        return 0
    return None if math.isinf(ttl) else max(int(ttl * per_second), 0)


def until(when: float | datetime) -> float:
    """Return the seconds from now to a Unix time or a datetime (a naive one is local time)."""
    moment = when.timestamp() if isinstance(when, datetime) else when
    return moment - time.time()
