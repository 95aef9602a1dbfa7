"""Become another program that cannot outlive its parent.

`python -m causeline.stack.launch PARENT_PID PROGRAM ARGUMENT…` asks the kernel to kill this process when the
parent dies, then turns into PROGRAM; the request survives the exec (prctl(2), PR_SET_PDEATHSIG). Doing it here
instead of between fork and exec keeps Python code out of the forked copy of a process with threads.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def launcher(argv: Sequence[str], *, parent_pid: int | None = None) -> list[str]:
    """`argv` wrapped so that it dies with the process `parent_pid`, by default the calling one.

    The kernel watches the thread that starts the child: start it from one that lives as long as the process.
    """
    parent = os.getpid() if parent_pid is None else parent_pid
    return [sys.executable, "-I", "-S", __file__, str(parent), *argv]


def main(arguments: Sequence[str]) -> None:
    """Tie this process to its parent and exec the rest of `arguments`."""
    parent_pid, *argv = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent_pid):  # it died before the request was made
        sys.exit(1)
    try:
        os.execvp(argv[0], argv)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"error: {argv[0]} cannot be started: {error.strerror}.\n")
        sys.exit(4)


if __name__ == "__main__":
    main(sys.argv[1:])
