"""A worker's temporary folder, which Faust wants: it goes with its worker, or with the next that finds it dead."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "causeline-worker-"


@contextlib.contextmanager
def own_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder named after this process, under `parent` or where temporary files go.

    A worker that is killed, or that its watchdog ends, removes nothing; so each removes what dead ones left.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    for left in parent.glob(f"{_PREFIX}*"):
        if not _lives(left.name.removeprefix(_PREFIX).partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent) as folder:
        yield Path(folder)


def _lives(pid: str) -> bool:
    """Whether a process of that number may be there; a name that is no number was made by nobody who lives."""
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
