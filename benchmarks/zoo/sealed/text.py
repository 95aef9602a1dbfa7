"""Words, scores and pauses that every workflow here needs."""

import math
import re
import time
from collections import Counter
from collections.abc import Sequence

WORD = re.compile(r"[a-z0-9äöüß]+")
COMMON = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "in",
        "on",
        "at",
        "to",
        "for",
        "and",
        "or",
        "is",
        "was",
        "were",
        "be",
        "by",
        "with",
        "from",
        "what",
        "which",
        "who",
        "how",
        "many",
        "much",
        "it",
        "its",
    ]
)


def words(text: str) -> list[str]:
    """The words of a text that carry meaning, lower case."""
    return [word for word in WORD.findall(text.lower()) if word not in COMMON]


def rank(query: str, passages: Sequence[str]) -> list[tuple[float, int]]:
    """Passages by how much of the query they cover, best first: (score 0 to 1, position)."""
    asked = Counter(words(query))
    bags = [Counter(words(passage)) for passage in passages]
    seen: Counter[str] = Counter()
    for bag in bags:
        seen.update(bag.keys())
    weight = {word: math.log(1 + (len(passages) + 1) / (1 + seen[word])) for word in asked}
    whole = sum(weight.values()) or 1.0
    scored = []
    for position, bag in enumerate(bags):
        covered = sum(weight[word] for word in asked if bag[word])
        length = 1 / (1 + len(bag) / 200)
        scored.append((round(covered / whole * (0.85 + 0.15 * length), 4), position))
    return sorted(scored, key=lambda pair: (-pair[0], pair[1]))


def tokens(text: str) -> int:
    """About how many tokens a text is."""
    return max(1, len(text) // 4)


def pause(milliseconds: float) -> None:
    """Take that long, as a service does."""
    time.sleep(milliseconds / 1000)
