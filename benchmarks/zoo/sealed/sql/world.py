"""A shop's database, and what its people ask."""

import sqlite3
from dataclasses import dataclass
from random import Random

REGIONS = ("north", "south", "east", "west")
MONTHS = ("2026-07", "2026-08", "2026-09", "2026-10")
CARDS = {
    "orders": "table orders (id, customer_id, ordered_on, amount_cents): total order amount, number of orders",
    "customers": "table customers (id, name, region, updated_at): one row a customer, region of the customer",
    "items": "table items (order_id, product, units): several rows an order; units of a product",
    "refunds": "table refunds (order_id, refunded_on, cents): refunded orders, refund",
    "stores": "table stores (id, city, opened_on): shops in cities",
    "campaigns": "table campaigns (id, channel, spent_cents): marketing",
}
METRICS = {
    "sales": "metric sales: total amount of orders in euros, gross, refunds not taken off",
    "net sales": "metric net sales: amount of orders less refunds in euros",
    "orders": "metric orders: number of orders",
    "refunds": "metric refunds: number of refunded orders",
    "average order": "metric average order: amount of orders by number of orders, in euros",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question; its parts are what the person has in mind."""

    metric: str
    region: str
    month: str
    relative: bool
    asker: str

    @property
    def text(self) -> str:
        when = "last month" if self.relative else f"in {self.month}"
        return f"What were {self.metric} for region {self.region} {when}?"


def database(random: Random) -> sqlite3.Connection:
    """Customers, orders, items and refunds."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in (
        "CREATE TABLE customers (id INTEGER, name TEXT, region TEXT, updated_at TEXT)",
        "CREATE TABLE orders (id INTEGER, customer_id INTEGER, ordered_on TEXT, amount_cents INTEGER)",
        "CREATE TABLE items (order_id INTEGER, product TEXT, units INTEGER)",
        "CREATE TABLE refunds (order_id INTEGER, refunded_on TEXT, cents INTEGER)",
    ):
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO customers VALUES (?, ?, ?, '2026-11-01')",
        [(at, f"customer {at}", REGIONS[at % 4]) for at in range(24)],
    )
    orders = [
        (at, random.randrange(24), f"{MONTHS[at % 4]}-{random.randint(1, 28):02d}", random.randint(900, 90000))
        for at in range(240)
    ]
    connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", orders)
    connection.executemany(
        "INSERT INTO items VALUES (?, ?, ?)",
        [(at, f"p{random.randrange(9)}", 1 + random.randrange(3)) for at in range(240) for _ in range(1 + at % 3)],
    )
    refunded = [order for order in orders if order[0] % 9 < 2]
    connection.executemany("INSERT INTO refunds VALUES (?, ?, ?)", [(o[0], o[2], o[3] // 2) for o in refunded])
    return connection


AMOUNTS = ("sales", "net sales", "average order")
SUITED = {
    "classifier_release": ("sales", "orders", "refunds", "average order"),
    "metric_of_old_glossary": ("sales", "average order"),
    **dict.fromkeys(
        (
            "stale_cards",
            "statement_not_validated",
            "repair_without_error",
            "cache_key_too_short",
            "stale_replica",
            "rows_limited_before_sum",
        ),
        AMOUNTS,
    ),
}
"""What is asked where a fault touches some questions only."""


def ask(random: Random, fault: str) -> Asked:
    """A question that the fault, if any, touches."""
    relative = random.random() < 0.4 or fault == "today_missing_in_prompt"
    return Asked(
        random.choice(SUITED.get(fault, tuple(METRICS))),
        random.choice(REGIONS),
        MONTHS[-1] if relative else random.choice(MONTHS),
        relative,
        f"analyst {random.randrange(9)}",
    )


SELECT = {
    "sales": "SUM(o.amount_cents) / 100.0",
    "net sales": "(SUM(o.amount_cents) - COALESCE(SUM(r.cents), 0)) / 100.0",
    "orders": "COUNT(*)",
    "refunds": "COUNT(r.order_id)",
    "average order": "AVG(o.amount_cents) / 100.0",
}


def statement(metric: str, region: str | None, month: str, amount: str = "amount_cents", *, fan: bool = False) -> str:
    """SQL for a metric. `fan` joins the items as well, which counts an order once an item."""
    joins = " LEFT JOIN refunds r ON r.order_id = o.id" if "r." in SELECT[metric] else ""
    joins += " JOIN items i ON i.order_id = o.id" if fan else ""
    where = f" AND c.region = '{region}'" if region else ""
    return (
        f"SELECT {SELECT[metric].replace('amount_cents', amount)} AS value FROM orders o "
        f"JOIN customers c ON c.id = o.customer_id{joins} WHERE o.ordered_on LIKE '{month}%'{where}"
    )


def truth(connection: sqlite3.Connection, asked: Asked) -> str:
    """The right answer, as it is written."""
    return written(connection.execute(statement(asked.metric, asked.region, asked.month)).fetchone()[0])


def written(value: float | None) -> str:
    """A value as answers write it."""
    return "no data" if value is None else (str(value) if isinstance(value, int) else f"{value:.2f}")
