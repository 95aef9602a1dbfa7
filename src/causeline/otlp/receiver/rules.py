"""What the receiver's owner decides of the mapping: whose runs they are, which labels travel, how people are named."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from causeline.otlp.receiver import plain_words

_HASH_CHARS = 32
_MARK_CHARS = 8


class UserIds(StrEnum):
    """What becomes of the ids of users that spans carry."""

    HASH = "hash"  # a keyed hash travels, the id is kept with the rest of the span
    KEEP = "keep"  # the id travels, as the label user.id too
    DROP = "drop"  # nothing travels


@dataclass(frozen=True, slots=True)
class Rules:
    """One receiver's. `user_key` is the key of the hash: equal ids are equal hashes where the key is the same."""

    project: str = "default"
    labels: tuple[str, ...] = ()
    """Keys, or beginnings of keys that end in `*`, whose words travel as labels besides those of the table."""
    user_ids: UserIds = UserIds.HASH
    user_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    marks: bool = False
    """Whether words that do not travel are told apart by keyed marks: only where the key outlives the process."""

    def user(self, said: str) -> str | None:
        """What of a user's id travels."""
        match self.user_ids:
            case UserIds.HASH:
                return self.hashed(said)
            case UserIds.KEEP:
                return said
            case UserIds.DROP:
                return None

    def session(self, said: str) -> str:
        """A session's id: itself where it is one word, else its hash, because it may be a person's address."""
        return plain_words.word(said) or self.hashed(said)

    def mark(self, said: str) -> str:
        """A mark by which equal words can be told, 8 hex digits of their keyed hash."""
        return _mark(self.user_key, said)

    def hashed(self, said: str) -> str:
        """A keyed hash, 32 hex digits."""
        return hmac.new(self.user_key, said.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:_HASH_CHARS]


@lru_cache(maxsize=4096)
def _mark(key: bytes, said: str) -> str:
    return f"~{hmac.new(key, said.encode('utf-8', 'surrogatepass'), hashlib.sha256).hexdigest()[:_MARK_CHARS]}"
