"""The digest desk: long minutes become a page with citations, by map and reduce."""

import json
import re
from dataclasses import dataclass, field
from functools import partial
from random import Random

from benchmarks.zoo.sealed.book import Bad, Book
from benchmarks.zoo.sealed.model import REFUSAL, Ask, Model
from benchmarks.zoo.sealed.text import pause, rank
from benchmarks.zoo.sealed.troubles import ContextTooLong, Overloaded, ToolFailed

TOPICS = ("dividend", "acquisition", "plant", "pension fund", "audit", "licence", "lease", "litigation")
CHATTER = (
    "The chair welcomed the members and thanked them for coming at short notice.",
    "Members discussed the weather in the region and its effect on attendance.",
    "The secretary noted that the papers had been sent in time.",
    "A member asked about coffee; the matter was deferred to the next meeting.",
    "It was remarked that the building works next door continue.",
)
MARK = re.compile(r"RESOLVED on the ([a-z ]+): (.+?)\. \[p(\d+)\]")


@dataclass(frozen=True, slots=True)
class Minutes:
    """A document: pages of text, and what was resolved on which page."""

    pages: tuple[str, ...]
    resolved: dict[str, tuple[str, int]]
    language: str


def make(random: Random, *, long: bool = False) -> Minutes:
    """Minutes of 3 to 14 pages."""
    count = random.choice((8, 10, 12, 14) if long else (3, 8, 10, 12, 14))
    topics = random.sample(TOPICS, 3 if count == 3 else 5)
    places = sorted(random.sample(range(1, count + 1), len(topics)))
    resolved, pages = {}, []
    for page in range(1, count + 1):
        lines = [random.choice(CHATTER) for _ in range(6)]
        if page in places:
            topic = topics[places.index(page)]
            amount = f"{random.randint(11, 99)}.{random.randint(1, 9)} million CHF"
            resolved[topic] = (amount, page)
            lines.insert(random.randrange(6), f"RESOLVED on the {topic}: {amount} approved.")
        pages.append(" ".join(lines))
    return Minutes(tuple(pages), resolved, random.choice(("en", "en", "de")))


def extract(prompt: str) -> str:
    """Resolutions of a chunk, one a line, with the page that they stand on."""
    lines = []
    for page, text in re.findall(r"<page (\d+)>(.*?)</page>", prompt, re.DOTALL):
        lines += [
            f"RESOLVED on the {t}: {what}. [p{page}]"
            for t, what in re.findall(r"RESOLVED on the ([a-z ]+): (.*? approved)", text)
        ]
    return "\n".join(lines) or "nothing resolved"


def reduce(prompt: str) -> str:
    """A digest of the notes."""
    notes = list(dict.fromkeys(MARK.findall(prompt)))
    return (
        "# Digest\n"
        + "\n".join(f"- {t.capitalize()}: {what}. [p{page}]" for t, what, page in notes)
        + f"\n({len(notes)} resolutions)"
    )


