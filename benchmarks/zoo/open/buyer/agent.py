"""The agent: a loop of a model and tools, with guards, budgets and an approver."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

from benchmarks.zoo.open.buyer.brain import Buyer
from benchmarks.zoo.open.buyer.faults import FAULTS
from benchmarks.zoo.open.buyer.world import APPROVE_FROM, ARTICLES, SYNONYMS, Errand, budget, errand, quotes, told
from benchmarks.zoo.open.kit.model import Ask, ProviderError, RateLimited, Reply, Server
from benchmarks.zoo.open.kit.record import Call, Recorder, kept, recorder
from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow

POLICY = """
version = 1

[defaults]
threshold = 0.6

[workflow.buyer-agent]
max_open_s = 900

[workflow.buyer-agent.next_steps]
missing_citation = ["review"]

[workflow.buyer-agent.evidence."$.order"]
required = true
threshold = 0.5

[[workflow.buyer-agent.review]]
name = "agent gave up"
question = "Why was nothing bought?"
when = { final_state = "stopped" }
priority = 2
"""
KEEP = {  # only calls of the model and of tools, as the agent's own log has them
    "run": kept(site="site"),
    "model_call": kept("model_name input_tokens output_tokens cost_usd"),
    "tool": kept("input_ref raw_output_ref status error_type"),
    "guardrail": kept(name="guard", verdict="verdict"),
    "review": kept(),
    "finish": kept(outcome="outcome", steps="steps"),
}
TOOLS = ("search_catalog", "get_quotes", "check_budget", "place_order")
MOODS = {
    "quantity_mistyped": "drops_digit",
    "sku_garbled": "garbles_sku",
    "model_release": "dearest",
    "pretends": "pretends",
    "refusal": "refusal",
}
SYSTEM = {
    "5": "You buy with tools. Take the cheapest offer in time, within the budget.",
    "6": "You buy with tools. Take the fastest offer, within the budget.",
}


class QuotesDown(Exception):
    """The quotes' service did not answer."""


class BudgetUsedUp(Exception):
    """The agent has taken as many steps as it may."""


