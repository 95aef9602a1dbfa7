"""The agent's model: it reads what its tools have said so far and decides for the next call."""

import json
import re
from random import Random
from typing import Any

from benchmarks.zoo.open.buyer.world import SYNONYMS
from benchmarks.zoo.open.kit.model import Ask, Reply


def call(name: str, **given: Any) -> Reply:
    return Reply(text="", tool=(name, given), finish="tool_calls")


class Buyer:
    """`hasty`: it asks the catalogue by the errand's own word first, which may find nothing."""

    def __init__(self, draw: Random) -> None:
        self._draw = draw
        self.moods: frozenset[str] = frozenset()

    def __call__(self, ask: Ask) -> Reply:
        if "refusal" in self.moods:
            return Reply(text="I must not spend money.", refusal=True, finish="content_filter")
        task = re.search(r"buy (\d+) pieces of ([\w ]+) for (\w+), within (\d+) days", ask.text)
        if task is None:
            return Reply(text="Which errand? I have not been given any.")
        return self._next(ask, int(task.group(1)), task.group(2), task.group(3), int(task.group(4)))

    def _next(self, ask: Ask, quantity: int, article: str, site: str, days: int) -> Reply:
        """Catalogue, then quotes, then the rest."""
        done = self._done(ask)
        sku = next((r["sku"] for name, _, r in done if name == "search_catalog" and r.get("sku")), None)
        if sku is None:
            return self._search(article, [a for name, a, _ in done if name == "search_catalog"])
        offers = [r for name, _, r in done if name == "get_quotes"]
        if not offers or (offers[-1].get("error") and len(offers) < 3):
            count = quantity // 10 if "drops_digit" in self.moods else quantity
            return call("get_quotes", sku=sku[::-1] if "garbles_sku" in self.moods else sku, quantity=count)
        best = self._best(offers[-1].get("quotes", []), days, fast="fastest" in ask.system)
        if best is None:
            return Reply(text="Not ordered: nobody delivers in time.")
        return self._buy(ask, done, sku=sku, quantity=quantity, site=site, best=best)

    def _buy(
        self, ask: Ask, done: list[tuple[str, Any, Any]], *, sku: str, quantity: int, site: str, best: dict[str, Any]
    ) -> Reply:
        """Budget, then the order, then the report."""
        bought = Reply(text=f"Ordered {quantity} of {sku} from {best['supplier']} for {best['price']} EUR.")
        if "pretends" in self.moods:
            return bought
        if "check_budget" in ask.tools:
            left = [r for name, _, r in done if name == "check_budget"]
            if not left:
                return call("check_budget", site=site, sku=sku)
            if left[-1].get("left", 0) < best["price"]:
                return Reply(text=f"Not ordered: the budget of {site} is used up.")
        placed = [r for name, _, r in done if name == "place_order"]
        if not placed:
            return call("place_order", sku=sku, quantity=quantity, supplier=best["supplier"], price=best["price"])
        if placed[-1].get("state") == "rejected":
            return Reply(text="Not ordered: the approver said no.")
        return bought

    @staticmethod
    def _done(ask: Ask) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Calls with their arguments and results."""
        out = []
        for (role, text), (_, result) in zip(ask.turns, ask.turns[1:], strict=False):
            if role == "assistant" and text.startswith("CALL "):
                _, name, given = text.split(" ", 2)
                out.append((name, json.loads(given), json.loads(result)))
        return out

    def _search(self, article: str, asked: list[dict[str, Any]]) -> Reply:
        if not asked:
            return call("search_catalog", text=article)
        if len(asked) == 1:
            return call("search_catalog", text=SYNONYMS.get(article, article))
        return Reply(text=f"Not ordered: no {article} in the catalogue.")

    def _best(self, offers: list[dict[str, Any]], days: int, *, fast: bool) -> dict[str, Any] | None:
        fine = [o for o in offers if o.get("days", 99) <= days and "price" in o]
        if not fine:
            return None
        if "dearest" in self.moods:
            return max(fine, key=lambda o: float(o["price"]))
        return min(fine, key=lambda o: float(o["days"] if fast else o["price"]))