@dataclass(slots=True)
class Digest:
    """One run's work."""

    minutes: Minutes
    bad: Bad
    random: Random
    book: Book = field(init=False)
    small: Model = field(init=False)
    large: Model = field(init=False)

    def __post_init__(self) -> None:
        bad = self.bad
        self.small = Model(
            random=self.random,
            name="haiku-4",
            provider="anthropic",
            price=0.8,
            hitch=0.02,
            slowness=0.1,
            fingerprint="2026-11-20" if bad("model_snapshot_moved") else "2026-06-01",
        )
        self.large = Model(
            random=self.random, name="sonnet-5", provider="anthropic", fingerprint="2026-05-14", price=3.0
        )
        if bad("reduce_overloaded"):
            self.large.broken = {"reduce": Overloaded()}
        if bad("window_exceeded"):
            self.small.window = 60
        if bad("slow_provider"):
            self.small.slowness = 4.0
        if bad("price_of_large_model"):
            self.small.price = 24.0

    def run(self, book: Book) -> None:
        """The whole of it."""
        self.book = book
        with book.step("input", "minutes", input_ref="\f".join(self.minutes.pages)) as note:
            note.tell({"pages": len(self.minutes.pages), "language": self.minutes.language})
        text = self.masked(self.parse())
        kind = self.kind()
        if kind == "other":
            book.fallback("safe_message", "no minutes")
            self.deliver("This is not a document that I summarise.", "stopped")
            return
        notes = self.single(text) if self.route(len(text)) == "single" else self.mapped(self.chunks(text))
        notes = self.merge(notes)
        report, fine = self.reduced(self.ranked(notes))
        self.deliver(report, "answered" if fine else "handed_over")

    def parse(self) -> dict[int, str]:
        """Text by page."""
        bad = self.bad
        pages = dict(enumerate(self.minutes.pages, 1))
        quality = 0.97 - 0.1 * self.random.random()
        facts = sorted(page for _, page in self.minutes.resolved.values())
        if bad("scanner_skips_pages"):
            pages = {page: text for page, text in pages.items() if page != facts[-1]}
        if bad("ocr_garbles"):
            pages = {page: text.replace("RESOLVED", "RES0LVE0") for page, text in pages.items()}
            quality = 0.52
        if bad("page_numbers_shifted"):
            pages = {page + 1: text for page, text in pages.items()}
        with self.book.step("parse", "pages", parser_version="ocr-7.1", input_ref="scan") as note:
            pause(0.3 * self.random.random())
            note.say(parsed_artifact_ref=json.dumps(pages))
            note.measure(
                {
                    "parse.quality": round(quality, 3),
                    "parse.pages": len(self.minutes.pages),
                    "parse.pages_read": len(pages),
                }
            )
        return pages

    def masked(self, pages: dict[int, str]) -> dict[int, str]:
        """Names are masked; amounts are the point of a digest and stay."""
        with self.book.step("mask", "names") as note:
            pattern = r"\d+\.\d million CHF" if self.bad("amounts_masked") else r"Mr [A-Z]\w+"
            hits = sum(len(re.findall(pattern, text)) for text in pages.values())
            masked = {page: re.sub(pattern, "[MASKED]", text) for page, text in pages.items()}
            note.say(parsed_artifact_ref=json.dumps(masked), raw_output_ref=str(hits))
            note.measure({"masked.MONEY" if self.bad("amounts_masked") else "masked.PERSON": hits})
        return masked

    def kind(self) -> str:
        """Minutes, or something else."""
        sure = round(self.random.uniform(0.78, 0.98), 2)
        route, release = "minutes", "2"
        if self.bad("kind_mistaken"):
            route, sure = "other", 0.44
        if self.bad("kind_release"):
            route, release = "other", "3"
        with self.book.step(
            "classify",
            "kind",
            route=route,
            route_confidence=sure,
            route_policy_version=release,
            route_reason="headings",
        ):
            return route

    def route(self, pages: int) -> str:
        """Short documents in one go."""
        way = "single" if pages <= 4 else "map-reduce"
        taken = "single" if self.bad("long_one_sent_single") else way
        with self.book.step(
            "route", "size", route=way, route_reason=f"{pages} pages", route_confidence=1.0, route_policy_version="4"
        ) as note:
            note.measure({"route.taken": taken})
        return taken

    def single(self, pages: dict[int, str]) -> list[str]:
        """One call over the first four pages, which is what the single pass is made for."""
        return self.mapped([dict(list(pages.items())[:4])])

    def chunks(self, pages: dict[int, str]) -> list[dict[int, str]]:
        """Pages by three; the chunker cuts nothing apart."""
        with self.book.step("custom", "chunk") as note:
            items = list(pages.items())
            parts = [dict(items[at : at + 3]) for at in range(0, len(items), 3)]
            if self.bad("chunker_cuts_sentences"):
                halves = [(page, text.partition(": ")) for page, text in items]
                parts = [{page: half} for page, (head, mark, tail) in halves for half in (head + mark, tail) if half]
            if self.bad("last_chunk_dropped"):
                last = max(page for _, page in self.minutes.resolved.values())
                parts = [part for part in parts if last not in part]
            note.tell(
                {"chunks": len(parts), "chunker": "sentence-2" if self.bad("chunker_cuts_sentences") else "page-3"}
            )
        return parts

    def mapped(self, parts: list[dict[int, str]]) -> list[str]:
        """Notes of every chunk."""
        bad, notes = self.bad, []
        release = "12" if bad("map_prompt_release") else "11"
        for at, part in enumerate(parts):
            text = "Write down what was resolved.\n" + "\n".join(
                f"<page {page}>{body}</page>" for page, body in part.items()
            )
            if bad("map_prompt_empty"):
                text = "Write down what was resolved.\n"
            if release == "12":
                text = text.replace("what was resolved", "the most important resolution")
            ref = self.book.keep("\n".join(part.values()))
            ask = Ask(
                step="map",
                prompt_id="digest-map",
                prompt_version=release,
                user=text,
                context=() if bad("map_prompt_empty") else (ref,),
                max_tokens=12 if bad("map_cut_short") else 500,
            )
            try:
                said = self.book.ask(self.small, ask, partial(self.note, at=at))
            except ContextTooLong:
                continue
            notes += said.text.splitlines()
        return notes

    def note(self, prompt: str, at: int) -> str:
        """What the small model makes of a chunk."""
        bad = self.bad
        if bad("map_refuses"):
            return REFUSAL
        said = extract(prompt)
        if bad("map_prompt_release"):
            return "nothing resolved" if at else said.splitlines()[0]
        if bad("model_snapshot_moved"):
            return re.sub(r"(\d+)\.(\d) million", lambda m: f"{int(m[1]) + 1} million", said)
        return said

    def merge(self, notes: list[str]) -> list[str]:
        """Doubles go."""
        with self.book.step("custom", "merge") as note:
            found = [line for line in notes if line.startswith("RESOLVED")]
            if self.bad("merge_by_amount_only"):
                found = list({line.split("million")[-1][:12]: line for line in found}.values())
            kept = list(dict.fromkeys(found))
            note.tell({"notes": len(notes), "kept": len(kept)})
        return kept

    def ranked(self, notes: list[str]) -> list[str]:
        """The most important first; a page holds eight."""
        if len(notes) < 2:
            return notes
        with self.book.step("rerank", "importance") as note:
            order = [notes[at] for _, at in rank("resolved approved million", notes)]
            kept = order[:1] if self.bad("reranker_keeps_one") else order[:8]
            note.say(context_refs=[self.book.keep(line) for line in kept])
            note.measure({"retrieve.matches": len(notes), "retrieve.shown": len(kept)})
        return kept

    def reduced(self, notes: list[str]) -> tuple[str, bool]:
        """Reduce and check, three times at most."""
        bad, book = self.bad, self.book
        passed = [] if bad("notes_not_passed") else notes
        text = "Make a digest.\n" + "\n".join(passed)
        refs = tuple(book.keep(line) for line in passed)
        with book.step(
            "prompt", "reduce prompt", prompt_id="digest-reduce", prompt_version="5", context_refs=list(refs)
        ) as note:
            note.say(raw_output_ref=text)
        slips = self.random.random() < 0.2 or bad("citations_not_validated")
        report = ""
        for attempt in range(3):
            off = (slips and attempt == 0) or bad("reducer_invents_pages")
            ask = Ask(
                step="reduce",
                prompt_id="digest-reduce",
                prompt_version="5",
                user=text,
                context=refs,
                max_tokens=14 if bad("reduce_cut_short") else 800,
            )
            try:
                report = book.ask(self.large, ask, partial(self.shaped, off=off)).text
            except Overloaded:
                book.fallback("simpler_model", "reduce overloaded")
                report = book.ask(self.small, ask, lambda prompt: "# Digest\n- See the minutes.\n(1 resolutions)").text
            if self.checked(report, notes):
                return report, self.judged(report, notes)
            book.fallback("retry", "citation wrong")
        return report, False

    def shaped(self, prompt: str, *, off: bool) -> str:
        """The large model's digest; a slip shifts a page."""
        said = reduce(prompt)
        return re.sub(r"\[p(\d+)\]", lambda m: f"[p{int(m[1]) + 40}]", said, count=1) if off else said

    def checked(self, report: str, notes: list[str]) -> bool:
        """Each citation is one of the notes'."""
        bad = self.bad
        with self.book.step("validate", "citations", schema_version="digest-3", input_ref=report) as note:
            if bad("citations_not_validated"):
                return True
            cited = re.findall(r"\[p\d+\]", report)
            errors = [
                f"citation_unknown:$.items[{at}]"
                for at, page in enumerate(cited)
                if not any(page in line for line in notes)
            ]
            if not report.endswith("resolutions)") or bad("validator_wants_old_schema"):
                errors.append("missing:$.count")
            note.say(validation_errors=errors)
            note.measure({"validate.checked": ",".join(["$.count", *(f"$.items[{at}]" for at in range(len(cited)))])})
        return not errors

    def judged(self, report: str, notes: list[str]) -> bool:
        """A judge compares digest and notes, where one is asked for."""
        if self.random.random() > 0.4 and not self.bad("judge_breaks"):
            return True
        with self.book.step("eval", "faithfulness") as note:
            if self.bad("judge_breaks"):
                note.failed("JSONDecodeError")
                self.book.evaluated("digest-faithfulness", "errored")
                return False
            score = (
                1.0 if not notes else sum(line.split(": ")[1].split(". [")[0] in report for line in notes) / len(notes)
            )
            note.tell({"faithfulness": round(score, 2)})
            self.book.evaluated("digest-faithfulness", "passed" if score > 0.7 else "failed")
        return True

    def deliver(self, report: str, state: str) -> None:
        """Evidence, archive and the secretary, who was there."""
        book, wrong = self.book, []
        for topic, (amount, page) in self.minutes.resolved.items():
            line = next((line for line in report.splitlines() if line.startswith(f"- {topic.capitalize()}:")), "")
            cited = re.findall(r"\[p(\d+)\]", line)
            book.evidence(
                f"$.{topic.replace(' ', '_')}",
                refs=[f"{book.keep(self.minutes.pages[page - 1])}#page={p}" for p in cited],
                score=round(self.random.uniform(0.72, 0.98), 2) if cited else None,
                required=bool(line),
            )
            if amount not in line or cited != [str(page)]:
                wrong.append((topic, amount, page))
        try:
            with book.step("tool", "archive", input_ref=report) as note:
                if self.bad("archive_refuses"):
                    raise ToolFailed  # noqa: TRY301 - the archive
                note.say(raw_output_ref="stored")
        except ToolFailed:
            state = "failed"
        with book.step("output", "mail", raw_output_ref=report, schema_version="digest-3"):
            pass
        for topic, amount, page in wrong:
            book.review(
                "overridden",
                field=f"$.{topic.replace(' ', '_')}",
                reviewer="reviewer:secretary",
                override=f"{amount} on page {page}",
            )
        if not wrong and self.random.random() < 0.2:
            book.review("approved", reviewer="reviewer:secretary")
        words: dict[str, object] = {"rating": 2 if wrong else self.random.choice((4, 5))}
        book.finish(state, answer=report, error="ToolFailed" if state == "failed" else None, words=words)
