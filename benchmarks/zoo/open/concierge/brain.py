"""The concierge's model: it makes short questions whole from the history, and answers from guides and memory."""

import re
from random import Random

from benchmarks.zoo.open.concierge.world import CITIES, DIETS, PLACES
from benchmarks.zoo.open.kit.model import Ask, Reply

NOT_FOUND = "I do not know this, I am afraid."
MARKS = {"cost": r"\d+ EUR", "open": r"\d+:\d\d", "tram": r"tram \d+"}
HINTS = {"cost": "cost ticket much", "open": "open time", "tram": "tram"}


class Concierge:
    """`wordy`: the first answer is too long for the house's rule and is asked for again."""

    def __init__(self, draw: Random) -> None:
        self._draw = draw
        self.wordy = draw.random() < 0.1
        self.forgets_subject = False
        self.refuses = False
        self.confuses = False

    def __call__(self, ask: Ask) -> Reply:
        if ask.system.startswith("Make"):
            return self._whole(ask.last)
        if self.refuses:
            return Reply(text="I cannot talk about travelling.", refusal=True, finish="content_filter")
        text = self._answer(ask.turns[0][1], ask.system)
        if self.wordy and len(ask.turns) == 1:
            text += " " + "It is a lovely place and worth every minute of your stay." * 3
        return Reply(text=text)

    def _whole(self, body: str) -> Reply:
        history, _, short = body.rpartition("Question:")
        subjects = re.findall(rf"({'|'.join(PLACES)}) in ({'|'.join(CITIES)})", history)
        if not short.strip():
            return Reply(text="What is the question?")
        if not subjects or self.forgets_subject:
            return Reply(text=short.strip().removeprefix("And ").capitalize())
        place, city = subjects[-1]
        bare = short.strip().removeprefix("And ").rstrip("?")
        return Reply(text=f"{bare.capitalize()} for the {place} in {city}?")

    def _answer(self, body: str, system: str) -> str:
        asked = body.rpartition("Question:")[2]
        shown = re.findall(r"^\[\d+\] (.*)$", body, flags=re.MULTILINE)
        city = next((c for c in CITIES if c in asked), "")
        if asked.strip().startswith(("Thank", "Great", "Good")):
            return "You are welcome!"
        if "diet" in asked:
            return "Noted, I will keep that in mind." if "my diet is" in asked else self._table(body, shown, city)
        return self._place(asked, shown, city, system)

    def _place(self, asked: str, shown: list[str], city: str, system: str) -> str:
        place = next((p for p in PLACES if p in asked), "")
        about = next((a for a, hints in HINTS.items() if any(h in asked for h in hints.split())), "")
        if not place or not about:
            return NOT_FOUND if place else "Which place do you mean?"
        values = [
            m.group(0) for line in shown if place in line and city in line if (m := re.search(MARKS[about], line))
        ]
        if self.confuses:
            others = [m.group(0) for line in shown if (m := re.search(MARKS[about], line)) and m.group(0) not in values]
            values = others[:1] or [str(self._draw.randint(41, 99))] if values else values
        if not values:
            return NOT_FOUND
        if "no prices" in system:
            return "It is well worth a visit, just ask at the door."
        return f"The {place} in {city}: {values[0]}."

    @staticmethod
    def _table(body: str, shown: list[str], city: str) -> str:
        told = re.search(rf"^Memory: diet ({'|'.join(DIETS)})", body, flags=re.MULTILINE)
        if told is None:
            return "Please tell me your diet first."
        found = [re.search(r"the \w+(?=\.)", line) for line in shown if told.group(1) in line and city in line]
        return next((f"Eat at {m.group(0)}." for m in found if m), NOT_FOUND)
