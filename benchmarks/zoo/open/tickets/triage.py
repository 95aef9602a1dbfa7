"""The triage of a ticket and the branches of its queue."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

from benchmarks.zoo.open.kit.model import Ask, ProviderError, RateLimited, Reply, Server
from benchmarks.zoo.open.kit.record import Call, Recorder, kept, recorder
from benchmarks.zoo.open.kit.text import Passage
from benchmarks.zoo.open.tickets.brain import BACK, Triage
from benchmarks.zoo.open.tickets.faults import FAULTS
from benchmarks.zoo.open.tickets.world import (
    QUEUES,
    SERVICES,
    WISHES,
    Ticket,
    invoice,
    runbooks,
    service,
    ticket,
    user,
    wishes,
)
from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow

POLICY = """
version = 1

[workflow.ticket-triage]
routes = ["billing", "outage", "access", "feature", "privacy", "person"]
confidence_floor = 0.6

[[workflow.ticket-triage.expect]]
step = "classify"

[workflow.ticket-triage.evidence."$.queue"]
required = true
threshold = 0.3
support_floor = 0.1

[[workflow.ticket-triage.review]]
name = "privacy request"
question = "Is the reply lawful?"
when = { route = "privacy" }
priority = 1

[[workflow.ticket-triage.review]]
name = "unsure queue"
question = "Which queue is it?"
when = { confidence_below = 0.5 }
"""
KEEP = {  # a team that logs decisions, not work
    "run": kept(plan="plan"),
    "model_call": kept("model_name output_tokens status"),
    "route": kept("route route_confidence", kind="classify", name="queue"),
    "tool": kept("status error_type"),
    "custom:tone guard": kept(name="guard", verdict="verdict"),
    "guardrail": kept(name="guard", verdict="verdict"),
    "fallback": kept(),
    "review": kept(),
    "finish": kept(reopened="reopened"),
}
LENS = {"billing", "outage", "access", "feature", "privacy"}
PRICES = {"acme-sort": (2e-7, 8e-7), "acme-large": (2e-6, 8e-6), "acme-reason": (4e-6, 1.6e-5)}
LOUD = ("kill", "lawyer", "stupid")


class DirectoryDown(Exception):
    """The directory did not answer."""


class TicketDesk:
    """One ticket."""

    def __init__(self, rec: Recorder, fault: Fault | None, around: Surroundings) -> None:
        self.rec, self.draw = rec, around.random
        self.fault = fault.name if fault else ""
        self.ticket = self._ticket()
        self.brain = Triage(self.draw)
        self._moods()
        slow = self.draw.random() < 0.06
        self.server = Server(
            self.brain,
            "fp_22b" if self.on("model_release", "overconfident") else "fp_21a",
            pause_s=0.016 if self.on("slow_model") else 0.001 if slow else 0.0002,
            thinking=15 if self.on("price_up") else 1,
        )
        self.model = "acme-reason" if self.on("price_up") else "acme-sort"
        self.approved = False
        self.blocked = False
        self.wanted = self.ticket.queue

    def on(self, *names: str) -> bool:
        return self.fault in names

    def _moods(self) -> None:
        brain = self.brain
        brain.confuses = self.on("model_release", "overconfident")
        brain.always_sure = self.on("overconfident")
        brain.refuses, brain.invents = self.on("refusal"), self.on("reply_invented")
        brain.sloppy = brain.sloppy or self.on("queue_check_gone")
        brain.unsure = self.on("second_opinion_ignored") or (brain.unsure and not self.fault)

    def _ticket(self) -> Ticket:
        """Tickets come as they come; a fault waits for one that it touches."""
        while True:
            got = ticket(self.draw)
            if self._touches(got):
                return got

    def _touches(self, got: Ticket) -> bool:
        queues = {
            "prompt_release": "billing",
            "overconfident": "billing access",
            "model_release": "billing access",
            "rules_release": "outage",
            "branch_not_followed": "billing access outage",
            "second_opinion_ignored": "billing outage access privacy",
            "rate_limited_to_default": "billing outage access privacy",
            "invoice_wrong_argument": "billing",
            "invoice_stale": "billing",
            "status_renamed_field": "outage",
            "directory_error_swallowed": "access",
            "backlog_index_empty": "feature",
            "guardrail_blocks_good": "billing access outage",
            "approval_skipped": "privacy",
            "cleaner_release": "outage feature privacy",
            "correction_lost": "billing outage access feature",
            "priority_lost": "outage",
        }.get(self.fault, "")
        if queues and got.queue not in queues.split():
            return False
        if self.on("language_wrong", "translation_cut_off"):
            return got.german and got.queue in ("access", "privacy")
        if self.on("invoice_stale"):
            return invoice(got.subject, 1) != got.truth
        if self.on("cleaner_release"):
            return "\n>" in got.mail
        return not self.on("backlog_index_empty", "fact_not_passed", "reply_invented") or bool(got.truth)

    def work(self) -> None:
        text = self.translate(self.clean())
        queue, sure = self.classify(text)
        taken = self.route(queue, sure)
        if taken == "person":
            self.rec.fallback("human_review", reason="unsure or unknown queue")
            self.dispatch(taken)
            return
        fact, passages = self.look_up(taken)
        reply = self.guard(self.draft(taken, fact, passages))
        self.rec.evidence("$.queue", [Passage("mail", 1, self.ticket.mail, self.ticket.mail)], sure)
        if taken == "privacy":
            self.approve(reply)
        self.assign(taken, reply)

    def clean(self) -> str:
        version = "3.0" if self.on("cleaner_release") else "2.6"
        with self.rec.step("parse", "clean mail", parser_version=version) as note:
            note.reads(self.ticket.mail)
            lines = self.ticket.mail.split("\n")
            if self.on("quote_cut_too_early"):
                lines = lines[:1]
            elif self.on("cleaner_release"):
                lines = [line.removeprefix("> ") for line in lines if line.startswith("> ")]
            else:
                lines = [line for line in lines[1:] if not line.startswith((">", "-- ", "Best regards"))]
            text = "\n".join(lines)
            note.gives(text)
            note.labels({"parse.quality": round(self.draw.uniform(0.85, 0.99), 2), "characters": len(text)})
        return text

    def translate(self, text: str) -> str:
        with self.rec.step("custom", "language") as note:
            note.reads(text)
            german = any(word.strip(".,!?:").lower() in BACK for word in text.split())
            german = german != self.on("language_wrong")
            note.gives("de" if german else "en")
            note.labels({"language": "de" if german else "en"})
        if not german:
            return text
        small = replace(self.server, thinking=1, cut=1 if self.on("translation_cut_off") else None, pause_s=0.0002)
        call = Call(name="translate", prompt_id="translate", prompt_version="3", provider="acme", policy="cheap")
        ask = Ask(model="acme-sort", system="Translate into English.", turns=(("user", text),), max_tokens=200)
        return self.rec.model(call, ask, small).text

    def classify(self, text: str) -> tuple[str, float]:
        version = "23" if self.on("prompt_release") else "22"
        queues = dict(QUEUES)
        if self.on("prompt_release"):
            queues |= {"billing": "contract terms", "access": f"{QUEUES['access']}, {QUEUES['billing']}"}
        if self.on("queues_variable_empty"):
            queues = {}
        with self.rec.step("prompt", "triage prompt", prompt_id="triage", prompt_version=version) as note:
            body = "\n".join(f"- {q}: {meaning}" for q, meaning in queues.items()) + f"\nTicket: {text}"
            note.gives(body)
            note.labels({"prompt.asks": "$.queue,$.confidence"})
        if self.on("rate_limited_to_default"):
            self.server.outages = [RateLimited] * 2
        elif self.draw.random() < 0.05:
            self.server.outages = [RateLimited]
        with self.rec.step("classify", "triage", prompt_id="triage", prompt_version=version) as note:
            note.reads(text)
            queue, sure = self._queue(body, version)
            note.say(route=queue, route_reason="words of the ticket", route_confidence=sure)
            note.gives(json.dumps({"queue": queue, "confidence": sure}))
        return queue, sure

    def _queue(self, body: str, version: str) -> tuple[str, float]:
        turns: tuple[tuple[str, str], ...] = (("user", body),)
        for attempt in range(2):
            try:
                reply = self._ask("triage", "Classify the ticket as JSON.", ("triage", version), turns, self.model)
            except RateLimited:
                self.rec.fallback("partial_answer", reason="no classification, so the default queue")
                return "feature", 0.5
            got, wrong = self.check(reply)
            if not wrong:
                break
            if attempt:
                return "other", 0.0
            self.rec.fallback("retry", reason="no such queue")
            turns = (("user", body), ("assistant", reply.text), ("user", "Name a queue of the list."))
        if 0.4 < got["confidence"] < 0.65:
            got = self._second_opinion(body, got)
        return got["queue"], got["confidence"]

    def _second_opinion(self, body: str, first: dict[str, Any]) -> dict[str, Any]:
        self.rec.fallback("stronger_model", reason="unsure")
        system = "Classify the ticket as JSON. Be careful."
        reply = self._ask("second opinion", system, ("triage-careful", "4"), (("user", body),), "acme-large")
        got, wrong = self.check(reply)
        if self.on("second_opinion_ignored"):
            return {"queue": "feature", "confidence": got.get("confidence", 0.5)}
        return first if wrong else got

    def _ask(
        self, name: str, system: str, prompt: tuple[str, str], turns: tuple[tuple[str, str], ...], model: str
    ) -> Reply:
        call = Call(
            name=name,
            prompt_id=prompt[0],
            prompt_version=prompt[1],
            provider="acme",
            policy="reason" if self.on("price_up") else "default",
            price=PRICES[model],
        )
        ask = Ask(model=model, system=system, turns=turns, max_tokens=200, seed=3)
        try:
            return self.rec.model(call, ask, self.server)
        except RateLimited:
            return self.rec.model(replace(call, retry=1), ask, self.server)

    def check(self, reply: Reply) -> tuple[dict[str, Any], list[str]]:
        with self.rec.step("validate", "check queue", schema_version="triage-2") as note:
            note.reads(reply.text)
            try:
                got: dict[str, Any] = json.loads(reply.text)
            except ValueError:
                got = {"queue": "other", "confidence": 0.0}
                note.say(validation_errors=["not_json:$"])
                note.labels({"validate.checked": "$"})
                return got, ["not_json:$"]
            wrong = [] if got["queue"] in LENS or got["queue"] == "other" else ["enum:$.queue"]
            checked = "" if self.on("queue_check_gone") else "$.queue"
            wrong = wrong if checked else []
            note.say(validation_errors=wrong)
            note.labels({"validate.checked": checked})
        return got, wrong

    def route(self, queue: str, sure: float) -> str:
        """Unsure tickets go to a person, all others into the branch of their queue."""
        least = 0.99 if self.on("threshold_release") else 0.4
        goes = queue if sure >= least and queue != "other" else "person"
        if self.on("rules_release") and goes == "outage":
            goes = "feature"
        taken = goes
        if self.on("branch_not_followed") and goes != "person":
            taken = "feature"
        version = "5" if self.on("threshold_release") else "6" if self.on("rules_release") else "4"
        with self.rec.step("route", "queue", route_policy_version=f"routing-{version}") as note:
            note.say(route=goes, route_reason=f"{queue} with {sure}", route_confidence=sure)
            note.labels({"route.taken": taken})
            note.gives(taken)
        return taken

    def look_up(self, queue: str) -> tuple[str, list[Passage]]:
        """Each queue knows where to look; privacy needs nothing."""
        subject = self.ticket.subject
        if queue == "billing":
            asked = self.ticket.number if self.on("invoice_wrong_argument") else subject
            known = asked.startswith("INV")
            return self._tool(
                "invoice lookup",
                asked,
                "state",
                invoice(asked, 1 if self.on("invoice_stale") else 2) if known else "nothing",
            ), []
        if queue == "outage":
            self._search("runbook", runbooks().search(f"runbook {subject}", 2))
            return self._tool("status page", subject, "eta", service(subject) if subject in SERVICES else "nothing"), []
        if queue == "access":
            return self._tool(
                "directory", subject, "state", user(subject) if subject.startswith("user") else "nothing"
            ), []
        if queue == "feature":
            found = [] if self.on("backlog_index_empty") else wishes().search(subject, 3)
            found = [p for p in found if subject in p.text] if subject in WISHES else []
            self._search("similar wishes", found)
            return (found[0].text if found else "nothing"), found
        return "it is done within 30 days", []

    def _tool(self, name: str, asked: str, field: str, value: str) -> str:
        with self.rec.step("tool", name) as note:
            note.reads(json.dumps({"id": asked}))
            if self.on("directory_error_swallowed"):
                note.failed(DirectoryDown("connection refused"))
                return "nothing"
            said = {"eta_utc" if self.on("status_renamed_field") else field: value}
            note.gives(json.dumps(said))
        return said.get(field, "nothing")

    def _search(self, name: str, found: list[Passage]) -> None:
        with self.rec.step("retrieve", name) as note:
            note.reads(self.ticket.subject)
            note.shows(found)
            top = found[0].score if found else 0.0
            note.labels({"retrieve.matches": len(found), "retrieve.shown": len(found), "retrieve.top_score": top})

    def draft(self, queue: str, fact: str, passages: list[Passage]) -> str:
        passed = "" if self.on("fact_not_passed") else f"\nFact: {fact}"
        with self.rec.step("prompt", "reply prompt", prompt_id="ticket-reply", prompt_version="8") as note:
            body = f"Queue: {queue}\nTicket: {self.ticket.text}{passed}"
            note.gives(body)
            note.shows(passages if passed else [])
            note.labels({"prompt.asks": "$.reply"})
        return self._ask("draft reply", "Write a reply.", ("ticket-reply", "8"), (("user", body),), "acme-large").text

    def guard(self, reply: str) -> str:
        loud = (*LOUD, "locked", "paid", "open", "repair", "active", "waiting", "refunded")
        with self.rec.step("guardrail", "tone guard") as note:
            note.reads(reply)
            words = loud if self.on("guardrail_blocks_good") else LOUD
            self.blocked = any(word in reply for word in words)
            note.gives("block" if self.blocked else "pass")
            note.labels({"verdict": "block" if self.blocked else "pass"})
        if self.blocked:
            self.rec.fallback("safe_message", reason="tone guard")
            return "Dear customer, a colleague will write to you."
        return reply

    def approve(self, reply: str) -> None:
        """The privacy officer sees each reply before it goes out."""
        if self.on("approval_skipped"):
            return
        with self.rec.step("custom", "privacy officer") as note:
            note.reads(reply)
            self.rec.review("approved", field="$.reply")
        self.approved = True

    def dispatch(self, queue: str) -> None:
        """A dispatcher sorts by hand what the triage could not."""
        self.rec.review("overridden", field="$.queue", value=self.ticket.queue, note="sorted by hand")
        with self.rec.step("output", "assign", schema_version="assignment-2") as note:
            note.gives(json.dumps({"queue": self.ticket.queue, "priority": "normal"}))
        self.rec.finish("handed_over", self.ticket.queue, {"queue": self.ticket.queue})

    def assign(self, queue: str, reply: str) -> None:
        final = queue
        if self.on("correction_lost"):  # customers of the house list have a team of their own, as the dispatcher knows
            self.wanted = "privacy"
            self.rec.review("overridden", field="$.queue", value=self.wanted, note="this customer has its own team")
        urgent = self.ticket.urgent and not self.on("priority_lost")
        with self.rec.step("output", "assign", schema_version="assignment-2") as note:
            note.gives(json.dumps({"queue": final, "priority": "urgent" if urgent else "normal"}))
        self.after(final, reply, urgent=urgent)

    def after(self, final: str, reply: str, *, urgent: bool) -> None:
        """What comes back: teams return what is not theirs, customers open a ticket again, the officer objects."""
        labels = {"queue": final}
        if final != self.wanted:
            self.rec.review("overridden", field="$.queue", value=self.wanted, note="not ours")
            labels["reopened"] = "yes"
        elif self.blocked or (self.ticket.truth and self.ticket.truth not in reply):
            self.rec.review("rejected", field="$.reply", note="the reply did not help")
            labels["reopened"] = "yes"
        elif urgent != self.ticket.urgent:
            self.rec.review("overridden", field="$.priority", value="urgent", note="it was urgent")
        elif final == "privacy" and not self.approved:
            self.rec.review("rejected", field="$.reply", note="not approved before it went out")
        self.rec.finish("answered", reply, labels)


def run(form: Form, fault: Fault | None, around: Surroundings) -> str:
    rec = recorder(form, around, KEEP, "chains", "tickets")
    desk = TicketDesk(rec, fault, around)
    labels = {"plan": desk.draw.choice(("free", "team", "enterprise"))}
    with suppress(ProviderError), rec.run("ticket-triage", desk.ticket.mail, labels):
        desk.work()
    return rec.run_id


def prepare_otel(provider: Any) -> Callable[[], None]:
    undo: Callable[[], None] = import_module("benchmarks.zoo.open.kit.chains").instrument(provider)
    return undo


WORKFLOW = Workflow(
    name="ticket-triage", shape="classification", faults=FAULTS, run=run, policy=POLICY, prepare_otel=prepare_otel
)
