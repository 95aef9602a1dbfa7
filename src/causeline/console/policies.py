"""The policies that have judged, kept with their text, so that a hash on a run or a gap can be read back."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from pydantic import ValidationError

from causeline.console.store import Store
from causeline.schemas.errors import NotFound, UsageError
from causeline.schemas.policy import Policy

_HASH_DIGITS = 16
_KEPT = """
SELECT policy_hash, any(policy) AS policy, min(used_at) AS first_used_at, max(used_at) AS last_used_at,
       groupUniqArray(used_by) AS used_by, uniqExact(source_partition) AS partitions
FROM policies GROUP BY policy_hash ORDER BY first_used_at DESC, policy_hash
"""
_ONE = "SELECT policy FROM policies WHERE policy_hash = {hash:String} LIMIT 1"
_FROM = """
SELECT used_by, source_partition, from_offset, used_at FROM policies WHERE policy_hash = {hash:String}
ORDER BY used_at, used_by, source_partition, from_offset
"""


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """A policy that has judged: when it was first and last put to use, by whom, and on how many partitions."""

    policy_hash: str
    text: str
    first_used_at: datetime
    last_used_at: datetime
    used_by: tuple[str, ...]
    partitions: int

    @property
    def policy(self) -> Policy:
        """The policy itself."""
        return Policy.model_validate_json(self.text)


@dataclass(frozen=True, slots=True)
class Use:
    """From which message of a partition on a policy judged."""

    used_by: str
    source_partition: int
    from_offset: int
    used_at: datetime


def kept_policies(store: Store) -> list[KeptPolicy]:
    """Every policy that has judged, the newest first."""
    return [
        KeptPolicy(
            policy_hash=str(row["policy_hash"]),
            text=str(row["policy"]),
            first_used_at=cast("datetime", row["first_used_at"]),
            last_used_at=cast("datetime", row["last_used_at"]),
            used_by=tuple(sorted(cast("list[str]", row["used_by"]))),
            partitions=cast("int", row["partitions"]),
        )
        for row in store.ask(_KEPT)
    ]


def kept_policy(store: Store, text: str) -> KeptPolicy:
    """The policy whose hash is `text`, or begins with it; raises UsageError, or NotFound."""
    wanted = text.strip().lower()
    if not wanted or len(wanted) > _HASH_DIGITS or not set(wanted) <= set("0123456789abcdef"):
        raise UsageError(f"{text[:60]!r} is not the hash of a policy.", hint="causeline policy list has them.")
    found = [each for each in kept_policies(store) if each.policy_hash.startswith(wanted)]
    if len(found) > 1:
        shown = ", ".join(each.policy_hash for each in found[:5])
        raise NotFound(f"Several policies begin with {wanted}: {shown}.", hint="Give more of the hash.")
    if not found:
        raise NotFound(f"No policy with the hash {wanted} has judged here.", hint="causeline policy list has them.")
    return found[0]


def judging_policy(store: Store, policy_hash: str | None) -> Policy | None:
    """The policy of the hash on a run, where its text is kept and still reads."""
    rows = store.ask(_ONE, {"hash": policy_hash}) if policy_hash else []
    try:
        return Policy.model_validate_json(str(rows[0]["policy"])) if rows else None
    except ValidationError:  # written by a version whose format this one does not know
        return None


def uses_of(store: Store, policy_hash: str) -> list[Use]:
    """From which messages on a policy judged, oldest first."""
    return [
        Use(
            used_by=str(row["used_by"]),
            source_partition=cast("int", row["source_partition"]),
            from_offset=cast("int", row["from_offset"]),
            used_at=cast("datetime", row["used_at"]),
        )
        for row in store.ask(_FROM, {"hash": policy_hash})
    ]
