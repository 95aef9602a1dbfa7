"""A disk that can be filled and freed: a small mount in memory, or, where nobody may mount, files that may not grow."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psutil

SIZE_MIB = 192
LEFT_BYTES = 2 << 20
"""Room that a full mount still has: enough to begin with what cannot be ended."""
_SYS_ADMIN = 21
_ENVIRONMENT = "CAUSELINE_FAULTS_DISK"


class SmallDisk(Protocol):
    """Where a process writes to; `pid` is the process."""

    name: str

    def fill(self, pid: int) -> None:
        """No room any more."""

    def free(self, pid: int) -> None:
        """Room again."""


class SmallMount:
    """A file in the way takes all the room."""

    name = f"a mount of {SIZE_MIB} MiB"

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self, pid: int) -> None:
        """All room but a little."""
        free = shutil.disk_usage(self._ballast.parent).free
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, free - LEFT_BYTES))

    def free(self, pid: int) -> None:
        """The room that was there."""
        self._ballast.unlink()


class FilesThatMayNotGrow:
    """The process may write no file any larger, wherever it lies."""

    name = "files that may not grow"

    def fill(self, pid: int) -> None:
        """Four KiB a file and no more."""
        psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (1 << 12, resource.RLIM_INFINITY))

    def free(self, pid: int) -> None:
        """As large as it likes."""
        psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def may_mount() -> bool:
    """Whether this process may mount file systems."""
    [line] = [each for each in Path("/proc/self/status").read_text("utf-8").splitlines() if each.startswith("CapEff")]
    return bool(int(line.split()[1], 16) >> _SYS_ADMIN & 1)


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """A disk for what lies in `folder`; CAUSELINE_FAULTS_DISK=limit takes the second kind in any case."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.environ.get(_ENVIRONMENT) == "limit" or not may_mount():
        yield FilesThatMayNotGrow()
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(folder)], check=True)
    try:
        yield SmallMount(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
