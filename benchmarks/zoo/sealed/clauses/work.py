"""The clause desk: fields out of contracts, each with its evidence, and a person where that is thin."""

import json
import re
from dataclasses import dataclass, field
from functools import partial
from random import Random

from benchmarks.zoo.sealed.book import Bad, Book
from benchmarks.zoo.sealed.model import REFUSAL, Ask, Model
from benchmarks.zoo.sealed.text import pause, rank
from benchmarks.zoo.sealed.troubles import Malformed, ModelTimeout, ToolFailed

WORDING = {
    "liability_cap": "The total liability of the Supplier is limited to EUR {}.",
    "notice_days": "Either party may terminate with notice of {} days.",
    "governing_law": "This agreement is governed by the law of {}.",
    "term_months": "The initial term is {} months.",
    "payment_days": "Invoices are payable within {} days.",
    "auto_renewal": "The agreement renews automatically for {} months.",
}
PATTERN = {name: re.escape(text).replace(r"\{\}", r"([\w,]+)") for name, text in WORDING.items()}
QUERY = {
    "liability_cap": "total liability supplier limited",
    "notice_days": "terminate notice days",
    "governing_law": "governed law agreement",
    "term_months": "initial term months",
    "payment_days": "invoices payable days",
    "auto_renewal": "renews automatically months",
}
FILLER = (
    "The parties keep confidential what they learn of each other.",
    "Headings have no legal meaning.",
    "Changes of this agreement need written form.",
    "Ms Keller signs for the Customer, phone 030 5551234.",
    "The Supplier works with the care of a prudent merchant.",
)


@dataclass(frozen=True, slots=True)
class Contract:
    """Pages, and what they say."""

    kind: str
    pages: tuple[str, ...]
    truth: dict[str, str]


def make(random: Random) -> Contract:
    """A contract of three to five pages; the renewal clause is often absent, and that is fine."""
    truth = {
        "liability_cap": f"{random.randint(100, 999)},000",
        "notice_days": str(random.choice((30, 60, 90))),
        "governing_law": random.choice(("Germany", "Austria", "France", "Ireland")),
        "term_months": str(random.choice((12, 24, 36, 48))),
        "payment_days": str(random.choice((14, 21, 45))),
    }
    if random.random() < 0.5:
        truth["auto_renewal"] = str(random.choice((6, 12)))
    pages: list[list[str]] = [[random.choice(FILLER) for _ in range(4)] for _ in range(random.randint(3, 5))]
    for name, value in truth.items():
        random.choice(pages).insert(random.randrange(4), WORDING[name].format(value))
    kind = random.choice(("services", "licence"))
    pages[0].insert(0, f"{kind.capitalize()} agreement between the Supplier and the Customer.")
    return Contract(kind, tuple("\n".join(page) for page in pages), truth)


def extract(prompt: str, *, slip: bool = False) -> str:
    """The fields that the prompt asks for, from its passages, as JSON. A slip is prose around it."""
    asked = re.search(r"Fields: (.*)", prompt)
    fields = [name for name in (asked[1] if asked else "").split(", ") if name in PATTERN]
    found = {name: m[1] if (m := re.search(PATTERN[name], prompt)) else None for name in fields}
    said = json.dumps(found)
    return f"Here you are: {said}, as agreed" if slip else said


