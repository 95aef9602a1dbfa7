"""The policy that judges, as a file says it: read again when it changes, kept where the new one cannot be meant."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from causeline.schemas.errors import UsageError
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.policy_file import read_policy

log = logging.getLogger(__name__)
_LOOK_EVERY_S = 1.0

_Stamp = tuple[int, int, int]


class PolicyWatch:
    """The policy of a file, or the built-in one where none is named; raises UsageError when it cannot be read at first.

    Later a file that cannot be read, or cannot be meant, changes nothing, and is told once.
    """

    def __init__(self, path: Path | None, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now_s = now_s
        self._stamp = None if path is None else _stamp(path)
        self._look_at_s = now_s() + _LOOK_EVERY_S
        self.policy: Policy = DEFAULT_POLICY if path is None else read_policy(path)

    def current(self) -> Policy:
        """The policy as the file had it at the last look, at most a second ago."""
        if self.changed() is not None:
            log.info("judging by policy %s from now on", self.policy.content_hash)
        return self.policy

    def changed(self) -> Policy | None:
        """The policy, if the file says another than before; looked at about once a second."""
        now_s = self._now_s()
        if self._path is None or now_s < self._look_at_s:
            return None
        self._look_at_s = now_s + _LOOK_EVERY_S
        stamp = _stamp(self._path)
        if stamp is None or stamp == self._stamp:  # a file that is gone is perhaps being written anew
            return None
        self._stamp = stamp
        try:
            policy = read_policy(self._path)
        except UsageError as error:
            log.error("%s The policy stays as it was (%s).", error, self.policy.content_hash)  # noqa: TRY400 - says all
            return None
        if policy.content_hash == self.policy.content_hash:
            return None
        self.policy = policy
        return policy


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
