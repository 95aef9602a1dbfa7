"""From a recording to masked text in parts: transcribe, diarise, glossary, mask, kind, split."""

import json
import re
from collections.abc import Callable
from functools import cache

from benchmarks.zoo.open.kit.record import Recorder, Traced
from benchmarks.zoo.open.kit.text import Index, Passage
from benchmarks.zoo.open.minutes.knobs import Knobs
from benchmarks.zoo.open.minutes.models import kind_of
from benchmarks.zoo.open.minutes.talk import HEARD, OTHER_TERMS, Meeting, Said, meet, transcribe
from benchmarks.zoo.protocol import Surroundings

PRIVATE = {
    "EMAIL": re.compile(r"[\w.]+@[\w.]+\w"),
    "PHONE": re.compile(r"\+\d\d [\d ]+\d"),
    "DATE": re.compile(r"\d{4}-\d\d-\d\d"),
}
SIZE, OVERLAP = 12, 2


@cache
def _terms(whose: str) -> Index:
    words = HEARD if whose == "company" else OTHER_TERMS
    lines = [f"{heard} = {term}" for heard, term in words.items()]
    return Index([Passage(f"glossary of {whose}", n, line, "\n".join(lines)) for n, line in enumerate(lines, 1)])


def wanted(around: Surroundings, knobs: Knobs) -> Meeting:
    """The next meeting, of those that come in."""
    fits: dict[str, Callable[[Meeting], object]] = {
        "long": lambda m: len(m.said) > 3 * SIZE,
        "crowd": lambda m: len(m.people) > 3 and m.actions,
        "tasks": lambda m: m.actions,
        "phone": lambda m: m.private["PHONE"],
        "steering": lambda m: m.kind == "steering",
        "decided": lambda m: m.decisions,
        "ending": lambda m: m.actions and m.decisions and (len(m.said) - SIZE) % (SIZE - OVERLAP),
    }
    meeting = meet(around.random)
    while knobs.want in fits and not fits[knobs.want](meeting):
        meeting = meet(around.random)
    return meeting


class Hearing:
    """What comes before a model is asked."""

    def __init__(self, rec: Recorder, knobs: Knobs, around: Surroundings) -> None:
        self.rec, self.knobs, self.random = rec, knobs, around.random
        self.meeting = wanted(around, knobs)
        self.heard: list[Said] = []
        self.lines: list[str] = []
        self.parts: list[Passage] = []
        self.kind = ""

    def prepare(self) -> None:
        self.transcribe()
        self.diarise()
        self.correct()
        self.mask()
        self.choose()
        self.split()

    def transcribe(self) -> None:
        with self.rec.step("parse", "transcribe", parser_version="asr-7") as note:
            note.reads(f"recording of {self.meeting.said[-1].second} s")
            knobs = self.knobs
            self.heard, read, sure = transcribe(
                self.meeting, self.random, blocks=knobs.blocks_lost, foreign=knobs.foreign
            )
            blocks = self.meeting.said[-1].second // 120 + 1
            note.labels({"parse.quality": sure, "parse.pages": blocks, "parse.pages_read": read})
            note.gives("\n".join(h.text for h in self.heard))

    def diarise(self) -> None:
        with self.rec.step("custom", "diarise") as note:
            note.reads("\n".join(f"{h.second} {h.text}" for h in self.heard))
            people = self.meeting.people
            voices = [h.voice % self.knobs.voices for h in self.heard]
            self.lines = [f"{people[v]} [{h.second}]: {h.text}" for v, h in zip(voices, self.heard, strict=True)]
            if self.meeting.noisy and self.random.random() < 0.5:
                at = self.random.randrange(len(self.lines))
                self.lines[at] = (
                    re.sub(r"^\w+", "Unknown", self.lines[at]) if "will" not in self.lines[at] else self.lines[at]
                )
            found = len({line.split(" ")[0] for line in self.lines})
            note.labels({"diarise.speakers": found, "diarise.invited": len(people)})
            note.gives("\n".join(self.lines))

    def correct(self) -> None:
        text = "\n".join(self.lines)
        with self.rec.step("retrieve", "glossary") as note:
            note.reads(text)
            found = _terms(self.knobs.glossary).search(text, 12)
            best = {"retrieve.top_score": found[0].score} if found else {}
            said = {"retrieve.field": "$.terms", "retrieve.matches": len(found), "retrieve.shown": len(found), **best}
            note.labels(said)
            note.shows(found)
        if not found:
            return
        with self.rec.step("tool", "correct terms") as note:
            note.reads(text)
            count = 0
            for each in found:
                heard, term = each.text.split(" = ")
                count += text.count(heard)
                text = text.replace(heard, term)
            self.lines = text.split("\n")
            note.labels({"terms.corrected": count})
            note.gives(text)

    def mask(self) -> None:
        text = "\n".join(self.lines)
        with self.rec.step("mask", "mask private data") as note:
            note.reads(text)
            counts: dict[str, int] = {}
            for name in self.knobs.masked:
                text, counts[name] = PRIVATE[name].subn(f"<{name}>", text)
            self.lines = text.split("\n")
            note.labels({f"masked.{name}": count for name, count in counts.items()})
            note.gives(text)
            if isinstance(self.rec, Traced):
                note.say(raw_output_ref=self.rec.ref(json.dumps(counts)))

    def choose(self) -> None:
        text = "\n".join(self.lines)
        version = self.knobs.classifier
        with self.rec.step("classify", "kind of meeting", model_name=version, model_provider="house") as note:
            note.reads(text)
            kind, sure = kind_of(text, newer=version == "kinds-6")
            sure = round(min(0.99, 0.35 + sure * 0.8), 3)
            note.say(route=kind, route_confidence=sure)
            note.gives(kind)
        with self.rec.step("route", "template", route_policy_version="templates-3") as note:
            reason = "kind of meeting" if sure >= 0.6 else "unsure, the widest template"
            self.kind = kind if sure >= 0.6 else "steering"
            note.reads(kind)
            note.say(route=self.kind, route_reason=reason, route_confidence=sure)
            note.labels({"route.taken": self.kind})
            note.gives(self.kind)

    def split(self) -> None:
        with self.rec.step("custom", "split") as note:
            whole = "\n".join(self.lines)
            note.reads(whole)
            starts = range(0, max(1, len(self.lines) - OVERLAP), SIZE - OVERLAP)
            pieces = [self.lines[at : at + SIZE] for at in starts]
            if not self.knobs.last_part and len(pieces) > 1:
                pieces = [p for p in pieces if len(p) == SIZE]
            self.parts = [Passage("transcript", n, "\n".join(p), whole) for n, p in enumerate(pieces, 1)]
            covered = len({line for piece in pieces for line in piece})
            note.labels({"split.parts": len(pieces), "split.covered": covered, "split.lines": len(set(self.lines))})
            note.gives("\n--\n".join(p.text for p in self.parts))
