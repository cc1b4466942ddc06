"""Who is at the command line, for the audit log."""

import os
import pwd

from caching_core.tenancy import Actor


def operator() -> Actor:
    """Return the user of this process: the uid, and the login name where the host knows one."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # as in a container that runs under a number of its own
        return Actor("os-user", str(uid))
    return Actor("os-user", f"{uid}:{name}")
