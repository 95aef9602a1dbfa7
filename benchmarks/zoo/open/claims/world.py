"""An insurer's claims: scanned forms of two to four pages, and the register of policies."""

from dataclasses import dataclass
from random import Random

FIRST = ("Ann", "Bela", "Cem", "Dora", "Emil", "Fatma")
LAST = ("Berg", "Conti", "Dahl", "Evers", "Falk", "Gross")
KINDS = ("water", "theft", "vehicle")
STORIES = {
    "water": "A hose of the washing machine burst and water ran into the parquet of two rooms.",
    "theft": "Thieves forced the cellar door at night and took two bicycles and tools.",
    "vehicle": "While parking the car was hit from behind by a van; the bumper is dented.",
}
REVIEW_FROM = 5000.0


def euro(amount: float) -> str:
    """As forms write it: 1.234,50 EUR."""
    return f"{amount:,.2f}".translate(str.maketrans(",.", ".,")) + " EUR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What the register says of a policy."""

    excess: float
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    number: str
    policy: str
    kind: str
    date: str
    """ISO."""
    amount: float
    total: float
    """Of the invoice; mostly what is claimed."""
    extra: str
    """Police report or number plate; water claims have none."""
    pages: tuple[str, ...]
    cover: Cover

    @property
    def due(self) -> float:
        """What has to be paid: an invoice stands above a claim."""
        return round(max(0.0, min(self.total, self.cover.limit) - self.cover.excess), 2)


def cover(policy: str, edition: int = 2) -> Cover:
    draw = Random(f"{policy} {edition}")
    return Cover(excess=float(draw.choice((150, 250, 300, 500))), limit=float(draw.choice((8000, 12000, 20000))))


def claim(draw: Random) -> Claim:
    """A claim as it comes in."""
    kind, day, month = draw.choice(KINDS), draw.randint(1, 28), draw.randint(1, 11)
    policy, number = f"HH-{draw.randint(100000, 999999)}", f"C{draw.randint(10000, 99999)}"
    net = round(draw.uniform(600, 7000), 2)
    total = round(net * 1.19, 2)
    amount = total if draw.random() > 0.08 else round(total + draw.choice((-50, 80, 120)), 2)
    name = f"{draw.choice(FIRST)} {draw.choice(LAST)}"
    extra = {"water": "", "theft": f"PR-{draw.randint(1000, 9999)}", "vehicle": f"B-XY {draw.randint(100, 999)}"}[kind]
    story = (
        STORIES[kind] + {"water": "", "theft": f"\nPolice report: {extra}", "vehicle": f"\nNumber plate: {extra}"}[kind]
    )
    pages = [
        (
            f"CLAIM FORM {number}\nPolicy number: {policy}\nClaimant: {name}\nDate of loss: {day:02}.{month:02}.2026\n"
            f"Kind of loss: {kind}\nAmount claimed: {euro(amount)}"
        ),
        f"DESCRIPTION OF THE LOSS\n{story}",
        f"INVOICE\nNet: {euro(net)}\nVAT: {euro(total - net)}\nTotal: {euro(total)}",
    ]
    if draw.random() < 0.5:
        pages.insert(2, f"BANK DETAILS\nAccount holder: {name}\nIBAN: DE{draw.randint(10**19, 10**20 - 1)}")
    return Claim(
        number=number,
        policy=policy,
        kind=kind,
        date=f"2026-{month:02}-{day:02}",
        amount=amount,
        total=total,
        extra=extra,
        pages=tuple(pages),
        cover=cover(policy),
    )
