"""The model behind the support desk: a small reader that answers from the passages it is given, and lapses at times."""

import re
from random import Random

from benchmarks.zoo.open.kit.model import Ask, Reply
from benchmarks.zoo.open.kit.text import overlap, words
from benchmarks.zoo.open.support.world import PRODUCTS

UNITS = ["months", "days", "weeks", "hours", "watts", "decibels", "seconds", "EUR"]
CHATTER = re.compile(r"Hello!|Hi there, quick question\.|Sorry to bother you\.|You can reach.*")
NOT_FOUND = "I could not find this in the manuals."


class Reader:
    """`lapses` is the chance of an answer without a citation at the first attempt."""

    def __init__(self, draw: Random, *, lapses: float = 0.1) -> None:
        self._draw, self.lapses = draw, lapses
        self.confused = False
        self.refuses = False
        self.forgets_product = False

    def __call__(self, ask: Ask) -> Reply:
        if ask.system.startswith("Rewrite"):
            return self._rewrite(ask)
        return self._answer(ask)

    def _rewrite(self, ask: Ask) -> Reply:
        asked = CHATTER.sub("", ask.last.removeprefix("Question:")).strip()
        if not words(asked):
            return Reply(text="Please give me the question to rewrite.")
        query = " ".join(words(asked))
        if self.forgets_product:
            for word in words(" ".join(PRODUCTS)):
                query = re.sub(rf"\b{re.escape(word)}\b", "", query)
        return Reply(text=" ".join(query.split()))

    def _answer(self, ask: Ask) -> Reply:
        if self.refuses:
            return Reply(text="I am sorry, I cannot advise on this.", refusal=True, finish="content_filter")
        body = ask.turns[0][1]
        asked = CHATTER.sub("", body.rpartition("Question:")[2])
        shown = re.findall(r"^\[(\d+)\] (.*)$", body, flags=re.MULTILINE)
        best = self._best(asked, shown)
        if best is None:
            return Reply(text=NOT_FOUND)
        number, value = best
        if "without figures" in ask.system:
            return Reply(text=f"That is stated quite clearly in your leaflet, and it is rather generous. [{number}]")
        if self._draw.random() < self.lapses and len(ask.turns) == 1:
            return Reply(text=f"It is {value}.")
        return Reply(text=f"It is {value}. [{number}]")

    def _best(self, asked: str, shown: list[tuple[str, str]]) -> tuple[str, str] | None:
        product = next((p for p in PRODUCTS if p.lower() in asked.lower()), "")
        plain = " ".join(w for w in words(asked) if w not in words(product))
        found: list[tuple[float, str, str]] = []
        others: list[tuple[str, str]] = []
        for number, text in shown:
            value = re.search(rf"(\d+) ({'|'.join(UNITS)})", text)
            if value is None:
                continue
            share = overlap(plain, text)
            if product and product.lower() in text.lower() and share > 0.34:
                found.append((share, number, value.group(0)))
            else:
                others.append((number, value.group(0)))
        found.sort(key=lambda f: (-f[0], f[1]))
        if not found:
            return None
        if self.confused:
            wrong = [o for o in others if o[1] != found[0][2]]
            return wrong[-1] if wrong else (found[0][1], f"{self._draw.randint(1001, 1999)} {found[0][2].split()[1]}")
        return found[0][1], found[0][2]