@dataclass(slots=True)
class Extraction:
    """One run's work."""

    contract: Contract
    bad: Bad
    random: Random
    book: Book = field(init=False)
    model: Model = field(init=False)
    strong: Model = field(init=False)
    refs: dict[str, tuple[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        bad = self.bad
        self.model = Model(
            random=self.random,
            name="lex-small",
            provider="openai",
            price=1.0,
            window=90_000,
            policy="eu-only",
            fingerprint="fp_lex_9" if bad("model_exchanged") else "fp_lex_8",
        )
        self.strong = Model(random=self.random, name="lex-large", provider="openai", fingerprint="fp_lexl_3", price=8.0)
        if bad("model_times_out"):
            self.model.broken = {"extract": ModelTimeout()}
        if bad("slow_model"):
            self.model.slowness = 15.0

    def run(self, book: Book) -> None:
        """The whole of it."""
        self.book = book
        with book.step("input", "contract", input_ref="\f".join(self.contract.pages)) as note:
            note.tell({"tenant": self.random.choice(("north", "alpine")), "pages": len(self.contract.pages)})
        pages = self.mask(self.parse())
        fields = self.playbook(self.classify())
        passages = self.retrieve(pages, fields)
        values = self.extract(fields, passages)
        values = self.normalised(values)
        self.deliver(self.judged(values, fields), fields)

    def parse(self) -> list[str]:
        """Pages as text."""
        bad = self.bad
        pages = list(self.contract.pages)
        quality = round(self.random.uniform(0.83, 0.99), 3)
        holder = next(at for at, page in enumerate(pages) if re.search(PATTERN["liability_cap"], page))
        if bad("page_not_read"):
            pages = [page for at, page in enumerate(pages) if at != holder]
        if bad("columns_interleaved"):
            pages = [
                " ".join(w for pair in zip(p.split()[::2], p.split()[1::2], strict=False) for w in reversed(pair))
                for p in pages
            ]
            quality = 0.61
        with self.book.step(
            "parse", "pdf", parser_version="layout-5" if bad("columns_interleaved") else "layout-4"
        ) as note:
            pause(0.4 * self.random.random())
            note.say(input_ref="\f".join(self.contract.pages), parsed_artifact_ref="\f".join(pages))
            note.measure(
                {"parse.quality": quality, "parse.pages": len(self.contract.pages), "parse.pages_read": len(pages)}
            )
        return pages

    def mask(self, pages: list[str]) -> list[str]:
        """Persons and telephone numbers never reach the model."""
        patterns = {"PERSON": r"Ms [A-Z]\w+", "PHONE": r"0\d+ \d{5,}"}
        if self.bad("money_masked"):
            patterns["MONEY"] = r"EUR [\d,]+"
        if self.bad("countries_masked"):
            patterns["LOCATION"] = r"Germany|Austria|France|Ireland"
        with self.book.step("mask", "pii", input_ref="\f".join(pages)) as note:
            counts = {}
            for kind, pattern in patterns.items():
                counts[f"masked.{kind}"] = sum(len(re.findall(pattern, page)) for page in pages)
                pages = [re.sub(pattern, f"[{kind}]", page) for page in pages]
            note.say(parsed_artifact_ref="\f".join(pages), raw_output_ref=json.dumps(counts))
            note.measure(counts)
        return pages

    def classify(self) -> str:
        """What kind of contract."""
        bad, kind = self.bad, self.contract.kind
        sure, release = round(self.random.uniform(0.74, 0.99), 2), "11"
        if bad("kind_guessed"):
            kind, sure = "nda", 0.38
        if bad("classifier_release"):
            kind, release = "nda", "12"
        with self.book.step(
            "classify",
            "contract kind",
            route=kind,
            route_confidence=sure,
            route_policy_version=release,
            route_reason="first page",
        ):
            return kind

    def playbook(self, kind: str) -> list[str]:
        """Which fields are wanted."""
        book = {"services": list(WORDING), "licence": list(WORDING), "nda": ["governing_law", "term_months"]}
        with self.book.step(
            "route", "playbook", route=kind, route_reason="kind", route_confidence=0.99, route_policy_version="7"
        ) as note:
            taken = "nda" if self.bad("other_playbook") else kind
            note.measure({"route.taken": taken})
        return book[taken]

    def retrieve(self, pages: list[str], fields: list[str]) -> dict[str, str]:
        """A passage for each field."""
        bad, passages = self.bad, {}
        chunks = [line for page in pages for line in page.split("\n")]
        if bad("chunks_too_small"):
            chunks = [chunk[at : at + 24] for chunk in chunks for at in range(0, len(chunk), 24)]
        if bad("index_of_draft"):
            chunks = [re.sub(r"\d+", lambda m: str(int(m[0]) + 6), chunk) for chunk in chunks]
        for name in fields:
            with self.book.step("retrieve", "passages", input_ref=QUERY[name]) as note:
                query = QUERY["payment_days"] if bad("query_of_other_field") and name == "notice_days" else QUERY[name]
                hits = [(score, chunks[at]) for score, at in rank(query, chunks) if score > 0.45]
                if bad("retriever_floor_too_high"):
                    hits = [hit for hit in hits if hit[0] > 0.995]
                shown = hits[:2]
                passages[name] = "\n".join(chunk for _, chunk in shown)
                ref = self.book.keep(passages[name]) if shown else ""
                self.refs[name] = (ref, shown[0][0] if shown else 0.0)
                note.say(context_refs=[ref] if shown else [])
                note.measure(
                    {
                        "retrieve.field": f"$.{name}",
                        "retrieve.matches": len(hits),
                        "retrieve.shown": len(shown),
                        "retrieve.top_score": self.refs[name][1],
                    }
                )
        return passages

    def prompt(self, fields: list[str], passages: dict[str, str]) -> tuple[str, tuple[str, ...]]:
        """What the model is asked."""
        bad = self.bad
        asked = [name for name in fields if not (bad("prompt_forgets_field") and name == "payment_days")]
        given = [passages[name] for name in fields if not (bad("passage_not_passed") and name == "term_months")]
        release = "41" if bad("prompt_release") else "40"
        if release == "41":
            asked = asked[:3]
        if bad("whole_contract_in_prompt"):
            given += ["\n".join(self.contract.pages)] * 14
        text = f"Fields: {'' if bad('fields_variable_empty') else ', '.join(asked)}\n" + "\n".join(
            part for part in given if part
        )
        refs = tuple(
            self.refs[name][0]
            for name in fields
            if self.refs[name][0] and not (bad("passage_not_passed") and name == "term_months")
        )
        with self.book.step(
            "prompt", "extract prompt", prompt_id="clause-extract", prompt_version=release, context_refs=list(refs)
        ) as note:
            note.say(raw_output_ref=text)
            note.measure({"prompt.asks": ",".join(f"$.{name}" for name in asked) if "Fields: \n" not in text else ""})
        return text, refs

    def extract(self, fields: list[str], passages: dict[str, str]) -> dict[str, str | None]:
        """Ask, parse and validate; once more, and then with the strong model."""
        bad, book = self.bad, self.book
        text, refs = self.prompt(fields, passages)
        slips = self.random.random() < 0.15
        values: dict[str, str | None] = {}
        for attempt in range(3):
            release = "41" if bad("prompt_release") else "40"
            limit = 12 if bad("answer_cut_short") else 400
            ask = Ask(
                step="extract",
                prompt_id="clause-extract",
                prompt_version=release,
                user=text,
                context=refs,
                max_tokens=limit,
            )
            off = (slips and attempt == 0) or bad("strict_mode_off")
            model = self.strong if attempt == 2 and not bad("model_times_out") else self.model
            if attempt == 2:
                book.fallback("stronger_model", "shape is wrong twice")
            said = book.ask(model, ask, partial(self.skill, off=off))
            values, errors = self.validated(said.text, fields)
            if not errors:
                return values
        raise Malformed

    def skill(self, prompt: str, *, off: bool) -> str:
        """The model at its work."""
        bad = self.bad
        if bad("model_refuses"):
            return REFUSAL
        said = extract(prompt, slip=off)
        if bad("model_exchanged"):
            said = re.sub(r'("term_months": ")(\d+)', lambda m: f"{m[1]}{int(m[2]) // 12}", said)
        if bad("model_invents", "type_not_validated"):
            said = re.sub(
                r'("notice_days": )("\d+"|null)', r'\1"two weeks"' if bad("type_not_validated") else r'\1"28"', said
            )
        return said

    def validated(self, text: str, fields: list[str]) -> tuple[dict[str, str | None], list[str]]:
        """JSON of the wanted fields, with numbers where there are to be numbers."""
        bad = self.bad
        with self.book.step(
            "validate", "shape", schema_version="clauses-8" if bad("schema_moved") else "clauses-7", input_ref=text
        ) as note:
            try:
                values = dict(json.loads(text))
                errors = []
            except ValueError:
                values, errors = {}, ["not_json:$"]
            checked = [] if bad("type_not_validated") else [name for name in fields if name in values]
            errors += [
                f"not_a_number:$.{name}"
                for name in checked
                if name != "governing_law" and values[name] and not values[name][0].isdigit()
            ]
            if bad("schema_moved"):
                errors.append("missing:$.jurisdiction")
            note.say(validation_errors=errors)
            note.measure({"validate.checked": ",".join(f"$.{name}" for name in checked)})
        return values, errors

    def normalised(self, values: dict[str, str | None]) -> dict[str, str | None]:
        """Thousands without their commas."""
        with self.book.step("custom", "normalise") as note:
            decimal = self.bad("comma_as_decimal")
            out = {
                name: (value.split(",")[0] if decimal else value.replace(",", "")) if value else None
                for name, value in values.items()
            }
            note.tell({"fields": len(out), "empty": sum(value is None for value in out.values())})
        return out

    def judged(self, values: dict[str, str | None], fields: list[str]) -> dict[str, str | None]:
        """Evidence of each field, and a person for the thin ones."""
        book, thin = self.book, []
        for name in fields:
            ref, score = self.refs[name]
            value = values.get(name)
            if value is None and name == "auto_renewal":
                continue
            if self.bad("evidence_of_other_field") and name == "liability_cap":
                ref, score = "", 0.0
            weighed = round(score * self.random.uniform(0.93, 1.0), 3)
            book.evidence(f"$.{name}", refs=[ref] if ref and value else [], score=weighed if ref and value else None)
            if value is None or not ref or weighed < 0.4:
                thin.append(name)
        if thin:
            book.fallback("human_review", "thin evidence")
        return self.reviewed(values, thin)

    def reviewed(self, values: dict[str, str | None], thin: list[str]) -> dict[str, str | None]:
        """The person's word on them, who has the contract at hand."""
        book, corrected = self.book, dict(values)
        for name, written in self.contract.truth.items():
            true = written.replace(",", "")
            if values.get(name) != true:
                book.review("overridden", field=f"$.{name}", reviewer="reviewer:legal", override=true)
                corrected[name] = true
            elif name in thin:
                book.review("approved", field=f"$.{name}", reviewer="reviewer:legal")
        if self.bad("correction_lost"):
            book.review("overridden", field="$.notice_days", reviewer="reviewer:legal", override="28")
        if corrected == values and not thin and self.random.random() < 0.15:
            book.review("approved", reviewer="reviewer:legal", note="sample")
        return corrected

    def deliver(self, values: dict[str, str | None], fields: list[str]) -> None:
        """Into the contract register."""
        bad, book = self.bad, self.book
        payload = json.dumps(values)
        try:
            with book.step("tool", "register", input_ref=payload) as note:
                if bad("register_rejects"):
                    raise ToolFailed  # noqa: TRY301 - the register
                note.say(raw_output_ref='{"stored": true}')
                if bad("register_error_swallowed"):
                    note.say(raw_output_ref='{"error": "tenant unknown"}')
        except ToolFailed:
            book.finish("failed", answer=payload, error="ToolFailed")
            return
        with book.step("output", "record", raw_output_ref=payload, schema_version="clauses-7"):
            pass
        words = (
            {"complaint": "register has another value"} if bad("correction_lost", "register_error_swallowed") else {}
        )
        book.finish("answered", answer=payload, words=words | {"fields": len(fields)})
