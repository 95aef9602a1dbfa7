"""`python -m tests.faults.keeper COMMAND…`: starts a command again whenever it has died, until it is told to stop."""

import signal
import subprocess
import sys
import threading
from types import FrameType


def main() -> int:
    """Keep the command running."""
    stopping = threading.Event()
    current: list[subprocess.Popen[bytes]] = []

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()
        for process in current:
            process.terminate()

    signal.signal(signal.SIGTERM, stop)
    while not stopping.is_set():
        current[:] = [subprocess.Popen(sys.argv[1:])]
        if stopping.is_set():
            current[0].terminate()
        current[0].wait()
        stopping.wait(0.2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
