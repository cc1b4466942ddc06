"""Start a program that ends when its parent ends, whatever ends the parent.

The kernel sends the signal when the *thread* that forked ends: start children from the main thread only.
A child that starts children of its own does it through this launcher too, so that the whole tree goes.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def launched(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs this interpreter with ``arguments``, bound to the life of the calling process."""
    return [sys.executable, "-m", __name__, str(os.getpid()), *arguments]


def main() -> None:
    """Bind this process to its parent, then become the program."""
    parent, arguments = int(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed; the tour needs Linux")
    # A parent that ended before the call above sends no signal any more.
    if os.getppid() != parent:
        raise SystemExit("the parent is gone")
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - our own interpreter; the setting survives exec


if __name__ == "__main__":
    main()
