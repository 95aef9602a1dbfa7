"""What reads, embeds and classifies articles: small functions that see what they are given."""

import csv
import json
import math
import re
import zlib
from collections.abc import Sequence
from random import Random

from benchmarks.zoo.open.catalogue.goods import COLOURS, FIELDS, KINDS, WORDS
from benchmarks.zoo.open.kit.model import Ask, Reply
from benchmarks.zoo.open.kit.text import vector, words

MIXED_UP = {"kettle": "lamp", "backpack": "hose"}
SALTS = {"finch-embed-3": "", "finch-embed-4": "4"}


def rows_of(text: str, delimiter: str, *, stops_at_gap: bool) -> tuple[list[dict[str, str]], int, float]:
    """The whole rows of a file, how many there should be, and the share of fields that look as they should."""
    lines = text.split("\n")
    if stops_at_gap and "" in lines:
        expected = len([line for line in lines if line])
        lines = lines[: lines.index("")]
    else:
        lines = [line for line in lines if line]
        expected = len(lines)
    if lines and lines[0].startswith("{"):
        found = [json.loads(line) for line in lines]
    else:
        expected -= 1
        mark = delimiter or (";" if lines[0].count(";") > lines[0].count(",") else ",")
        found = list(csv.DictReader(lines, delimiter=mark))
    good = [row for row in found if all(row.get(f) for f in FIELDS) and _price(row["price"]) and row["gtin"].isdigit()]
    looks = sum(bool(row.get(f)) for row in found for f in FIELDS) / max(1, len(found) * len(FIELDS))
    return good, expected, round(looks * 0.99, 3)


def _price(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None


def embed(title: str, model: str) -> list[float]:
    return vector(title, salt=SALTS[model])


def near(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def classify(title: str, text: str, draw: Random, *, version: str) -> tuple[str, float]:
    """A kind and how sure; where the title says nothing it goes by the words of the facts."""
    mine = set(words(f"{title} {text}"))
    scores = {}
    for kind, (name, fields) in KINDS.items():
        hits = len(mine & set(words(name)))
        scores[kind] = 1.5 * hits + sum(WORDS[f] in text for f in fields)
    best = max(scores, key=lambda kind: scores[kind])
    whole = sum(math.exp(s) for s in scores.values())
    sure = max(0.3, min(0.985, 0.97 * math.exp(scores[best]) / whole - draw.random() * 0.06))
    if version == "taxonomy-12" and zlib.crc32(title.encode()) % 4:
        best = MIXED_UP.get(best, best)
    return best, round(sure, 3)


class FieldReader:
    """Reads one field of a description; answers in JSON, and now and then with a sentence around it."""

    def __init__(self, draw: Random, *, prose: float, drops_commas: bool) -> None:
        self._draw, self._prose, self._drops = draw, prose, drops_commas

    def __call__(self, ask: Ask) -> Reply:
        asked, _, text = ask.turns[0][1].partition("\n")
        field = asked.removeprefix("FIELD ")
        answer: dict[str, str | float | None] = {"value": None}
        if field == "colour":
            found = re.search(rf"colour ({'|'.join(COLOURS)})", text)
            answer = {"value": found[1], "quote": found[0]} if found else answer
        else:
            told = re.search(rf"{WORDS[field]} (\d[\d.,]*\d|\d) (\w+)", text)
            if told:
                number = told[1].replace(",", "" if self._drops else ".")
                answer = {"value": float(number), "unit": told[2], "quote": told[0]}
        if "unit" not in ask.system:
            answer.pop("unit", None)
        out = json.dumps(answer)
        if self._draw.random() < (self._prose if len(ask.turns) == 1 else self._prose / 2):
            out = f"Here is what I found: {out} I hope that helps."
        return Reply(text=out)
