"""Words, passages and search by words (BM25) and by hashed vectors."""

import itertools
import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "can",
        "do",
        "does",
        "for",
        "from",
        "has",
        "have",
        "how",
        "i",
        "in",
        "is",
        "it",
        "my",
        "of",
        "on",
        "or",
        "that",
        "the",
        "this",
        "to",
        "was",
        "what",
        "when",
        "which",
        "with",
        "you",
        "your",
        "many",
        "much",
        "long",
    ]
)
VECTOR = 64


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document; `score` is what the last one to weigh it gave, 0 to 1."""

    source: str
    number: int
    text: str
    whole: str
    score: float = 0.0

    def scored(self, score: float) -> "Passage":
        return replace(self, score=round(max(0.0, min(1.0, score)), 3))


def words(text: str) -> list[str]:
    """Lower-case words and numbers without stop words, crudely stemmed."""
    found = re.findall(r"[a-z0-9]+", text.lower())
    return [w[:-1] if len(w) > 3 and w.endswith("s") else w for w in found if w not in STOP]


def chunked(source: str, whole: str, *, size: int = 0) -> list[Passage]:
    """A document in its paragraphs, or in pieces of `size` characters wherever they fall."""
    parts = [whole[i : i + size] for i in range(0, len(whole), size)] if size else whole.split("\n")
    return [Passage(source, n, part, whole) for n, part in enumerate(parts, 1) if part.strip()]


def vector(text: str, *, salt: str = "") -> list[float]:
    """A text's words and word pairs hashed into a unit vector."""
    found = words(text)
    out = [0.0] * VECTOR
    for gram in (*found, *(f"{a} {b}" for a, b in itertools.pairwise(found))):
        code = zlib.crc32((salt + gram).encode())
        out[code % VECTOR] += 1.0 if code & 1024 else -1.0
    length = math.sqrt(sum(x * x for x in out)) or 1.0
    return [x / length for x in out]


class Index:
    """Passages to search."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = tuple(passages)
        self._counts = [Counter(words(p.text)) for p in passages]
        self._vectors = [vector(p.text) for p in passages]
        self._mean = sum(sum(c.values()) for c in self._counts) / max(1, len(passages))
        self._seen: Counter[str] = Counter()
        for count in self._counts:
            self._seen.update(count.keys())

    def search(self, query: str, limit: int, *, meaning: Sequence[float] | None = None) -> list[Passage]:
        """The best passages, best first; BM25, and with `meaning` the vectors' nearness beside it."""
        asked = set(words(query))
        total = len(self.passages)
        found = []
        for at, (passage, count) in enumerate(zip(self.passages, self._counts, strict=True)):
            size = sum(count.values())
            score = 0.0
            for word in asked & count.keys():
                weight = math.log(1 + (total - self._seen[word] + 0.5) / (self._seen[word] + 0.5))
                score += weight * count[word] * 2.2 / (count[word] + 1.2 * (0.25 + 0.75 * size / self._mean))
            if meaning is not None:
                score += 4 * max(0.0, sum(a * b for a, b in zip(meaning, self._vectors[at], strict=True)))
            if score > 1.0:
                found.append((score, at, passage))
        found.sort(key=lambda f: (-f[0], f[1]))
        return [p.scored(1 - math.exp(-s / 6)) for s, _, p in found[:limit]]


def overlap(text: str, other: str) -> float:
    """Share of the words of `text` that `other` has."""
    mine = set(words(text))
    return len(mine & set(words(other))) / len(mine) if mine else 0.0
