"""What servers answer: foreign errors become ours here and nowhere else."""

import enum
from typing import Any, Final

from hiredis import ReplyError

from caching_core.errors import TierUnavailable


class Fault(enum.Enum):
    """What an error says of the connection and the server that gave it."""

    AWAY = "away"  # no answer, or none before the server is another: connect anew, probe before the next call
    REFUSED = "refused"  # the server works and will not do this: full, read-only, no permission
    NO_SCRIPT = "no script"  # the server has lost a script; send it whole


# By the first word of an error reply. Whatever is not listed is a refusal: the connection itself is in order.
_FAULTS: Final = {
    b"NOSCRIPT": Fault.NO_SCRIPT,
    b"LOADING": Fault.AWAY,
    b"MASTERDOWN": Fault.AWAY,
    b"CLUSTERDOWN": Fault.AWAY,
    b"READONLY": Fault.AWAY,
    b"NOAUTH": Fault.AWAY,
    b"BUSY": Fault.REFUSED,
    b"OOM": Fault.REFUSED,
    b"MISCONF": Fault.REFUSED,
    b"NOPERM": Fault.REFUSED,
    b"WRONGTYPE": Fault.REFUSED,
}

_WHAT_TO_DO: Final = {
    "OOM": "it is out of memory; raise its maxmemory, and let it evict with a volatile-* policy",
    "MISCONF": "it cannot save to its disk; look at its log",
    "NOPERM": "its user may not do this; see the README for the commands that the cache needs",
    "READONLY": "it is a replica; connect to the primary",
    "NOAUTH": "it wants a password; set redis_password",
    "BUSY": "a script of somebody's blocks it",
    "LOADING": "it is loading its data",
    "WRONGTYPE": "another program uses one of the cache's names; give it a database of its own",
}


class ServerSaid(TierUnavailable):
    """An error reply. ``fault`` says what follows from it."""

    def __init__(self, where: str, error: ReplyError) -> None:
        word = str(error).partition(" ")[0]
        remark = _WHAT_TO_DO.get(word, "look at its log")
        super().__init__(f"the server {where} answered {word[:32]}: {remark}")
        self.fault = _FAULTS.get(word.encode(), Fault.REFUSED)


def checked(where: str, reply: Any) -> Any:  # Any: whatever a command answers
    """Return a reply. Raises ServerSaid if it is an error."""
    if isinstance(reply, ReplyError):
        raise ServerSaid(where, reply)
    return reply


def has_done_one(reply: Any) -> bool:  # Any: as above
    """Tell whether the answer of the script of changes says that the only change happened."""
    return not isinstance(reply, ReplyError) and bool(reply[0] == [1])
