"""Companies, and what is published about them."""

from dataclasses import dataclass
from random import Random

NAMES = ("Norvik", "Ardenta", "Kestrel", "Lumora", "Palanth", "Quillon", "Sarek", "Tovar", "Umbra", "Veltin")
PEOPLE = (
    "Ida Holm",
    "Tomas Reyes",
    "Karin Voss",
    "Luc Perrin",
    "Mina Okafor",
    "Jonas Weil",
    "Ada Lindt",
    "Omar Haddad",
)
TRADES = ("marine cable", "cold storage", "wind turbine", "hearing aid", "seed", "railway signal")
AGENT_OF = {"revenue": "finance", "headcount": "people", "chief executive": "people", "debt": "finance"}


@dataclass(frozen=True, slots=True)
class Page:
    """A published page, as HTML."""

    name: str
    html: str
    snippet: str
    """What the search index knows of it."""
    year: int


@dataclass(frozen=True, slots=True)
class World:
    """Who is asked about, and all that can be found."""

    companies: tuple[str, ...]
    metrics: tuple[str, ...]
    year: int
    trade: str
    truth: dict[tuple[str, str], str]
    """What is true of (company, metric) in the year that is asked about; nothing where it was never published."""
    pages: tuple[Page, ...]

    @property
    def question(self) -> str:
        return (
            f"Compare {' and '.join(self.companies)} ({self.trade} makers): {' and '.join(self.metrics)} "
            f"in {self.year}."
        )


def figures(random: Random, company: str, year: int) -> dict[str, str]:
    """What one year was like."""
    return {
        "revenue": f"{random.randint(100, 999)} million EUR",
        "headcount": str(random.randint(400, 9800)),
        "debt": f"{random.randint(10, 99)} million EUR",
        "chief executive": PEOPLE[(len(company) + year + random.randint(0, 3)) % len(PEOPLE)],
    }


def page(company: str, kind: str, year: int, years: dict[int, dict[str, str]], metrics: tuple[str, ...]) -> Page:
    """A page: prose, and a table of the year's figures beside those of the year before."""
    table = "".join(
        f"<tr><td>{company} {metric} {when}</td><td>{years[when][metric]}</td></tr>"
        for metric in metrics
        for when in (year - 1, year)
    )
    prose = f"<p>{company} publishes its {kind} for {year}.</p><p>The board thanks all who work at {company}.</p>"
    return Page(
        f"{company.lower()}-{kind.replace(' ', '-')}-{year}",
        f"<h1>{company}</h1>{prose}<table>{table}</table>",
        f"{company} {kind} {year} {' '.join(metrics)}",
        year,
    )


def make(random: Random) -> World:
    """A world of six companies; two of them are asked about."""
    names = random.sample(NAMES, 6)
    asked = tuple(names[:2])
    metrics = (random.choice(("revenue", "debt")), random.choice(("headcount", "chief executive")))
    year = random.choice((2023, 2024))
    truth: dict[tuple[str, str], str] = {}
    pages = []
    unpublished = (asked[1], metrics[1]) if random.random() < 0.06 else None
    for name in names:
        years = {when: figures(random, name, when) for when in (year - 2, year - 1, year)}
        staff = tuple(metric for metric in ("headcount", "chief executive") if (name, metric) != unpublished)
        for when in (year, year - 1):
            pages += [
                page(name, "annual report", when, years, ("revenue", "debt")),
                page(name, "staff letter", when, years, staff),
            ]
        truth.update({(name, metric): years[year][metric] for metric in ("revenue", "debt", *staff)})
        pages.append(page(name, "trade fair notes", year, years, ()))
    random.shuffle(pages)
    return World(asked, metrics, year, random.choice(TRADES), truth, tuple(pages))
