"""The policy that runs are judged by when they are assembled again: a file, read anew when it changes."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from causeline.schemas.errors import UsageError
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.policy_file import read_policy

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0


class PolicyFile:
    """The policy of a file, or the built-in one where none is named. Raises UsageError when it cannot be read at first.

    Later a file that cannot be read, or cannot be meant, changes nothing, and is told once.
    """

    def __init__(self, path: Path | None, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now_s = now_s
        self._looked_at = now_s()
        self._stamp = self._stamped()
        self._policy = DEFAULT_POLICY if path is None else read_policy(path)

    def current(self) -> Policy:
        """The policy as the file had it at the last look, at most a second ago."""
        if self._path is None or self._now_s() - self._looked_at < _LOOK_EVERY_S:
            return self._policy
        self._looked_at = self._now_s()
        stamp = self._stamped()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._policy = read_policy(self._path)
            except UsageError as error:
                log.warning("%s The policy stays as it was (%s).", error, self._policy.content_hash)
            else:
                log.info("judging by policy %s from now on", self._policy.content_hash)
        return self._policy

    def _stamped(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size
