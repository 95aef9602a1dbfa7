"""The three kinds of case: a policy pack, a contract with an amendment, an invoice with its purchase order."""

import random
from collections.abc import Callable, Mapping

from causeline.demo.documents import Case, Field, Nature, Paper, printed, value_of

FIELDS: Mapping[str, tuple[Field, ...]] = {
    "policy": (
        Field("$.premium", "money", {"": "Annual premium"}),
        Field("$.excess", "money", {"": "Compulsory excess"}),
        Field("$.start_date", "date", {"": "Cover starts"}),
        Field("$.policy_number", "id", {"": "Policy reference"}),
        Field(
            "$.insured_item",
            "id",
            {"motor": "Registration mark", "home": "Property reference", "travel": "Booking reference"},
        ),
    ),
    "contract": (
        Field("$.liability_cap", "money", {"": "Liability cap"}),
        Field("$.signed_on", "date", {"": "Signed on"}),
        Field("$.notice_days", "number", {"": "Notice period days"}),
        Field("$.governing_law", "place", {"": "Governing law"}),
        Field(
            "$.special_term",
            "id",
            {"services": "Service level code", "lease": "Deposit account", "licence": "Licence key group"},
        ),
    ),
    "invoice": (
        Field("$.invoice_number", "id", {"": "Invoice number"}),
        Field("$.total", "money", {"": "Total amount"}),
        Field("$.tax", "money", {"": "Tax amount"}),
        Field("$.supplier", "firm", {"": "Supplier name"}),
        Field(
            "$.order_number",
            "id",
            {"purchase": "Purchase order", "subscription": "Subscription contract", "freight": "Waybill number"},
        ),
    ),
}
TARGETS: Mapping[str, str] = {"policy": "$.premium", "contract": "$.liability_cap", "invoice": "$.total"}
"""The field of each workflow that money hangs on."""
ROUTES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "policy": {
        "motor": ("vehicle", "mileage", "driver"),
        "home": ("building", "contents", "roof"),
        "travel": ("journey", "luggage", "airline"),
    },
    "contract": {
        "services": ("support", "uptime", "ticket"),
        "lease": ("premises", "rent", "tenant"),
        "licence": ("software", "copies", "install"),
    },
    "invoice": {
        "purchase": ("goods", "delivery", "warehouse"),
        "subscription": ("monthly", "renewal", "seats"),
        "freight": ("pallet", "carrier", "customs"),
    },
}
"""Routes of each workflow, and the words by which a document tells its kind."""
_USUAL = {"policy": "motor", "contract": "services", "invoice": "purchase"}
"""The kind that papers of the other kinds mention in passing."""
_MENTIONS_SHARE = 0.09

_TURNED = str.maketrans("0123456789", "8734261950")
"""What a bad printer makes of digits: another digit, so that nobody can read the right one."""


def make_case(workflow: str, index: int, rng: random.Random, nature: Nature) -> Case:
    """The documents of one run and their truth."""
    route = rng.choice(sorted(ROUTES[workflow]))
    truth = {field.path: value_of(field.kind, rng) for field in FIELDS[workflow]}
    return _MAKERS[workflow](index, route, truth, rng, nature)


def _line(workflow: str, path: str, route: str, truth: Mapping[str, str], nature: Nature) -> list[str]:
    if path == nature.absent:
        return []
    field = next(field for field in FIELDS[workflow] if field.path == path)
    if path == nature.misprint:
        return [f"{field.label(route)}: {truth[path].translate(_TURNED)}"]
    return [f"{field.label(route)}: {printed(truth[path], smudged=path == nature.smudged)}"]


def _telling(workflow: str, route: str, rng: random.Random) -> list[str]:
    words = list(ROUTES[workflow][route])
    rng.shuffle(words)
    lines = [f"This paper is about {words[0]}, {words[1]} and {words[2]} as listed."]
    if rng.random() < _MENTIONS_SHARE and route != _USUAL[workflow]:
        lines.append(f"Other papers cover {rng.choice(ROUTES[workflow][_USUAL[workflow]])} where that applies.")
    return lines


def _known(truth: Mapping[str, str], nature: Nature) -> dict[str, str | None]:
    return {path: None if path == nature.absent else value for path, value in truth.items()}


def _policy(index: int, route: str, truth: Mapping[str, str], rng: random.Random, nature: Nature) -> Case:
    def line(path: str) -> list[str]:
        return _line("policy", path, route, truth, nature)

    schedule = Paper("schedule", [*_telling("policy", route, rng), *line("$.policy_number"), *line("$.premium")], 3)
    schedule.facts += [*line("$.excess"), *line("$.insured_item")]
    certificate = Paper("certificate", [*_telling("policy", route, rng), *line("$.start_date")], 2)
    if nature.conflict:
        certificate.facts.append(f"Annual premium: {value_of('money', rng)}")
    papers = [schedule, certificate, Paper("booklet", [], 2)]
    sources = tuple(paper.source(rng, nature.scan_noise) for paper in papers)
    return Case("policy", index, route, sources, _known(truth, nature))


def _contract(index: int, route: str, truth: Mapping[str, str], rng: random.Random, nature: Nature) -> Case:
    def line(path: str) -> list[str]:
        return _line("contract", path, route, truth, nature)

    contract = Paper("contract", [*_telling("contract", route, rng), *line("$.signed_on"), *line("$.governing_law")], 4)
    contract.facts += [*line("$.special_term"), *line("$.notice_days")]
    amendment = Paper("amendment", [*_telling("contract", route, rng), *line("$.liability_cap")], 2)
    if nature.conflict:
        contract.facts.append(f"Liability cap: {value_of('money', rng)}")
    sources = tuple(paper.source(rng, nature.scan_noise) for paper in (amendment, contract))
    return Case("contract", index, route, sources, _known(truth, nature))


def _invoice(index: int, route: str, truth: Mapping[str, str], rng: random.Random, nature: Nature) -> Case:
    def line(path: str) -> list[str]:
        return _line("invoice", path, route, truth, nature)

    invoice = Paper("invoice", [*_telling("invoice", route, rng), *line("$.invoice_number"), *line("$.supplier")], 3)
    invoice.facts += [*line("$.order_number"), *line("$.tax"), *line("$.total")]
    ordered = value_of("money", rng) if nature.conflict else truth["$.total"]
    record = {"order": truth["$.order_number"], "supplier": truth["$.supplier"], "total": ordered}
    other = {"order": value_of("id", rng), "supplier": value_of("firm", rng), "total": value_of("money", rng)}
    sources = (invoice.source(rng, nature.scan_noise),)
    return Case("invoice", index, route, sources, _known(truth, nature), (record, other), rng.random() < 0.008)


_MAKERS: Mapping[str, Callable[[int, str, Mapping[str, str], random.Random, Nature], Case]] = {
    "policy": _policy,
    "contract": _contract,
    "invoice": _invoice,
}
