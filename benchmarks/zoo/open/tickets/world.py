"""The tickets of a software house's customers, and the systems that know more."""

from dataclasses import dataclass
from functools import cache
from random import Random

from benchmarks.zoo.open.kit.text import Index, Passage

QUEUES = {
    "billing": "invoices, charges, payments, refunds, card",
    "outage": "down, error page, unavailable, timeouts, crash",
    "access": "password, login, locked, account, two-factor",
    "feature": "wish, request, improvement, dark mode, export",
    "privacy": "personal data, erase, gdpr, consent, disclosure",
}
TEXTS = {
    "billing": (
        "I was charged on my card and do not understand invoice {n}. Is the payment of it still open?",
        "Please tell me what happened to the payment of invoice {n}, we asked for a refund of charges.",
    ),
    "outage": (
        "The {s} service is down, we only see an error page and timeouts since this morning.",
        "Since an hour {s} is unavailable and crash reports pile up. This is urgent!",
    ),
    "access": (
        "My login fails and the account {u} seems locked after a wrong password.",
        "I cannot login any more, two-factor codes for {u} are refused. Is the account locked?",
    ),
    "feature": (
        "A wish: please add {w} to the reports, that would be a great improvement.",
        "Feature request for your team: an export with {w} would help us much.",
    ),
    "privacy": (
        "Under gdpr I ask you to erase all personal data that you hold of {u}.",
        "I withdraw my consent, please send a disclosure of my personal data for {u}.",
    ),
}
SERVICES = ("search", "sync", "mail", "reports", "upload")
WISHES = ("dark mode", "weekly totals", "pivot tables", "sparklines", "a QR code")
GERMAN = {  # a small glossary is all the translation there is
    "charged": "belastet",
    "invoice": "Rechnung",
    "payment": "Zahlung",
    "login": "Anmeldung",
    "locked": "gesperrt",
    "account": "Konto",
    "password": "Passwort",
    "down": "ausgefallen",
    "unavailable": "unerreichbar",
    "erase": "loeschen",
    "personal": "persoenliche",
    "data": "Daten",
    "wish": "Wunsch",
    "improvement": "Verbesserung",
    "please": "bitte",
    "service": "Dienst",
    "export": "Export-Datei",
    "request": "Anfrage",
    "refund": "Erstattung",
    "consent": "Einwilligung",
    "gdpr": "DSGVO",
    "disclosure": "Auskunft",
    "two-factor": "Zwei-Faktor",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    number: str
    mail: str
    """As it came, with greeting, signature and perhaps an older mail below."""
    text: str
    german: bool
    queue: str
    urgent: bool
    subject: str
    """The invoice, service, user or wish that it is about."""
    truth: str
    """What a right reply has to say; empty where there is nothing to be found."""


def invoice(number: str, edition: int = 2) -> str:
    draw = Random(f"{number} {edition}")
    return draw.choice(("paid on {d} May", "open since {d} May", "refunded on {d} May")).format(d=draw.randint(1, 28))


def service(name: str) -> str:
    return f"repair expected at {9 + SERVICES.index(name)}:30"


def user(name: str) -> str:
    return Random(name).choice(("locked by policy", "active again", "waiting for a new device"))


@cache
def wishes() -> Index:
    """Requests that are known; one wish is new."""
    known = [
        f"Request R{n}: {wish} in exports and reports, planned for release {n}" for n, wish in enumerate(WISHES[:4], 11)
    ]
    return Index([Passage("backlog", n, text, "\n".join(known)) for n, text in enumerate(known, 1)])


@cache
def runbooks() -> Index:
    lines = [
        f"Runbook for {s}: restart of the {s} service, then look at queue {s}-{n}" for n, s in enumerate(SERVICES, 3)
    ]
    return Index([Passage("runbooks", n, text, "\n".join(lines)) for n, text in enumerate(lines, 1)])


def ticket(draw: Random) -> Ticket:
    queue = draw.choice(tuple(QUEUES))
    subject = {
        "billing": f"INV{draw.randint(1000, 9999)}",
        "outage": draw.choice(SERVICES),
        "access": f"user{draw.randint(100, 999)}",
        "feature": draw.choice(WISHES),
        "privacy": f"user{draw.randint(100, 999)}",
    }[queue]
    text = draw.choice(TEXTS[queue]).format(n=subject, s=subject, u=subject, w=subject)
    german = draw.random() < 0.2
    said = " ".join(_german(w) for w in text.split()) if german else text
    mail = f"Hello team,\n{said}\n-- \nBest regards, a customer"
    if draw.random() < 0.3:
        mail += "\n> On Monday you wrote:\n> Thank you for your payment and your login."
    truth = {
        "billing": invoice(subject),
        "outage": service(subject) if subject in SERVICES else "",
        "access": user(subject),
        "feature": f"R{11 + WISHES.index(subject)}" if subject in WISHES[:4] else "",
        "privacy": "within 30 days",
    }[queue]
    return Ticket(
        number=f"T{draw.randint(10000, 99999)}",
        mail=mail,
        text=said,
        german=german,
        queue=queue,
        urgent="urgent" in text or queue == "outage",
        subject=subject,
        truth=truth,
    )


def _german(word: str) -> str:
    bare = word.strip(".,!?:")
    return word.replace(bare, GERMAN[bare.lower()]) if bare.lower() in GERMAN else word