class Agent:
    """One errand."""

    def __init__(self, rec: Recorder, fault: Fault | None, around: Surroundings) -> None:
        self.rec, self.draw = rec, around.random
        self.fault = fault.name if fault else ""
        self.errand = self._errand()
        brain = Buyer(self.draw)
        brain.moods = frozenset({MOODS[self.fault]} if self.fault in MOODS else ())
        slow = self.draw.random() < 0.06
        self.server = Server(
            brain,
            "fp_b51" if self.on("model_release") else "fp_a90",
            pause_s=0.008 if self.on("slow_model") else 0.0006 if slow else 0.0002,
            thinking=15 if self.on("price_up") else 1,
            cut=2 if self.on("answer_cut_off") else None,
        )
        self.hiccup = self.draw.random() < 0.1
        self.mistyped = self.on("spend_guard_gone")
        self.short = self.on("receipt_check_gone")
        self.placed: dict[str, Any] | None = None
        self.blocked = ""
        self.unapproved = False
        self.rejected = False
        self.steps = 0

    def on(self, *names: str) -> bool:
        return self.fault in names

    def _errand(self) -> Errand:
        while True:
            got = errand(self.draw)
            if not self.fault or self._touches(got):
                return got

    def _touches(self, got: Errand) -> bool:
        fine = [q for q in quotes(got.sku, got.quantity) if q["days"] <= got.days]
        if self.on("tool_not_listed") or got.best is None:
            return self.on("tool_not_listed") and got.best is None and bool(fine)
        large = bool(got.best["price"] > APPROVE_FROM)
        if large != self.on("approval_skipped", "rejection_ignored"):
            return False
        old = [q for q in quotes(got.sku, got.quantity, 1) if q["days"] <= got.days]
        touched: dict[str, bool] = {
            "prompt_release": min(fine, key=lambda q: float(q["days"]))["supplier"] != got.best["supplier"],
            "quotes_stale": bool(old) and min(float(q["price"]) for q in old) < APPROVE_FROM,
            "bad_fallback": got.article in SYNONYMS,
        }
        return touched.get(self.fault, len(fine) > 1)

    def work(self) -> None:
        if not self.guard_errand():
            self.end("stopped", "I may not do this.")
            return
        try:
            with self.rec.step("agent", "agent loop") as note:
                note.reads(self.errand.text)
                answer = self.loop()
                note.gives(answer)
                note.labels({"steps": self.steps})
        except BudgetUsedUp:
            self.rec.fallback("stop", reason="no steps left")
            self.end("stopped", "I could not finish in time.")
            return
        if not self.check(answer):
            self.rec.fallback("human_review", reason="the receipt does not fit the errand")
            self.end("handed_over", answer)
            return
        with self.rec.step("output", "report") as note:
            note.gives(answer)
        self.end("answered", answer)

    def guard_errand(self) -> bool:
        with self.rec.step("guardrail", "errand guard") as note:
            note.reads(self.errand.text)
            bad = ("ignore all", "transfer money") + (("buy",) if self.on("errand_guard_blocks") else ())
            fine = not any(word in self.errand.text for word in bad)
            note.gives("pass" if fine else "block")
            note.labels({"verdict": "pass" if fine else "block"})
        return fine

    def loop(self) -> str:
        version = "6" if self.on("prompt_release") else "5"
        tools = tuple(t for t in TOOLS if t != "check_budget" or not self.on("tool_not_listed"))
        task = "" if self.on("errand_variable_empty") else self.errand.text
        with self.rec.step("prompt", "agent prompt", prompt_id="buyer-agent", prompt_version=version) as note:
            note.gives(f"{SYSTEM[version]}\nErrand: {task}")
            note.labels({"prompt.tools": len(tools)})
        turns: list[tuple[str, str]] = [("user", f"Errand: {task}")]
        most = 3 if self.on("step_budget_small") else 9
        while True:
            if self.steps >= most:
                raise BudgetUsedUp(f"{most} steps")
            self.steps += 1
            shown = turns[:1] + turns[1:][-2:] if self.on("history_cut") else turns
            reply = self.decide(version, tuple(shown), tools)
            if reply.finish == "length":
                return reply.text
            if reply.tool is None:
                return reply.text
            name, given = reply.tool
            result = self.use(name, given)
            if not self.on("result_not_returned"):
                turns += [("assistant", f"CALL {name} {json.dumps(given)}"), ("user", result)]

    def decide(self, version: str, turns: tuple[tuple[str, str], ...], tools: tuple[str, ...]) -> Reply:
        if self.on("rate_limited"):
            self.server.outages = [RateLimited] * 2
        elif self.draw.random() < 0.02:
            self.server.outages = [RateLimited]
        call = Call(
            name="decide",
            prompt_id="buyer-agent",
            prompt_version=version,
            provider="acme",
            policy="reason" if self.on("price_up") else "default",
            price=(6e-6, 2.4e-5) if self.on("price_up") else (1.5e-6, 6e-6),
        )
        model = "acme-reason" if self.on("price_up") else "acme-agent-3"
        ask = Ask(model=model, system=SYSTEM[version], turns=turns, tools=tools, max_tokens=400)
        try:
            return self.rec.model(call, ask, self.server)
        except RateLimited:
            return self.rec.model(replace(call, retry=1), ask, self.server)

    def use(self, name: str, given: dict[str, Any]) -> str:
        if name == "place_order":
            return self.order(given)
        with self.rec.step("tool", name) as note:
            note.reads(told(given))
            result = {"search_catalog": self._catalog, "get_quotes": self._quotes, "check_budget": self._budget}[name](
                given, note
            )
            note.gives(told(result))
        if name == "search_catalog" and not result.get("sku") and self.on("bad_fallback"):
            self.rec.fallback("narrower_scope", reason="a substitute")
            with self.rec.step("fallback", "substitute") as note:
                sku = next(s for s in ARTICLES.values() if s != self.errand.sku)
                result = {"sku": sku}
                note.gives(told(result))
        return told(result)

    def _catalog(self, given: dict[str, Any], note: Any) -> dict[str, Any]:
        sku = None if self.on("catalogue_empty") else ARTICLES.get(given["text"])
        note.labels({"hits": 1 if sku else 0})
        return {"sku": sku}

    def _quotes(self, given: dict[str, Any], note: Any) -> dict[str, Any]:
        if self.on("quotes_error_swallowed"):
            note.failed(QuotesDown("503"))
            return {"quotes": []}
        if self.hiccup:  # once in a while the service is late, and the model asks again
            self.hiccup = False
            note.failed(QuotesDown("timeout"))
            return {"error": "timeout"}
        if given["sku"] not in ARTICLES.values():
            return {"quotes": []}
        found = quotes(given["sku"], given["quantity"], 1 if self.on("quotes_stale") else 2)
        if self.on("quotes_renamed_field"):
            found = [{"supplier": q["supplier"], "net_price": q["price"], "lead_time": q["days"]} for q in found]
        return {"quotes": found}

    def _budget(self, given: dict[str, Any], _: Any) -> dict[str, Any]:
        if self.on("budget_of_other_site"):
            return {"site": "archive", "left": 0.0}
        return {"site": given["site"], "left": budget(given["site"], given["sku"])}

    def order(self, given: dict[str, Any]) -> str:
        """Guard, approver and order system, in this order."""
        if self.mistyped:
            given = given | {"price": round(given["price"] * 10, 2)}
        if self.short:
            given = given | {"quantity": given["quantity"] // 2}
        if not self.guard_spending(given):
            self.blocked = "spend guard"
            return told({"state": "rejected"})
        if not self.approve(given):
            return told({"state": "rejected"})
        with self.rec.step("tool", "place_order") as note:
            note.reads(told(given))
            note.gives(told({"state": "accepted"}))
        if not self.on("order_lost"):
            self.placed = given
        return told({"state": "accepted"})

    def guard_spending(self, given: dict[str, Any]) -> bool:
        with self.rec.step("guardrail", "spend guard") as note:
            note.reads(told(given))
            limit = 90.0 if self.on("spend_guard_blocks") else 9000.0
            fine = self.on("spend_guard_gone") or given["price"] <= limit
            fine = fine and given["supplier"] in ("norda", "kelwin", "ostrava", "pima")
            note.gives("pass" if fine else "block")
            note.labels({"verdict": "pass" if fine else "block"})
        return fine

    def approve(self, given: dict[str, Any]) -> bool:
        if given["price"] <= APPROVE_FROM or self.mistyped:
            return True
        if self.on("approval_skipped"):
            self.unapproved = True
            return True
        no = self.on("rejection_ignored") or (self.draw.random() < 0.1 and not self.fault)
        with self.rec.step("custom", "approval") as note:
            note.reads(told(given))
            note.gives("no" if no else "yes")
            self.rec.review("rejected" if no else "approved", field="$.order", note="see the budget" if no else "")
        self.rejected = no
        return not no or self.on("rejection_ignored")

    def check(self, answer: str) -> bool:
        """Whether what the order system has is what was wanted."""
        if not answer.startswith("Ordered"):
            return True
        with self.rec.step("validate", "check order", schema_version="order-2") as note:
            note.reads(answer)
            if self.on("receipt_check_gone"):
                note.labels({"validate.checked": ""})
                return True
            wrong = [] if self.placed else ["missing:$.order"]
            if self.placed and self.placed["quantity"] != self.errand.quantity:
                wrong.append("quantity:$.order.quantity")
            note.say(validation_errors=wrong)
            note.labels({"validate.checked": "$.order,$.order.quantity"})
        return not wrong

    def end(self, state: str, answer: str) -> None:
        """The orderer sees what was bought; who got less, dearer or nothing without need objects."""
        best, got = self.errand.best, self.placed
        nothing = best is None or self.rejected
        right = got is None if nothing else got is not None and self._good(got, best or {})
        labels = {"steps": str(self.steps), "outcome": "done" if right else "complaint"}
        if not right:
            value = told(best or {})
            self.rec.review("overridden", field="$.order", value=value, note="not what was wanted")
        elif self.unapproved:
            self.rec.review("rejected", field="$.order", note="not approved before it was placed")
        with self.rec.step("eval", "errand done") as note:
            note.labels({"score": 1.0 if right else 0.0})
            note.gives(f"score {1 if right else 0}")
            self.rec.grade("errand-done", "passed" if right else "failed")
        self.rec.finish(state, answer, labels)

    def _good(self, got: dict[str, Any], best: dict[str, Any]) -> bool:
        same = got["sku"] == self.errand.sku and got["quantity"] == self.errand.quantity
        return bool(same and re.sub(r"\.0$", "", str(got["price"])) == re.sub(r"\.0$", "", str(best["price"])))


def run(form: Form, fault: Fault | None, around: Surroundings) -> str:
    rec = recorder(form, around, KEEP, "claude", "buyer-agent")
    agent = Agent(rec, fault, around)
    with suppress(ProviderError), rec.run("buyer-agent", agent.errand.text, {"site": agent.errand.site}):
        agent.work()
    return rec.run_id


def prepare_otel(provider: Any) -> Callable[[], None]:
    undo: Callable[[], None] = import_module("benchmarks.zoo.open.kit.claude").instrument(provider)
    return undo


WORKFLOW = Workflow(name="buyer-agent", shape="agent", faults=FAULTS, run=run, policy=POLICY, prepare_otel=prepare_otel)
