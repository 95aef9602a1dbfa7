"""The manuals of a maker of household machines, and what its customers ask."""

from dataclasses import dataclass
from functools import cache
from random import Random

from benchmarks.zoo.open.kit.text import Index, Passage, chunked

PRODUCTS = (
    "Aerolux 300",
    "Aerolux 500",
    "Brewmate Duo",
    "Brewmate Solo",
    "Cryobox 90",
    "Dustwhale X",
    "Emberline Grill",
    "Frostline Mini",
    "Glidepress 2",
    "Humidor Plus",
    "Ironclad Kettle",
    "Juicera Pro",
)
# topic: document, sentence, questions, unit, range
TOPICS: dict[str, tuple[str, str, tuple[str, ...], str, range]] = {
    "warranty": (
        "terms",
        "The warranty of the {p} covers {v} months from the date of purchase.",
        ("How long is the warranty of the {p}?", "For how many months does the warranty cover my {p}?"),
        "months",
        range(12, 61, 6),
    ),
    "returns": (
        "terms",
        "An unused {p} can be returned within {v} days after delivery.",
        ("Within how many days can I return an unused {p}?", "Until when can the {p} be returned after delivery?"),
        "days",
        range(14, 61, 7),
    ),
    "descaling": (
        "care",
        "Descale the {p} every {v} weeks when the water is hard.",
        ("How often do I have to descale the {p}?", "After how many weeks must I descale my {p}?"),
        "weeks",
        range(2, 17),
    ),
    "filter": (
        "care",
        "Replace the filter of the {p} after {v} hours of use.",
        ("When do I replace the filter of the {p}?", "After how many hours is a new filter due in my {p}?"),
        "hours",
        range(100, 1000, 50),
    ),
    "power": (
        "manual",
        "The {p} draws {v} watts at its highest setting.",
        ("How many watts does the {p} draw?", "What power in watts has the {p} at its highest setting?"),
        "watts",
        range(200, 2400, 100),
    ),
    "noise": (
        "manual",
        "At full speed the {p} makes a noise of {v} decibels.",
        ("How loud in decibels is the {p} at full speed?", "What noise does my {p} make?"),
        "decibels",
        range(35, 80, 3),
    ),
    "reset": (
        "manual",
        "To reset the {p}, hold the start button for {v} seconds until the lamp blinks.",
        ("How do I reset the {p}?", "For how many seconds do I hold the start button to reset my {p}?"),
        "seconds",
        range(3, 20),
    ),
    "repair": (
        "terms",
        "A repair of the {p} that is no longer covered costs a flat fee of {v} EUR.",
        ("What costs a repair of the {p} that is no longer covered?", "What is the flat repair fee for the {p}?"),
        "EUR",
        range(29, 130, 10),
    ),
}
FILLER = {
    "manual": "Read this leaflet before first use and keep the {p} away from children.",
    "care": "Clean the housing of the {p} with a soft cloth and never with solvents.",
    "terms": "These terms hold for every {p} that was sold by a registered dealer.",
}
UNKNOWN = (  # what no document says
    "Is the {p} allowed in carry-on luggage?",
    "Which colour goes best with the {p}?",
    "Does the {p} work with a boat's inverter?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    text: str
    product: str
    topic: str
    truth: str
    """Number and unit; empty where no document says it."""


@cache
def facts(edition: int) -> dict[tuple[str, str], str]:
    """Value by product and topic. Each edition has other values."""
    draw = Random(f"manuals {edition}")
    return {(p, t): f"{draw.choice(TOPICS[t][4])} {TOPICS[t][3]}" for p in PRODUCTS for t in TOPICS}


def documents(edition: int) -> dict[str, str]:
    """Text by the name of a document."""
    out: dict[str, str] = {}
    known = facts(edition)
    for p in PRODUCTS:
        for kind, filler in FILLER.items():
            lines = [f"{p}: {kind}", filler.format(p=p)]
            for topic, (where, sentence, *_) in TOPICS.items():
                if where == kind:
                    lines.append(sentence.format(p=p, v=known[p, topic].split()[0]))
            out[f"{p.lower().replace(' ', '-')}/{kind}"] = "\n".join(lines)
    return out


@cache
def index(edition: int = 2, size: int = 0, without: str = "") -> Index:
    """The index of an edition, cut into paragraphs or by `size`; `without` leaves a kind of document out."""
    passages: list[Passage] = []
    for name, text in documents(edition).items():
        if not without or not name.endswith(without):
            passages += chunked(name, text, size=size)
    return Index(passages)


def question(draw: Random) -> Question:
    """What a customer asks; one in eight asks what stands nowhere."""
    product, topic = draw.choice(PRODUCTS), draw.choice(sorted(TOPICS))
    if draw.random() < 0.12:
        return Question(text=draw.choice(UNKNOWN).format(p=product), product=product, topic="", truth="")
    text = draw.choice(TOPICS[topic][2]).format(p=product)
    if draw.random() < 0.3:
        text = draw.choice(("Hello! ", "Hi there, quick question. ", "Sorry to bother you. ")) + text
    if draw.random() < 0.25:
        text += f" You can reach me at {draw.choice(('ann', 'bo', 'kim'))}{draw.randint(10, 99)}@mail.example."
    return Question(text=text, product=product, topic=topic, truth=facts(2)[product, topic])
