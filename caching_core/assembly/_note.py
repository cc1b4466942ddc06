"""The log lines that an operator should see, each said once by the event that tells of it."""

import logging

from caching_core.events import ConfigNote, Event, StoreQuarantined, StoreVoided, TierLost, TierOpened, UpkeepFailed

_log = logging.getLogger("caching_core")


def note(event: Event) -> None:
    """Write the events that need somebody's eyes to the log."""
    if isinstance(event, TierLost):
        _log.warning("tier %s is away: %s", event.tier, event.reason)
    elif isinstance(event, TierOpened):
        _log.warning("tier %s is back", event.tier)  # as loud as its loss was
    elif isinstance(event, StoreVoided):
        _log.warning("everything stored before now is distrusted: %s", event.reason)
    elif isinstance(event, StoreQuarantined):
        _log.error("a damaged file was moved to %s and a new one begun: %s", event.kept_as, event.reason)
    elif isinstance(event, UpkeepFailed):
        _log.warning("upkeep of tier %s has to wait: %s", event.tier, event.reason)
    elif isinstance(event, ConfigNote):
        _log.warning("%s", event.message)
