"""A catalogue, suppliers with quotes, sites with budgets, and errands."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

ARTICLES = {
    "safety gloves": "GLV-10",
    "label printer": "LPR-22",
    "pallet jack": "PJK-31",
    "shrink wrap": "SWR-44",
    "floor scale": "FSC-57",
    "work lamp": "WLP-63",
}
SYNONYMS = {"hand protection": "safety gloves", "stretch film": "shrink wrap", "torch light": "work lamp"}
SUPPLIERS = ("norda", "kelwin", "ostrava", "pima")
SITES = ("lyon", "gent", "turku")
APPROVE_FROM = 2000.0


def quotes(sku: str, quantity: int, edition: int = 2) -> list[dict[str, Any]]:
    draw = Random(f"{sku} {quantity} {edition}")
    return [
        {"supplier": s, "price": round(draw.uniform(8, 60) * quantity, 2), "days": draw.randint(2, 14)}
        for s in SUPPLIERS
    ]


def budget(site: str, sku: str) -> float:
    """What a site has left; one in ten has nearly nothing."""
    draw = Random(f"{site} {sku}")
    return float(draw.choice((30, 4000, 5000, 6000, 7000, 8000, 9000, 9000, 9000, 9000)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    text: str
    article: str
    quantity: int
    site: str
    days: int

    @property
    def sku(self) -> str:
        return ARTICLES[SYNONYMS.get(self.article, self.article)]

    @property
    def best(self) -> dict[str, Any] | None:
        """The cheapest quote in time that the site can pay; None where nothing can be bought."""
        fine = [q for q in quotes(self.sku, self.quantity) if q["days"] <= self.days]
        cheapest = min(fine, key=lambda q: q["price"], default=None)
        return cheapest if cheapest and cheapest["price"] <= budget(self.site, self.sku) else None


def errand(draw: Random) -> Errand:
    article = draw.choice((*ARTICLES, *SYNONYMS))
    quantity, site, days = draw.choice((10, 20, 25, 40, 60)), draw.choice(SITES), draw.randint(7, 14)
    text = f"Please buy {quantity} pieces of {article} for {site}, within {days} days, as cheap as can be."
    return Errand(text=text, article=article, quantity=quantity, site=site, days=days)


def told(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
