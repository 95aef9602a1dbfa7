"""The models behind the analyst: each reads what stands in its prompt, and knows nothing else of the company."""

import json
import re
from dataclasses import asdict
from random import Random

from benchmarks.zoo.open.analyst.asked import Meaning, sql, understood
from benchmarks.zoo.open.kit.model import Ask, Reply

GUESSES = {
    "refund": "sum(refunds.refund_amount) where 1 = 1 by refunds.refunded_on",
    "customer": "count(customers.customer_id) where 1 = 1 by customers.signed_up_on",
    "conversion": "avg(sessions.converted) where 1 = 1 by sessions.visited_on",
    "unit": "sum(order_items.quantity) where 1 = 1 by orders.ordered_on",
    "count": "count(orders.order_id) where 1 = 1 by orders.ordered_on",
    "average": "avg(orders.gross_amount) where 1 = 1 by orders.ordered_on",
}
GUESS = "sum(orders.gross_amount) where 1 = 1 by orders.ordered_on"


def _part(text: str, name: str) -> str:
    found = re.search(rf"^{name}:\n(.*?)(?=^[A-Z]+:\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return found.group(1).strip() if found else ""


def _tables(text: str) -> dict[str, list[str]]:
    return {t: columns.split(", ") for t, columns in re.findall(r"^(\w+)\(([\w, ]+)\):", text, re.MULTILINE)}


def planner(ask: Ask) -> Reply:
    """A plan as JSON: what is asked, by which definition, from which tables."""
    text = ask.last
    question = f"{_part(text, 'BEFORE')} {_part(text, 'QUESTION')}".strip()
    heard = understood(question)
    defined = dict(re.findall(r"^measure ([\w ]+) = (.+)$", text, re.MULTILINE))
    guess = next((g for word, g in GUESSES.items() if word in heard.measure), GUESS)
    months = heard.months if "Mind the months" in ask.system else ("2025-01", "2025-12")
    plan = asdict(heard) | {"months": months, "definition": defined.get(heard.measure, guess)}
    plan["shape"] = _part(text, "KIND") or heard.shape
    return Reply(text=json.dumps(plan | {"tables": sorted(_tables(text))}))


def writer(draw: Random, *, slip: float, forget: float) -> "SqlWriter":
    return SqlWriter(draw, slip, forget)


class SqlWriter:
    """Writes SQL for a plan; now and then a column's name slips, and it mends that when it is told."""

    def __init__(self, draw: Random, slip: float, forget: float) -> None:
        self._draw, self._slip, self._forget = draw, slip, forget

    def __call__(self, ask: Ask) -> Reply:
        plan = json.loads(_part(ask.last, "PLAN"))
        meaning = Meaning(
            plan["shape"],
            plan["measure"],
            plan["dimension"],
            (plan["months"][0], plan["months"][1]),
            (plan["only"][0], plan["only"][1]) if plan["only"] else None,
        )
        definition = plan["definition"]
        if self._draw.random() < self._forget:
            definition = re.sub(r"where .+ by", "where 1 = 1 by", definition)
        text = sql(meaning, definition, _tables(ask.last))
        told = _part(ask.last, "ERROR")
        if self._draw.random() < (self._slip / 3 if told else self._slip):
            text = text.replace("ordered_on", "order_date").replace("visited_on", "visit_day")
        if self._draw.random() < 0.3:
            text = f"```sql\n{text}\n```"
        return Reply(text=text)


def teller(ask: Ask, *, thousands: bool = False) -> Reply:
    """Says in words what the rows say."""
    rows = json.loads(_part(ask.last, "ROWS") or "[]")
    kind = _part(ask.last, "KIND")
    rows = [[*row[:-1], row[-1] or 0] for row in rows]
    if not rows:
        return Reply(text="There is nothing on record for that.")
    if thousands:
        rows = [[*row[:-1], round(row[-1] / 1000, 1)] for row in rows]
    unit = " thousand" if thousands else ""
    if kind == "share" and len(rows[0]) > 1:
        whole = sum(row[-1] for row in rows) or 1
        return Reply(text="; ".join(f"{row[0]}: {row[-1]}{unit}, {row[-1] / whole:.0%}" for row in rows))
    if len(rows[0]) > 1:
        lead = f"{rows[0][0]} leads. " if kind == "ranking" else ""
        return Reply(text=lead + "; ".join(f"{row[0]}: {row[-1]}{unit}" for row in rows))
    return Reply(text=f"It was {rows[0][-1]}{unit}.")
