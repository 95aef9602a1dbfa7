"""The model that extracts: it looks for each field it is asked for in the pages it gets, and is careless at times."""

import json
import re
from random import Random
from typing import Any

from benchmarks.zoo.open.claims.world import euro
from benchmarks.zoo.open.kit.model import Ask, Reply

MARKS = {
    "policy": r"Policy number: (HH-\w+)",
    "date": r"Date of loss: (\d\d\.\d\d\.\d{4})",
    "kind": r"Kind of loss: (\w+)",
    "claimed": r"Amount claimed: ([\d.,]+) EUR",
    "total": r"Total: ([\d.,]+) EUR",
    "police_report": r"Police report: (PR-\d+)",
    "number_plate": r"Number plate: (B-XY \d+)",
}


def number(written: str) -> float:
    """`1.234,50` as a number; what comes out of a bad scan is read as it stands."""
    return float(written.replace(".", "").replace(",", ".") or 0)


class Extractor:
    """`careless` is the chance of a wrong format at the first attempt."""

    def __init__(self, draw: Random, *, careless: float) -> None:
        self._draw, self._careless = draw, careless
        self.takes_net = False
        self.refuses = False

    def __call__(self, ask: Ask) -> Reply:
        if self.refuses:
            return Reply(text="I cannot process personal documents.", refusal=True, finish="content_filter")
        body = ask.turns[0][1]
        asked = re.search(r"Fields: (.*)", body)
        fields = [f for f in (asked.group(1).split(", ") if asked else []) if f in MARKS]
        out: dict[str, Any] = {}
        for field in fields:
            mark = r"Net: ([\d.,]+) EUR" if field == "total" and self.takes_net else MARKS[field]
            found = re.search(mark, body)
            out[field] = self._value(field, found.group(1), ask.system) if found else None
        if len(ask.turns) == 1 and out and self._draw.random() < self._careless:
            self._slip(out)
        return Reply(text=json.dumps(out))

    @staticmethod
    def _value(field: str, written: str, system: str) -> Any:
        if field in ("claimed", "total"):
            return number(written)
        if field == "date":
            day, month, year = written.split(".")
            if "American" in system and int(day) <= 12:
                day, month = month, day
            return f"{year}-{month}-{day}"
        return written

    @staticmethod
    def _slip(out: dict[str, Any]) -> None:
        """An amount as the form writes it, where a number was asked for."""
        if isinstance(out.get("total"), float):
            out["total"] = euro(out["total"])
