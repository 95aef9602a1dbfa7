"""The model of the triage: it counts the queues' words in the ticket, and writes replies from the facts it is given."""

import json
import re
from random import Random

from benchmarks.zoo.open.kit.model import Ask, Reply
from benchmarks.zoo.open.kit.text import words
from benchmarks.zoo.open.tickets.world import GERMAN

BACK = {foreign.lower(): own for own, foreign in GERMAN.items()}


class Triage:
    """`sloppy`: the queue's name comes as a heading, which no queue is called."""

    def __init__(self, draw: Random) -> None:
        self._draw = draw
        self.sloppy = draw.random() < 0.1
        self.unsure = draw.random() < 0.12
        self.confuses = False
        self.always_sure = False
        self.refuses = False
        self.invents = False

    def __call__(self, ask: Ask) -> Reply:
        if ask.system.startswith("Translate"):
            return Reply(text=" ".join(self._translate(w) for w in ask.last.split()))
        if ask.system.startswith("Classify"):
            return self._classify(ask)
        return self._reply(ask)

    @staticmethod
    def _translate(word: str) -> str:
        bare = word.strip(".,!?:")
        return word.replace(bare, BACK.get(bare.lower(), bare)) if bare else word

    def _classify(self, ask: Ask) -> Reply:
        if self.refuses:
            return Reply(text="I cannot help with that.", refusal=True, finish="content_filter")
        body = ask.turns[0][1]
        queues = dict(re.findall(r"^- (\w+): (.*)$", body, flags=re.MULTILINE))
        text = set(words(body.rpartition("Ticket:")[2]))
        votes = {name: len(text & set(words(f"{name} {meaning}"))) for name, meaning in queues.items()}
        if not votes or not text:
            return Reply(text=json.dumps({"queue": "other", "confidence": 0.3}))
        ranked = sorted(votes, key=lambda q: (-votes[q], q))
        queue = ranked[0]
        if self.confuses and queue in ("billing", "access"):
            queue = "access" if queue == "billing" else "billing"
        sure = self._draw.uniform(0.75, 0.98) if votes[ranked[0]] else 0.35
        if self.unsure and "careful" not in ask.system:
            sure = self._draw.uniform(0.45, 0.6)
        if self.always_sure:
            sure = 0.99
        if self.sloppy and len(ask.turns) == 1:
            queue = f"{queue.title()} team"
        return Reply(text=json.dumps({"queue": queue, "confidence": round(sure, 2)}))

    def _reply(self, ask: Ask) -> Reply:
        fact = re.search(r"^Fact: (.+)$", ask.last, flags=re.MULTILINE)
        if self.invents:
            return Reply(text="Dear customer, all is settled and you need not do anything.")
        if fact is None or fact.group(1) in ("nothing", "null"):
            return Reply(text="Dear customer, we look into it and write again.")
        return Reply(text=f"Dear customer, our systems say: {fact.group(1)}.")
