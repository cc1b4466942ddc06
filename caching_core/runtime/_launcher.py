"""Start a program that ends when its parent ends, whatever ends the parent.

The kernel sends the signal when the *thread* that forked ends: start children from the main thread, or from a thread
that stays as long as the child. A child that starts children of its own does it through this launcher too, so that the
whole tree goes. Run as a script, it imports nothing of ours: it stands between a caller and a program that it waits for.
"""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def bound_to_parent(command: Sequence[str]) -> list[str]:
    """Return the command that runs ``command`` bound to the life of the calling process.

    ``command`` is the absolute path of a program and its arguments. The process id is that of the program.
    """
    if not sys.executable:
        raise FileNotFoundError("this interpreter does not know its own path (sys.executable is empty), so it cannot start a launcher")
    # Isolated and without site: a third of the time, and nothing of the environment runs in between.
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main() -> None:
    """Bind this process to its parent, then become the program."""
    import ctypes

    parent, command = int(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise SystemExit(f"prctl(PR_SET_PDEATHSIG) failed with error {ctypes.get_errno()}; this needs Linux")
    # A parent that ended before the call above sends no signal any more.
    if os.getppid() != parent:
        raise SystemExit("the parent is gone")
    try:
        os.execv(command[0], command)  # noqa: S606 - the caller's own command, no shell; the setting survives exec
    except OSError as problem:
        raise SystemExit(f"cannot run {command[0]}: {problem.strerror}") from None


if __name__ == "__main__":
    main()
