"""The policy file of a worker: read again when it changes, and kept as it was where the new one cannot be meant."""

import logging
from pathlib import Path

from causeline.schemas.errors import UsageError
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.policy_file import read_policy

_LOG = logging.getLogger(__name__)
_LOOK_EVERY_S = 1.0

_Stamp = tuple[int, int, int]


class PolicyFile:
    """The policy in a file, or the built-in one where none is named; raises UsageError when it cannot be read."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp = None if path is None else _stamp(path)
        self._look_at_s = float("-inf")
        self.policy: Policy = DEFAULT_POLICY if path is None else read_policy(path)

    def changed(self, now_s: float) -> Policy | None:
        """The policy, if the file says another than before; looked at about once a second, by a steady clock."""
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
            _LOG.error("the policy stays %s: %s", self.policy.content_hash, error)
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
