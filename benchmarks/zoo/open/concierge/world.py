"""Guides to six cities, and travellers who talk about them."""

from dataclasses import dataclass
from functools import cache
from random import Random

from benchmarks.zoo.open.kit.text import Index, Passage, chunked

CITIES = ("Lisbon", "Gdansk", "Bologna", "Tartu", "Utrecht", "Cadiz")
PLACES = ("Harbour Museum", "Old Tower", "Glass Garden")
DIETS = ("vegan", "halal", "kosher", "gluten-free")
TABLES = ("Anker", "Basil", "Cedro", "Dill", "Esker", "Fennel", "Garum", "Hazel")
ASKS = {
    "cost": ("What does the {p} in {c} cost?", "How much is a ticket for the {p} in {c}?"),
    "open": ("When does the {p} in {c} open?", "From what time does the {p} in {c} open?"),
    "tram": ("Which tram goes to the {p} in {c}?", "What tram takes me to the {p} in {c}?"),
}
SHORT = {"cost": "And what does it cost?", "open": "And when does it open?", "tram": "And which tram goes there?"}
CHAT = ("Thanks a lot, that helps!", "Great, thank you.", "Good morning!")
UNKNOWN = ("Is the {p} in {c} haunted?", "Who built the {p} in {c}?")


@cache
def facts(edition: int) -> dict[tuple[str, str, str], str]:
    """What the guides say of a place: by city, place and what is asked."""
    draw = Random(f"guides {edition}")
    out = {}
    for city in CITIES:
        for place in PLACES:
            out[city, place, "cost"] = f"{draw.randint(5, 40)} EUR"
            out[city, place, "open"] = f"{draw.randint(7, 12)}:{draw.choice(('00', '15', '30'))}"
            out[city, place, "tram"] = f"tram {draw.randint(1, 30)}"
        for diet, table in zip(DIETS, draw.sample(TABLES, len(DIETS)), strict=True):
            out[city, diet, "table"] = f"the {table}"
    return out


@cache
def guides(edition: int = 2, size: int = 0) -> Index:
    known = facts(edition)
    passages: list[Passage] = []
    for city in CITIES:
        lines = [f"A guide to {city}, for walkers and the curious."]
        for p in PLACES:
            lines += [
                f"The ticket for the {p} in {city} costs {known[city, p, 'cost']}.",
                f"The {p} in {city} opens at {known[city, p, 'open']}.",
                f"To the {p} in {city} goes {known[city, p, 'tram']}.",
            ]
        lines += [f"For {d} food in {city} eat at {known[city, d, 'table']}." for d in DIETS]
        passages += chunked(f"guide/{city.lower()}", "\n".join(lines), size=size)
    return Index(passages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    session: str
    user: str
    diet: str
    history: tuple[str, ...]
    kind: str
    """fact, follow_up, table, told, chat or unknown."""
    text: str
    topic: tuple[str, str, str]
    truth: str


def traveller(number: int) -> tuple[str, str, str]:
    """User, diet and session of a run: three turns make a session."""
    draw = Random(f"session {number // 3}")
    return f"u{draw.randint(1000, 9999)}", draw.choice(DIETS), f"s{number // 3:05}"


def turn(draw: Random, number: int) -> Turn:
    """A turn; the first of a session has no history and so no follow-up."""
    user, diet, session = traveller(number)
    city, place, ask = draw.choice(CITIES), draw.choice(PLACES), draw.choice(tuple(ASKS))
    known = facts(2)
    first = number % 3 == 0
    kinds = (
        ("fact", "fact", "table", "told", "unknown") if first else ("fact", "follow_up", "follow_up", "table", "chat")
    )
    kind = draw.choice(kinds)
    other = draw.choice([a for a in ASKS if a != ask])
    history = (
        ()
        if first
        else (
            f"user: {ASKS[other][0].format(p=place, c=city)}",
            f"assistant: The {place} in {city}: {known[city, place, other]}.",
        )
    )
    text, truth, topic = {
        "fact": (draw.choice(ASKS[ask]).format(p=place, c=city), known[city, place, ask], (city, place, ask)),
        "follow_up": (SHORT[ask], known[city, place, ask], (city, place, ask)),
        "table": (f"Where can I eat in {city} with my diet?", known[city, diet, "table"], (city, diet, "table")),
        "told": (f"By the way, my diet is {diet}.", "", ("", diet, "")),
        "chat": (draw.choice(CHAT), "", ("", "", "")),
        "unknown": (draw.choice(UNKNOWN).format(p=place, c=city), "", (city, place, "")),
    }[kind]
    return Turn(session=session, user=user, diet=diet, history=history, kind=kind, text=text, topic=topic, truth=truth)
