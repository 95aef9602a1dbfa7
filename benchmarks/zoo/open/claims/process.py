"""The processing of a claim."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

from benchmarks.zoo.open.claims.brain import MARKS, Extractor, number
from benchmarks.zoo.open.claims.faults import FAULTS
from benchmarks.zoo.open.claims.world import REVIEW_FROM, Claim, Cover, claim, cover, euro
from benchmarks.zoo.open.kit.model import Ask, ProviderError, RateLimited, Reply, Server
from benchmarks.zoo.open.kit.record import Call, Recorder, kept, recorder
from benchmarks.zoo.open.kit.text import Passage
from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow

POLICY = """
version = 1

[workflow.claims-intake]
routes = ["water", "theft", "vehicle"]
confidence_floor = 0.55
parse_quality_floor = 0.75
context_expected = true
authority = ["invoice", "form"]

[workflow.claims-intake.next_steps]
missing_citation = ["retry", "review"]
weak_provenance = ["review"]
source_conflict = ["apply_authority", "review"]

[workflow.claims-intake.evidence."$.total"]
threshold = 0.7
masked_as = ["MONEY", "IBAN"]

[workflow.claims-intake.evidence."$.date"]
threshold = 0.6
masked_as = ["DATE"]

[[workflow.claims-intake.expect]]
step = "parse"

[[workflow.claims-intake.expect]]
step = "validate"

