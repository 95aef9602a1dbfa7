"""The company's warehouse: a shop's year in SQLite, made from a fixed seed, and what its tables and measures mean."""

import sqlite3
from functools import cache
from random import Random

from benchmarks.zoo.open.kit.text import Passage

REGIONS = {"north": ("Hamburg", "Kiel"), "south": ("Munich", "Ulm"), "west": ("Cologne", "Essen"), "east": ("Leipzig",)}
CATEGORIES = ("kitchen", "garden", "lighting", "tools", "toys")
SEGMENTS = ("private", "business", "school")
CHANNELS = ("web", "shop", "phone")
MONTHS = tuple(f"2025-{n:02d}" for n in range(1, 13))

TABLES = {
    "orders": (
        "order_id customer_id store_id channel ordered_on status gross_amount discount_amount",
        "one row for each order with its channel, its state and its amounts before and of discounts",
    ),
    "order_items": (
        "item_id order_id product_id quantity unit_price",
        "what was sold with an order, units of products",
    ),
    "products": ("product_id title category brand list_price", "the assortment: product title, category and brand"),
    "customers": ("customer_id customer_name country segment signed_up_on", "who buys: customer segment and country"),
    "stores": ("store_id city region opened_on", "shops and the region and city that they stand in"),
    "refunds": ("refund_id order_id refunded_on refund_amount reason", "money that went back for an order"),
    "sessions": ("session_id customer_id visited_on device converted", "visits to the site by device"),
    "orders_archive": (
        "order_id customer_id store_id channel ordered_on status gross_amount",
        "orders until 2023 with channel and amounts, kept for the auditors",
    ),
    "employees": ("employee_id store_id job salary", "staff of the shops"),
    "targets": ("region month revenue_target", "what each region was meant to earn in revenue in a month"),
}

PAID = "where orders.status = 'paid' by orders.ordered_on"
MEASURES = {
    "net revenue": f"sum(orders.gross_amount - orders.discount_amount) {PAID}",
    "gross revenue": "sum(orders.gross_amount) where orders.status = 'paid' by orders.ordered_on",
    "order count": "count(orders.order_id) where orders.status <> 'cancelled' by orders.ordered_on",
    "average order value": f"avg(orders.gross_amount - orders.discount_amount) {PAID}",
    "units sold": "sum(order_items.quantity) where orders.status = 'paid' by orders.ordered_on",
    "refund amount": "sum(refunds.refund_amount) where refunds.reason <> 'test' by refunds.refunded_on",
    "conversion rate": "avg(sessions.converted) where sessions.device <> 'bot' by sessions.visited_on",
    "new customers": "count(customers.customer_id) where customers.segment <> 'staff' by customers.signed_up_on",
}

DIMENSIONS = {
    "region": "stores.region",
    "channel": "orders.channel",
    "category": "products.category",
    "segment": "customers.segment",
    "country": "customers.country",
    "device": "sessions.device",
}

ALLOWED = frozenset(TABLES) - {"employees"}


def _rows() -> dict[str, list[tuple[object, ...]]]:
    draw = Random(20260107)

    def day() -> str:
        return f"{draw.choice(MONTHS)}-{draw.randint(1, 28):02d}"

    places = [(city, region) for region, cities in REGIONS.items() for city in cities]
    stores = [(n, city, region, "2019-04-01") for n, (city, region) in enumerate(places, 1)]
    products = [
        (n, f"article {n}", draw.choice(CATEGORIES), draw.choice("ABC"), draw.randint(5, 190)) for n in range(1, 61)
    ]
    segments = (*SEGMENTS, *SEGMENTS, "staff")
    customers = [
        (n, f"customer {n}", draw.choice(("de", "at", "fr")), draw.choice(segments), day()) for n in range(1, 181)
    ]
    states = ("paid",) * 8 + ("open", "cancelled")
    orders: list[tuple[object, ...]] = []
    items: list[tuple[object, ...]] = []
    refunds: list[tuple[object, ...]] = []
    for n in range(1, 1301):
        gross = 0.0
        for _ in range(draw.randint(1, 3)):
            product = draw.choice(products)
            count = draw.randint(1, 4)
            gross += count * int(str(product[4]))
            items.append((len(items) + 1, n, product[0], count, product[4]))
        discount = round(gross * draw.choice((0, 0, 0.05, 0.1)), 2)
        who, where = draw.randint(1, 180), draw.randint(1, len(stores))
        orders.append((n, who, where, draw.choice(CHANNELS), day(), draw.choice(states), gross, discount))
        if draw.random() < 0.12:
            reason = draw.choice(("broken", "late", "test"))
            refunds.append((len(refunds) + 1, n, day(), round(gross * draw.random(), 2), reason))
    devices = ("phone", "desktop", "bot")
    sessions = [
        (n, draw.randint(1, 180), day(), draw.choice(devices), int(draw.random() < 0.07)) for n in range(1, 2601)
    ]
    archive = [(n, 1, 1, "shop", "2023-05-05", "paid", 10.0) for n in range(1, 90)]
    staff = [(n, draw.randint(1, len(stores)), "sales", 30000 + n) for n in range(1, 30)]
    targets = [(region, month, 9000) for region in REGIONS for month in MONTHS]
    return {
        "orders": list(orders),
        "order_items": list(items),
        "products": list(products),
        "customers": list(customers),
        "stores": list(stores),
        "refunds": list(refunds),
        "sessions": list(sessions),
        "orders_archive": list(archive),
        "employees": list(staff),
        "targets": list(targets),
    }


@cache
def database(until: str = "2025-12-31") -> sqlite3.Connection:
    """The warehouse as it was loaded on a day: a replica that is no longer fed knows nothing later."""
    made = sqlite3.connect(":memory:", check_same_thread=False)
    for table, rows in _rows().items():
        columns = TABLES[table][0].split()
        made.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
        dated = next((n for n, c in enumerate(columns) if c.endswith("_on") and c != "opened_on"), None)
        kept = [row for row in rows if dated is None or str(row[dated]) <= until]
        made.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", kept)
    made.execute("PRAGMA query_only = 1")
    return made


@cache
def schema() -> tuple[Passage, ...]:
    """What the schema search finds: one passage for each table, `table(columns): what it is`."""
    lines = [f"{name}({', '.join(columns.split())}): {says}" for name, (columns, says) in TABLES.items()]
    whole = "\n".join(lines)
    return tuple(Passage("schema", n, line, whole) for n, line in enumerate(lines, 1))


@cache
def measures() -> tuple[Passage, ...]:
    """What the company means by a measure, as the controllers wrote it."""
    lines = [f"measure {name} = {meant}" for name, meant in MEASURES.items()]
    whole = "\n".join(lines)
    return tuple(Passage("measures", n, line, whole) for n, line in enumerate(lines, 1))


@cache
def payroll() -> tuple[Passage, ...]:
    """The same of another department, whose analysts ask the same assistant."""
    lines = (
        "measure overtime hours = sum(timesheets.hours) where timesheets.approved = 1 by timesheets.day",
        "measure sick leave rate = avg(absences.sick) where absences.counted = 1 by absences.day",
        "measure headcount = count(contracts.person) where contracts.active = 1 by contracts.started_on",
    )
    return tuple(Passage("payroll", n, line, "\n".join(lines)) for n, line in enumerate(lines, 1))
