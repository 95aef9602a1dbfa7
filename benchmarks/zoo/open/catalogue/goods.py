"""Articles as they really are, and how suppliers write them down."""

import csv
import io
import json
from dataclasses import dataclass
from random import Random

COLOURS = ("blue", "black", "white", "red", "green")
KINDS: dict[str, tuple[str, dict[str, tuple[float, float]]]] = {
    "drill": ("Akku drill driver", {"voltage_v": (10.8, 18), "weight_kg": (0.9, 2.4)}),
    "kettle": ("Electric water kettle", {"capacity_l": (0.8, 2.0), "power_w": (1500, 2400)}),
    "lamp": ("Desk lamp LED light", {"power_w": (4, 20), "height_cm": (25, 70)}),
    "hose": ("Garden hose set", {"length_m": (10, 50), "diameter_cm": (1.2, 2.6)}),
    "chair": ("Office chair ergonomic", {"height_cm": (90, 130), "weight_kg": (8, 22)}),
    "backpack": ("Hiking backpack rucksack", {"capacity_l": (15, 65), "weight_kg": (0.5, 2.2)}),
}
RANGES = {
    "voltage_v": (3.0, 60.0),
    "weight_kg": (0.2, 40.0),
    "capacity_l": (0.3, 90.0),
    "power_w": (2.0, 3000.0),
    "height_cm": (10.0, 220.0),
    "length_m": (1.0, 100.0),
    "diameter_cm": (0.5, 10.0),
}
UNITS = {
    "voltage_v": ("V",),
    "weight_kg": ("kg", "g", "lb"),
    "capacity_l": ("l", "ml"),
    "power_w": ("W", "kW"),
    "height_cm": ("cm", "mm", "inch"),
    "length_m": ("m", "ft"),
    "diameter_cm": ("cm", "mm", "inch"),
}
FACTORS = {"g": 0.001, "lb": 0.4536, "ml": 0.001, "kW": 1000.0, "mm": 0.1, "inch": 2.54, "ft": 0.3048}
WORDS = {
    "voltage_v": "voltage",
    "weight_kg": "weight",
    "capacity_l": "holds",
    "power_w": "power",
    "height_cm": "height",
    "length_m": "length",
    "diameter_cm": "diameter",
}
BRANDS = ("Nordwerk", "Halden", "Piqué", "Großmann", "Tallis")
SUPPLIERS = ("semicolons", "commas", "lines")


@dataclass(frozen=True, slots=True)
class Article:
    """The truth about an article."""

    gtin: str
    kind: str
    title: str
    text: str
    cost: float
    price: float
    facts: dict[str, float]
    colour: str
    known: bool
    """Whether the shop has it already, under a title of its own."""
    odd: bool = False
    """Whether its title says little, or its price makes no sense."""


def gtin(random: Random) -> str:
    """A number with its check digit."""
    digits = [random.randint(0, 9) for _ in range(12)]
    check = (10 - sum(d * (3 if n % 2 else 1) for n, d in enumerate(digits)) % 10) % 10
    return "".join(map(str, [*digits, check]))


def valid_gtin(code: str) -> bool:
    """Whether the check digit is right."""
    if len(code) != 13 or not code.isdigit():
        return False
    return sum(int(d) * (3 if n % 2 else 1) for n, d in enumerate(code)) % 10 == 0


def said(value: float, unit: str, random: Random, *, comma: bool) -> str:
    """A number as it stands in a description."""
    text = f"{value / FACTORS.get(unit, 1.0):.4g}"
    return f"{text.replace('.', ',') if comma and random.random() < 0.7 else text} {unit}"


def article(random: Random, *, known: bool, comma: bool, odd: bool) -> Article:
    """An article with its description; here and there a fact is not told."""
    kind = random.choice(tuple(KINDS))
    name, ranges = KINDS[kind]
    facts = {field: round(random.uniform(*span), 1) for field, span in ranges.items()}
    colour, brand = random.choice(COLOURS), random.choice(BRANDS)
    if odd:
        name = "Special edition set"
    title = f"{brand} {name} {random.choice('ABCDEFG')}{random.randint(100, 999)}"
    told = {f: v for f, v in facts.items() if random.random() > 0.03}
    units = {field: random.choice(UNITS[field]) if random.random() < 0.5 else UNITS[field][0] for field in told}
    parts = [f"{WORDS[f]} {said(v, units[f], random, comma=comma)}" for f, v in told.items()]
    parts.append(f"colour {colour}")
    random.shuffle(parts)
    text = f"{name} for home and trade. " + ". ".join(parts) + random.choice((".", ". 2 years warranty.", ". New!"))
    cost = round(random.uniform(8, 120), 2)
    price = round(cost * (0.9 if odd and random.random() < 0.6 else random.uniform(1.2, 2.2)), 2)
    return Article(gtin(random), kind, title, text, cost, price, told, colour, known and not odd, odd)


@dataclass(frozen=True, slots=True)
class Feed:
    """A delivery of a supplier."""

    supplier: str
    articles: tuple[Article, ...]
    raw: bytes


FIELDS = ("gtin", "title", "text", "cost", "price")


def delivery(random: Random, want: str = "") -> Feed:
    """Three to six articles as one of three suppliers sends them."""
    supplier = want if want in SUPPLIERS else random.choice(SUPPLIERS)
    size = random.randint(3, 6)
    made = tuple(
        article(
            random,
            known=random.random() < (0.6 if want == "known" else 0.1),
            comma=supplier == "semicolons",
            odd=random.random() < (0.7 if want == "odd" else 0.06),
        )
        for _ in range(size)
    )
    rows = [{f: str(getattr(a, f)) for f in FIELDS} for a in made]
    if random.random() < 0.1:
        rows[-1]["title"] = f"  {rows[-1]['title'].upper()} "
    if supplier == "lines":
        return Feed(supplier, made, "\n".join(json.dumps(r, ensure_ascii=False) for r in rows).encode())
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, delimiter=";" if supplier == "semicolons" else ",", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    text = out.getvalue()
    if want == "gap" or random.random() < 0.1:
        lines = text.split("\n")
        at = len(lines) // 2
        text = "\n".join([*lines[:at], "", *lines[at:]])
    return Feed(supplier, made, text.encode())