[[workflow.claims-intake.review]]
name = "form and invoice disagree"
question = "Which amount is to be paid?"
when = { gap = "source_conflict" }
priority = 2
"""
KEEP = {  # the model, the tools, and what the adjuster said
    "run": kept(claim="claim"),
    "parse": kept("parser_version status error_type", name="ocr"),
    "model_call": kept("model_name prompt_version input_tokens output_tokens cost_usd"),
    "tool": kept("status error_type"),
    "validate": kept("validation_errors"),
    "custom:payout": kept(amount="payout"),
    "review": kept(),
}
FIELDS = {
    "water": ("policy", "date", "kind", "claimed", "total"),
    "theft": ("policy", "date", "kind", "claimed", "total", "police_report"),
    "vehicle": ("policy", "date", "kind", "claimed", "total", "number_plate"),
}
EXTRA = {"theft": "police_report", "vehicle": "number_plate", "water": ""}
SYSTEM = {
    "9": "Extract the fields as JSON. Amounts are numbers, dates ISO.",
    "10": "Extract the fields as JSON. Amounts are numbers; forms have American dates, give them as ISO.",
}


class ReaderError(Exception):
    """The file cannot be read."""


class RegisterTimeout(Exception):
    """The register of policies did not answer."""


class Process:
    """One claim."""

    def __init__(self, rec: Recorder, fault: Fault | None, around: Surroundings) -> None:
        self.rec, self.draw = rec, around.random
        self.fault = fault.name if fault else ""
        self.claim = self._claim()
        self.careless = self.draw.random() < 0.2 or self.on("check_gone", "repair_without_pages")
        self.brain = Extractor(self.draw, careless=1.0 if self.careless else 0.0)
        self.brain.takes_net, self.brain.refuses = self.on("model_release"), self.on("refusal")
        slow = self.draw.random() < 0.07
        self.server = Server(
            self.brain,
            "fp_d02" if self.on("model_release") else "fp_c44",
            pause_s=0.016 if self.on("slow_model") else 0.001 if slow else 0.0003,
            thinking=15 if self.on("price_up") else 1,
            cut=12 if self.on("output_cut_off") else None,
        )
        self.model = "acme-reason-2" if self.on("price_up") else "acme-doc-2"
        self.pages: list[Passage] = []
        self.taken = self.claim.kind
        self.corrected: float | None = None

    def on(self, *names: str) -> bool:
        return self.fault in names

    def _claim(self) -> Claim:
        """Claims come as they come; a fault waits for one that it touches."""
        while True:
            got = claim(self.draw)
            if self._touches(got):
                return got

    def _touches(self, got: Claim) -> bool:
        day, month = got.date[8:], got.date[5:7]
        return {
            "wrong_form": got.kind == "theft",
            "branch_not_followed": got.kind == "vehicle",
            "sorter_release": got.kind == "vehicle",
            "prompt_release": int(day) <= 12 and day != month,
            "lookup_stale": cover(got.policy, 1).excess != got.cover.excess and got.total < 8000,
            "layout_release": got.total > 1000 and got.total == got.amount,
            "review_skipped": got.due > REVIEW_FROM,
            "correction_lost": got.amount != got.total,
        }.get(self.fault, True)

    def work(self) -> None:
        text = self.mask(self.read(self.fetch()))
        fields = self.sort(text)
        got = self.extract(text, fields)
        if got is None:
            self.hand_over()
            return
        self.support(got)
        paid = self.pay(self.settle(got))
        self.audit(got, paid)

    def fetch(self) -> tuple[str, ...]:
        wanted = f"C{self.draw.randint(10000, 99999)}" if self.on("fetch_other_claim") else self.claim.number
        with self.rec.step("tool", "fetch documents") as note:
            note.reads(json.dumps({"claim": wanted}))
            pages = self.claim.pages
            if wanted != self.claim.number:
                pages = claim(self.draw).pages
            if self.on("fetch_first_attachment"):
                pages = pages[:1]
            note.gives("\f".join(pages))
            note.labels({"pages": len(pages)})
        return pages

    def read(self, pages: tuple[str, ...]) -> list[str]:
        version = "5.0" if self.on("layout_release") else "4.2"
        quality = round(self.draw.uniform(0.25, 0.5) if self.on("bad_scan") else self.draw.uniform(0.82, 0.99), 2)
        with self.rec.step("parse", "ocr", parser_version=version) as note:
            note.reads("\f".join(pages))
            if self.on("parser_error_swallowed"):
                note.failed(ReaderError("no text layer"))
                note.labels({"parse.pages": len(pages), "parse.pages_read": 0})
                return []
            read = [self._page(p) for p in (pages[:-1] if self.on("pages_lost") else pages)]
            note.gives("\f".join(read))
            note.labels({"parse.quality": quality, "parse.pages": len(pages), "parse.pages_read": len(read)})
        return read

    def _page(self, page: str) -> str:
        if self.on("bad_scan"):
            return re.sub(r"[1358]", lambda m: {"1": "l", "3": "8", "5": "S", "8": "3"}[m.group(0)], page)
        if self.on("layout_release"):
            return re.sub(r"(\d+)\.(\d{3},\d\d)", r"\2", page)
        return page

    def mask(self, pages: list[str]) -> str:
        with self.rec.step("mask", "pseudonymise", parser_version="mask-3") as note:
            text = "\f".join(pages)
            note.reads(text)
            counts = {}
            patterns = {"NAME": r"(?<=Claimant: ).+|(?<=Account holder: ).+", "IBAN": r"DE\d{20}"}
            if self.on("mask_takes_money"):
                patterns["MONEY"] = r"[\d.]+,\d\d EUR"
            if self.on("mask_takes_dates"):
                patterns["DATE"] = r"\d\d\.\d\d\.\d{4}"
            for kind, pattern in patterns.items():
                text, counts[f"masked.{kind}"] = re.subn(pattern, f"<{kind}>", text)
            note.gives(text)
            note.labels(counts)
        whole = "\n".join(self.claim.pages)
        self.pages = [Passage("claim", n, page, whole) for n, page in enumerate(text.split("\f"), 1)]
        return text

    def sort(self, text: str) -> tuple[str, ...]:
        marks = {
            "theft": ("thie", "police", "cellar"),
            "vehicle": ("car", "bumper", "plate"),
            "water": ("hose", "burst"),
        }
        votes = {kind: sum(m in text.lower() for m in seen) for kind, seen in marks.items()}
        kind, sure = max(votes, key=lambda k: votes[k]), round(self.draw.uniform(0.68, 0.97), 2)
        if self.on("wrong_form"):
            kind, sure = "water", round(self.draw.uniform(0.36, 0.5), 2)
        if self.on("sorter_release"):
            kind, sure = "water", round(self.draw.uniform(0.6, 0.8), 2)
        release = "sorter-3" if self.on("sorter_release") else "sorter-2"
        with self.rec.step("classify", "kind of form", route_policy_version=release) as note:
            note.reads(text)
            note.say(route=kind, route_reason=f"{votes[kind]} marks", route_confidence=sure)
            note.gives(kind)
        self.taken = "water" if self.on("branch_not_followed") else kind
        with self.rec.step("route", "extraction", route_policy_version="extraction-1") as note:
            note.say(route=kind, route_reason="by the kind of form", route_confidence=sure)
            note.labels({"route.taken": self.taken})
            note.gives(self.taken)
        return FIELDS[self.taken]

    def render(self, fields: tuple[str, ...]) -> tuple[str, list[Passage], str]:
        version = "10" if self.on("prompt_release") else "9"
        pages = self.pages[:-1] if self.on("page_budget") else self.pages
        listed = () if self.on("fields_variable_empty") else fields
        with self.rec.step("prompt", "extract prompt", prompt_id="claim-extract", prompt_version=version) as note:
            body = f"Fields: {', '.join(listed)}\n" + "\n".join(p.text for p in pages)
            note.shows(pages)
            note.gives(body)
            note.labels({"prompt.asks": ",".join(f"$.{f}" for f in listed)})
        return body, pages, version

    def extract(self, text: str, fields: tuple[str, ...]) -> dict[str, Any] | None:
        body, pages, version = self.render(fields)
        if self.on("rate_limited"):
            self.server.outages = [RateLimited] * 9
        elif self.draw.random() < 0.06:
            self.server.outages = [RateLimited]
        reply = self._ask("extract", ("claim-extract", version), (("user", body),), pages)
        for attempt in range(3):
            got, wrong = self.check(reply.text, fields)
            if not wrong and not self.on("bad_fallback"):
                return got
            if attempt == 2 or self.on("bad_fallback"):
                break
            self.rec.fallback("retry", reason="the fields do not hold")
            reply = self.repair(body, pages, reply, wrong)
        return self.rough(text, got) if self.on("bad_fallback") else None

    def _ask(
        self, name: str, prompt: tuple[str, str], turns: tuple[tuple[str, str], ...], pages: list[Passage]
    ) -> Reply:
        price = (4e-6, 1.6e-5) if self.on("price_up") else (1e-6, 4e-6)
        call = Call(
            name=name,
            prompt_id=prompt[0],
            prompt_version=prompt[1],
            provider="acme",
            policy="reason" if self.on("price_up") else "default",
            price=price,
        )
        system = SYSTEM["10" if self.on("prompt_release") else "9"]
        ask = Ask(model=self.model, system=system, turns=turns, max_tokens=300, seed=11)
        try:
            return self.rec.model(call, ask, self.server, pages)
        except RateLimited:
            return self.rec.model(replace(call, retry=1), ask, self.server, pages)

    def repair(self, body: str, pages: list[Passage], reply: Reply, wrong: list[str]) -> Reply:
        with self.rec.step("prompt", "repair prompt", prompt_id="claim-repair", prompt_version="2") as note:
            passed = [] if self.on("repair_without_pages") else pages
            first = body.split("\n", 1)[0] if self.on("repair_without_pages") else body
            said = "Mend: " + ", ".join(wrong)
            note.shows(passed)
            note.gives(f"{first}\n{said}")
        turns = (("user", first), ("assistant", reply.text), ("user", said))
        return self._ask("repair", ("claim-repair", "2"), turns, passed)

    def check(self, text: str, fields: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
        version = "claim-8" if self.on("schema_release") else "claim-7"
        with self.rec.step("validate", "check fields", schema_version=version) as note:
            note.reads(text)
            try:
                got = json.loads(text)
            except ValueError:
                note.say(validation_errors=["not_json:$"])
                note.labels({"validate.checked": "$"})
                return {}, ["not_json:$"]
            if self.on("check_gone"):
                note.labels({"validate.checked": ""})
                return got, []
            wrong = [f"missing:$.{f}" for f in fields if got.get(f) is None]
            wrong += [f"type:$.{f}" for f in ("claimed", "total") if isinstance(got.get(f), str)]
            if self.on("schema_release"):
                wrong.append("missing:$.loss_time")
            note.say(validation_errors=wrong)
            note.labels({"validate.checked": ",".join(f"$.{f}" for f in fields)})
        return got, wrong

    def rough(self, text: str, got: dict[str, Any]) -> dict[str, Any]:
        """What is done where the model gives nothing usable: patterns, and the first amount for the total."""
        self.rec.fallback("simpler_model", reason="patterns instead of the model")
        with self.rec.step("fallback", "rough extraction") as note:
            net = re.search(r"Net: ([\d.,]+) EUR", text)
            out = dict(got) | {"total": number(net.group(1)) if net else 0.0}
            note.gives(json.dumps(out))
        return out

    def support(self, got: dict[str, Any]) -> None:
        """On which page each value stands."""
        whole = "\n".join(self.claim.pages)
        pages = [Passage("claim", n, page, whole) for n, page in enumerate(self.claim.pages, 1)]
        for field in FIELDS[self.taken]:
            mark = re.compile(MARKS[field])
            on = [p for p in pages if mark.search(p.text)]
            found = on[0] if on else None
            says = mark.search(found.text) if found else None
            if got.get(field) is None or says is None:
                self.rec.evidence(f"$.{field}", [], None)
                continue
            same = self._same(field, got[field], says.group(1))
            score = round(self.draw.uniform(0.82, 0.99) if same else self.draw.uniform(0.1, 0.28), 2)
            against = pages[:1] if field == "total" and got.get("claimed") != got.get("total") else []
            self.rec.evidence(f"$.{field}", on[:1], score, against=against)

    @staticmethod
    def _same(field: str, value: Any, written: str) -> bool:
        if field in ("claimed", "total"):
            return isinstance(value, float) and abs(value - number(written)) < 0.01
        if field == "date":
            return str(value) == "-".join(reversed(written.split(".")))
        return bool(value == written)

    def lookup(self, policy: str) -> Cover:
        """What the register says; a policy that it does not know has no excess and the highest limit."""
        asked = policy.removeprefix("HH-") if self.on("lookup_wrong_argument") else policy
        with self.rec.step("tool", "policy register") as note:
            note.reads(json.dumps({"policy": asked}))
            if self.on("lookup_error_swallowed"):
                note.failed(RegisterTimeout("2 s"))
                return Cover(excess=0.0, limit=20000.0)
            if not asked.startswith("HH-"):
                note.gives("null")
                return Cover(excess=0.0, limit=20000.0)
            known = cover(asked, 1 if self.on("lookup_stale") else 2)
            name = "deductible" if self.on("lookup_renamed_field") else "excess"
            record = {name: known.excess, "limit": known.limit}
            note.gives(json.dumps(record))
        return Cover(excess=record.get("excess", 0.0), limit=record["limit"])

    def settle(self, got: dict[str, Any]) -> float:
        known = self.lookup(str(got.get("policy")))
        with self.rec.step("custom", "payout") as note:
            total = got.get("total") or 0.0
            if isinstance(total, str):  # nobody expects the form's spelling here: 1.234,50 is one and a bit
                total = float(total.split(",")[0][:5])
            excess = 0.0 if self.on("rule_forgets_excess") else known.excess
            due = round(max(0.0, min(total, known.limit) - excess), 2)
            note.gives(json.dumps({"due": due, "excess": excess}))
            note.labels({"payout": due})
        return self.review(got, due)

    def review(self, got: dict[str, Any], due: float) -> float:
        """An adjuster sees large claims and those whose sources disagree, before anything is paid."""
        threshold = REVIEW_FROM * 100 if self.on("review_skipped") else REVIEW_FROM
        disagree = got.get("claimed") != got.get("total")
        if due <= threshold and not (disagree and not self.on("review_skipped")):
            return due
        should = self.claim.due
        if self.on("correction_lost"):  # goodwill: the adjuster grants what was claimed
            should = round(self.claim.due + abs(self.claim.amount - self.claim.total) + 40, 2)
            self.corrected = should
        with self.rec.step("custom", "adjuster") as note:
            note.reads(json.dumps({"due": due}))
            note.gives(json.dumps({"due": should}))
            if abs(due - should) < 0.01:
                self.rec.review("approved", field="$.payout")
                return due
            self.rec.review("overridden", field="$.payout", value=str(should), note="read from the invoice")
        return due if self.on("correction_lost") else should

    def pay(self, due: float) -> float:
        with self.rec.step("output", "payment order", schema_version="order-4") as note:
            cents = round(due) if self.on("order_in_cents") else round(due * 100)
            note.gives(json.dumps({"claim": self.claim.number, "cents": cents}))
        return cents / 100

    def audit(self, got: dict[str, Any], paid: float) -> None:
        """Claimants complain about what is too little and the audit finds the rest; a quarter of the good are seen."""
        right = self.claim.due if self.corrected is None else self.corrected
        fields_right = got.get("date") == self.claim.date and (
            not EXTRA[self.claim.kind] or got.get(EXTRA[self.claim.kind]) == self.claim.extra
        )
        if abs(paid - right) >= 0.01:
            self.rec.review("overridden", field="$.payout", value=euro(right), note="the amount is wrong")
            self.end("answered", paid, {"complaint": "amount"} if paid < right else {})
        elif not fields_right:
            field = "$.date" if got.get("date") != self.claim.date else f"$.{EXTRA[self.claim.kind]}"
            self.rec.review(
                "overridden", field=field, value=f"{self.claim.date} {self.claim.extra}", note="see the form"
            )
            self.end("answered", paid, {})
        elif self.on("review_skipped"):
            self.rec.review("rejected", field="$.payout", note="an adjuster had to see this before it was paid")
            self.end("answered", paid, {})
        else:
            if self.draw.random() < 0.25:
                self.rec.review("approved", field="$.payout")
            self.end("answered", paid, {})

    def hand_over(self) -> None:
        self.rec.fallback("human_review", reason="no attempt gave the fields")
        self.rec.review("overridden", field="$", value=json.dumps({"total": self.claim.total}), note="typed in by hand")
        self.end("handed_over", 0.0, {})

    def end(self, state: str, paid: float, labels: dict[str, str]) -> None:
        self.rec.finish(state, json.dumps({"paid": paid}), labels)


def run(form: Form, fault: Fault | None, around: Surroundings) -> str:
    rec = recorder(form, around, KEEP, "loop", "claims-intake")
    process = Process(rec, fault, around)
    labels = {"claim": process.claim.number, "source": process.draw.choice(("scan", "mail", "portal"))}
    with suppress(ProviderError), rec.run("claims-intake", process.claim.number, labels):
        process.work()
    return rec.run_id


def prepare_otel(provider: Any) -> Callable[[], None]:
    undo: Callable[[], None] = import_module("benchmarks.zoo.open.kit.loop").instrument(provider)
    return undo


WORKFLOW = Workflow(
    name="claims-intake", shape="extraction", faults=FAULTS, run=run, policy=POLICY, prepare_otel=prepare_otel
)
