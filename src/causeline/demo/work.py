"""What the steps do, as plain functions on text: parse, mask, route, chunk, search, support, validate.

Each takes a `Twist`, which says what of it is out of order in this run; a clean run has none.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from causeline.demo.cases import FIELDS, ROUTES
from causeline.demo.documents import DEBLUR, PAGE_BREAK

Twist = frozenset[str]
"""Names of the faults that are planted in this run."""

_CLEAN = re.compile(r"[\w.,:;()/'-]+")
_ENTITIES: Mapping[str, re.Pattern[str]] = {
    "PERSON": re.compile(r"\b(?:Ada Brook|Ben Okafor|Carla Reyes|Dmitri Anders|Eva Lindqvist|Farid Nasser)\b"),
    "MONEY": re.compile(r"\b[\dOlS]+\.[\dOlS]{2} EUR\b"),
    "DATE": re.compile(r"\b[2][0O][\dOlS]{2}-[\dOlS]{2}-[\dOlS]{2}\b"),
}
_SHAPES: Mapping[str, re.Pattern[str]] = {
    "money": re.compile(r"\d+\.\d\d EUR"),
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "number": re.compile(r"\d+"),
    "place": re.compile(r"[A-Z]\w+"),
    "firm": re.compile(r"[\w ]+"),
    "id": re.compile(r"[A-Z]{2}-\d{6}"),
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a parser made of a document, and how well it believes it read it."""

    pages: tuple[str, ...]
    pages_in_input: int
    quality: float

    @property
    def text(self) -> str:
        """The pages as one text."""
        return PAGE_BREAK.join(self.pages)


def parse(text: str, wanted: str, twist: Twist) -> Parsed:
    """Split a document into pages and clean them. `wanted` is a label that a broken parser happens to trip over."""
    pages = text.split(PAGE_BREAK)
    read = [page for page in pages if not ("drop_page" in twist and wanted in page)]
    if "garbled_ocr" in twist:
        read = [_garbled(page) for page in read]
    tokens = [token for page in read for token in page.split()]
    clean = sum(_CLEAN.fullmatch(token) is not None for token in tokens)
    return Parsed(tuple(read), len(pages), clean / len(tokens) if tokens else 0.0)


def _garbled(page: str) -> str:
    return re.sub(r"[eai]", lambda found: {"e": "€", "a": "@", "i": "¦"}[found[0]], page)


def mask(text: str, twist: Twist) -> tuple[str, dict[str, list[str]]]:
    """Replace what must not be seen; gives the text, and the pages and lines where entities of each type went."""
    types = ["PERSON", *(["MONEY"] if "mask_money" in twist else []), *(["DATE"] if "mask_dates" in twist else [])]
    places: dict[str, list[str]] = {}
    pages = [page.split("\n") for page in text.split(PAGE_BREAK)]
    for kind in types:
        for number, lines in enumerate(pages, 1):
            for at, line in enumerate(lines):
                lines[at], count = _ENTITIES[kind].subn(f"[{kind}]", line)
                places.setdefault(kind, []).extend([f"page={number}&line={at + 1}"] * count)
    return PAGE_BREAK.join("\n".join(lines) for lines in pages), {
        kind: found for kind, found in places.items() if found
    }


@dataclass(frozen=True, slots=True)
class Routed:
    """A decision, and how much better it was than the next."""

    route: str
    reason: str
    confidence: float


def route(workflow: str, text: str, twist: Twist, *, late_weight: float = 1.0, doubt: float = 0.0) -> Routed:
    """Decide by the words that tell the kinds apart; the last of them in the text counts `late_weight`."""
    rules = dict(ROUTES[workflow])
    if "wrong_rule" in twist:  # the rules' word lists have moved by one route
        names = sorted(rules)
        rules = {name: rules[names[place - 1]] for place, name in enumerate(names)}
    if "forbidden_route" in twist:
        rules = {"express" if words[0] in text else name: words for name, words in rules.items()}
    lowered = text.lower()
    last = max((word for words in rules.values() for word in words), key=lowered.rfind)

    def score(name: str) -> float:
        return sum(late_weight if word == last else 1.0 for word in rules[name] if word in lowered)

    scores = {name: score(name) for name in rules}
    best = max(sorted(scores), key=lambda name: scores[name])
    total = sum(scores.values())
    found = [word for word in rules[best] if word in lowered]
    sure = scores[best] / total if total else 0.34
    return Routed(best, f"words:{'+'.join(found) or 'none'}", sure * (1 - doubt))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a masked document, and the reference by which it is cited."""

    ref: str
    source: str
    text: str


def chunks_of(ref: str, source: str, text: str) -> list[Chunk]:
    """Pieces of two lines each."""
    lines = text.replace(PAGE_BREAK, "\n").split("\n")
    chunks, begin = [], 0
    for at in range(0, len(lines), 2):
        piece = "\n".join(lines[at : at + 2])
        chunks.append(Chunk(f"{ref}#chars={begin}-{begin + len(piece)}", source, piece))
        begin += len(piece) + 1
    return chunks


@dataclass(frozen=True, slots=True)
class Hits:
    """What a search found: how many chunks matched, those that are shown, and the best score."""

    matches: int
    shown: tuple[Chunk, ...]
    top_score: float


def search(label: str, chunks: Sequence[Chunk], twist: Twist, *, keep: int = 4) -> Hits:
    """Rank chunks by the share of the label's words that they have; more than half is a match."""
    words = label.lower().split()
    if "stale_index" in twist:  # the index was built before the lines with this label were there
        chunks = [chunk for chunk in chunks if f"{label.lower()}:" not in chunk.text.lower()]
    scored = sorted(((_share(words, chunk.text.lower()), chunk) for chunk in chunks), key=lambda pair: -pair[0])
    matching = [chunk for score, chunk in scored if score > 0.5]
    shown = matching[1:keep] if "cut_context" in twist else matching[:keep]
    return Hits(len(matching), tuple(shown), scored[0][0] if scored else 0.0)


def _share(words: Sequence[str], text: str) -> float:
    return sum(word in text for word in words) / len(words)


def stated(label: str, text: str) -> str | None:
    """The value that a text states for a label, as a careful reader reads it."""
    found = re.search(rf"{re.escape(label)}: ([^\n]+)", text)
    if found is None or found[1].startswith("["):
        return None
    value = found[1].strip()
    return re.sub(r"[\dOlS.-]{3,}", lambda part: part[0].translate(DEBLUR), value)


def support(value: str, cited: str, twist: Twist) -> float:
    """How well a cited text supports a value: 1 when it is there to the letter, less the more it differs."""
    if "checks_beginning_only" in twist:
        cited = cited[:6]
    if value in cited:
        return 1.0
    pieces = [piece for line in cited.split("\n") for piece in (line, line.partition(": ")[2]) if piece]
    return (
        max((difflib.SequenceMatcher(None, value, piece, autojunk=False).ratio() for piece in pieces), default=0.0)
        * 0.9
    )


def shape_errors(workflow: str, answer: Mapping[str, object], checked: Sequence[str]) -> list[str]:
    """What is wrong with an answer's shape, as codes and JSON paths; a missing value is no matter of shape."""
    kinds = {field.path: field.kind for field in FIELDS[workflow]}
    errors = []
    for path in checked:
        value = answer.get(path)
        if value is None:
            continue
        if not isinstance(value, str):
            errors.append(f"type:{path}")
        elif not _SHAPES[kinds[path]].fullmatch(value):
            errors.append(f"pattern:{path}")
    return errors


def as_json(value: object) -> bytes:
    """Canonical JSON, so that equal content is one artifact."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
