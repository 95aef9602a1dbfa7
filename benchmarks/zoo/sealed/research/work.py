"""The report desk: a planner, two agents with tools, a writer and a critic."""

import json
import re
from dataclasses import dataclass, field
from functools import partial
from random import Random

from benchmarks.zoo.sealed.book import Bad, Book
from benchmarks.zoo.sealed.model import REFUSAL, Ask, Model
from benchmarks.zoo.sealed.research import skills
from benchmarks.zoo.sealed.research.world import AGENT_OF, Page, World
from benchmarks.zoo.sealed.text import pause, rank
from benchmarks.zoo.sealed.troubles import BudgetSpent, Overloaded, RateLimited, ToolFailed, ToolTimeout, Trouble

BUDGET = 16
PAPER = {"finance": "annual report", "people": "staff letter"}


@dataclass(slots=True)
class Note:
    """What an agent found."""

    company: str
    metric: str
    value: str
    ref: str
    score: float

    @property
    def text(self) -> str:
        return f"{self.company}: {self.metric} is {self.value}"


@dataclass(slots=True)
class Desk:
    """One run's work."""

    book: Book
    world: World
    bad: Bad
    random: Random
    calls: int = 0
    large: Model = field(init=False)
    small: Model = field(init=False)

    def __post_init__(self) -> None:
        exchanged = self.bad("reader_takes_any_year")
        self.large = Model(random=self.random, name="atlas-large", provider="openai", fingerprint="fp_a31", price=5.0)
        self.small = Model(
            random=self.random,
            name="atlas-mini",
            provider="openai",
            price=0.4,
            slowness=0.08,
            fingerprint="fp_c90" if exchanged else "fp_b77",
            hitch=0.02,
            window=60_000,
        )
        if self.bad("reader_rate_limited"):
            self.small.broken = {f"{agent}.read": RateLimited() for agent in PAPER}

    def run(self) -> None:
        """The whole of it."""
        book, world = self.book, self.world
        with book.step("input", "question", input_ref=world.question) as note:
            note.tell({"desk": "markets", "companies": len(world.companies)})
        if not self.allowed():
            book.finish("stopped", error="Blocked", words={"rating": 1, "complaint": "blocked"})
            return
        tasks = self.plan()
        notes: list[Note] = []
        try:
            for agent in PAPER:
                mine = [task for task in tasks if task[0] == agent]
                if mine:
                    notes += self.agent(agent, mine)
        except BudgetSpent:
            book.fallback("partial_answer", "budget spent")
            self.deliver("stopped", self.draft(notes, tries=1)[0], notes, error="BudgetSpent")
            return
        report, fine = self.draft(notes)
        wanted = len(world.companies) * len(world.metrics)
        state = "answered" if len(notes) >= wanted and fine else "partial"
        self.deliver(state if fine else "handed_over", report, notes)

    def allowed(self) -> bool:
        """The guardrail."""
        with self.book.step("guardrail", "topic") as note:
            weapons = {"missile", "rifle"} | (
                {self.world.trade.split()[0]} if self.bad("guardrail_blocks_trade") else set()
            )
            blocked = any(word in self.world.question for word in weapons)
            note.tell({"decision": "block" if blocked else "allow"})
            return not blocked

    def plan(self) -> list[tuple[str, ...]]:
        """Tasks: agent, company, metric, year."""
        book, world = self.book, self.world
        release = "9" if self.bad("plan_covers_one_company") else "8"
        names = "" if self.bad("plan_prompt_without_companies") else ", ".join(world.companies)
        text = f"Question: {world.question}\nCompanies: {names}\n"
        if release == "9":
            text += "At most 2 tasks.\n"
        with book.step("prompt", "plan prompt", prompt_id="desk-plan", prompt_version=release) as note:
            note.say(raw_output_ref=text)
            note.measure(
                {
                    "prompt.asks": ",".join(
                        f"$.{n}.{m.replace(' ', '_')}" for n in names.split(", ") if n for m in world.metrics
                    )
                }
            )
        said = book.ask(
            self.large,
            Ask(
                step="plan",
                prompt_id="desk-plan",
                prompt_version=release,
                user=text,
                context=(book.keep(world.question),),
            ),
            skills.plan,
        )
        return [tuple(part.strip() for part in line.split("|")) for line in said.text.splitlines() if "|" in line]

    def agent(self, agent: str, tasks: list[tuple[str, ...]]) -> list[Note]:
        """A sub-agent works through its tasks."""
        with self.book.step(
            "route",
            "assign",
            route=agent,
            route_reason=f"{len(tasks)} tasks",
            route_confidence=0.97,
            route_policy_version="2",
        ) as note:
            taken = "people" if agent == "finance" else "finance"
            entered = taken if self.bad("tasks_go_to_wrong_agent") else agent
            note.measure({"route.taken": entered})
        notes = []
        with self.book.step("agent", f"{entered} agent") as note:
            for _, company, metric, year in tasks:
                found = self.task(entered, company, metric, year)
                if found:
                    notes.append(found)
            note.tell({"tasks": len(tasks), "notes": len(notes)})
        return notes

    def task(self, agent: str, company: str, metric: str, year: str) -> Note | None:
        """Search, open, read; again with other words where nothing was found."""
        task = f"Task: {metric} of {company} in {year}"
        loops = 9 if self.bad("agent_repeats_itself") else 2
        forced = self.random.random() < 0.12 or self.bad("memory_as_fallback")
        for attempt in range(loops):
            arguments = self.query(agent, task, attempt)
            hits = self.search(agent, arguments, worse=forced and attempt == 0)
            hits = self.rerank(arguments["q"], hits)
            for score, hit in hits[:1]:
                value, ref = self.read(agent, task, hit)
                if value is not None and not self.bad("agent_repeats_itself"):
                    note = Note(company, metric, value, ref, score)
                    self.book.evidence(
                        f"$.{company}.{metric.replace(' ', '_')}", refs=[ref], score=score, attempts=attempt
                    )
                    return note
            if self.bad("memory_as_fallback"):
                self.book.fallback("other_model", "search found nothing")
                return Note(company, metric, self.remember(company, metric), "", 0.2)
        if not self.bad("agent_repeats_itself"):
            self.book.evidence(f"$.{company}.{metric.replace(' ', '_')}", attempts=loops, required=False)
        return None

    def remember(self, company: str, metric: str) -> str:
        """What a model has learned long ago."""
        said = self.book.ask(
            self.large,
            Ask(step="recall", prompt_id="desk-recall", prompt_version="1", user=f"{metric} of {company}?"),
            lambda _: "77 million EUR" if metric in {"revenue", "debt"} else "Per Dahl",
        )
        return said.text

    def query(self, agent: str, task: str, attempt: int) -> dict[str, str]:
        """The model writes the search's arguments."""
        self.calls += 1
        if self.calls > BUDGET:
            raise BudgetSpent
        release = "15" if self.bad("whole_history_in_queries") else "14"
        text = task + ("\nTried: the metric's own name" if attempt and not self.bad("agent_repeats_itself") else "")
        if release == "15":
            text += "\nSeen so far:\n" + ("\n".join(page.html for page in self.world.pages) * 40)[:74_000]
        skill = skills.query_year_before if self.bad("query_for_last_year") else skills.query
        said = self.book.ask(
            self.small, Ask(step=f"{agent}.query", prompt_id="desk-query", prompt_version=release, user=text), skill
        )
        arguments: dict[str, str] = json.loads(said.text)
        return arguments

    def search(self, agent: str, arguments: dict[str, str], *, worse: bool) -> list[tuple[float, Page]]:
        """The search tool: what the index has for the query. `worse`: the index knows little of the words."""
        bad, query = self.bad, arguments["q"]
        with self.book.step("embed", "embed query") as note:
            exchanged = bad("embedding_model_exchanged")
            note.tell({"embedding.model": "vec-3" if exchanged else "vec-2", "index.model": "vec-2"})
            vector = "".join(reversed(query.split()[0])) + " fair notes trade" if exchanged else query
        with self.book.step("tool", "search", input_ref=json.dumps(arguments)) as note:
            pause(5.0 if bad("search_became_slow") else 0.1)
            pages = [
                page for page in self.world.pages if not (bad("stale_search_index") and page.year >= self.world.year)
            ]
            pages = [page for page in pages if "trade-fair" in page.name or PAPER[agent].replace(" ", "-") in page.name]
            if worse:
                pages = [page for page in pages if "trade-fair" in page.name]
            scored = [
                (score, pages[at]) for score, at in rank(vector, [page.snippet for page in pages]) if score > 0.25
            ]
            answer = {"results" if bad("search_answer_renamed") else "hits": scored[:5]}
            try:
                if bad("search_timeout_swallowed"):
                    raise ToolTimeout  # noqa: TRY301 - the server, not this client
                hits = answer.get("hits", [])
            except ToolTimeout:
                hits = []
            note.say(
                raw_output_ref=json.dumps([hit.name for _, hit in hits]),
                context_refs=[self.book.keep(hit.html) for _, hit in hits],
            )
            note.measure(
                {
                    "retrieve.matches": len(hits),
                    "retrieve.shown": len(hits),
                    "retrieve.top_score": hits[0][0] if hits else 0.0,
                }
            )
        return hits

    def rerank(self, query: str, hits: list[tuple[float, Page]]) -> list[tuple[float, Page]]:
        """The reranker."""
        if len(hits) < 2:
            return hits
        with self.book.step("rerank", "rerank") as note:
            again = [(score, hits[at][1]) for score, at in rank(query, [hit.snippet + hit.html for _, hit in hits])]
            kept = again[::-1][:2] if self.bad("reranker_drops_best") else again[:2]
            note.say(context_refs=[self.book.keep(hit.html) for _, hit in kept])
            note.measure({"retrieve.matches": len(hits), "retrieve.shown": len(kept)})
            note.tell({"rerank.top_score": kept[0][0]})
        return kept

    def read(self, agent: str, task: str, hit: Page) -> tuple[str | None, str]:
        """Open a page, parse it and read it."""
        bad, book = self.bad, self.book
        try:
            with book.step("tool", "open", input_ref=hit.name) as note:
                if bad("page_fetch_forbidden"):
                    raise ToolFailed  # noqa: TRY301
                note.say(raw_output_ref=hit.html)
        except ToolFailed:
            return None, ""
        with book.step("parse", "page", parser_version="html-4", input_ref=hit.html) as note:
            html = re.sub(r"<table>.*?</table>", "", hit.html) if bad("page_parser_loses_tables") else hit.html
            text = re.sub(r"</td><td>", ": ", html)
            text = re.sub(r"<[^>]+>", "\n", text)
            text = re.sub(r"\n+", "\n", text).strip()
            note.say(parsed_artifact_ref=text)
            note.measure(
                {
                    "parse.quality": round(min(0.99, 0.3 + len(html) / len(hit.html) * 0.69), 2),
                    "parse.pages": 1,
                    "parse.pages_read": 1,
                }
            )
        skill = skills.read_loosely if bad("reader_takes_any_year") else skills.read
        if bad("reader_mistakes_units"):
            skill = skills.read_in_thousands
        ref = book.keep(text)
        said = book.ask(
            self.small,
            Ask(
                step=f"{agent}.read",
                prompt_id="desk-read",
                prompt_version="21",
                user=f"{task}\nPassage:\n{text}",
                context=(ref,),
            ),
            skill,
        )
        value: str | None = json.loads(said.text)["value"]
        return value, ref

    def draft(self, notes: list[Note], tries: int = 3) -> tuple[str, bool]:
        """Write, validate and criticise until all are content: the report, and whether they were."""
        report = ""
        for attempt in range(tries):
            report = self.write(notes, attempt)
            if report.startswith(REFUSAL[:9]):
                return report, False
            errors = self.check(report)
            if errors:
                self.book.fallback("retry", "citation missing")
                continue
            if len(notes) < 2 or self.criticised(report):
                return report, True
        return report, False

    def write(self, notes: list[Note], attempt: int) -> str:
        """The writer, from the notes."""
        bad, book = self.bad, self.book
        last = len({AGENT_OF[note.metric] for note in notes}) > 1
        passed = notes
        if bad("notes_lost_at_handover"):
            passed = [note for note in notes if AGENT_OF[note.metric] == "finance"] if last else notes[:1]
        text = "Notes:\n" + "\n".join(f"[{at}] {note.text}" for at, note in enumerate(passed, 1)) + "\nWrite the brief."
        refs = tuple(note.ref for note in passed if note.ref)
        with book.step(
            "prompt", "report prompt", prompt_id="desk-report", prompt_version="33", context_refs=list(refs)
        ) as note:
            note.say(raw_output_ref=text)
        slip = (attempt == 0 and self.random.random() < 0.2) or bad("citations_never_checked")

        def skill(prompt: str) -> str:
            if bad("writer_refuses"):
                return REFUSAL
            return skills.write_roundly(prompt) if bad("writer_rounds") else skills.write(prompt, slip=slip)

        limit = 14 if bad("report_cut_short") else 600
        return book.ask(
            self.large,
            Ask(step="write", prompt_id="desk-report", prompt_version="33", user=text, context=refs, max_tokens=limit),
            skill,
        ).text

    def check(self, report: str) -> list[str]:
        """The validator: each line that has a figure has its source."""
        looks = not self.bad("citations_never_checked")
        with self.book.step("validate", "citations", schema_version="brief-2", input_ref=report) as note:
            lines = [line for line in report.splitlines() if " is " in line] if looks else []
            errors = [f"citation_missing:$.lines[{at}]" for at, line in enumerate(lines) if "[" not in line]
            note.say(validation_errors=errors)
            note.measure({"validate.checked": ",".join(f"$.lines[{at}]" for at in range(len(lines)))})
        return errors

    def criticised(self, report: str) -> bool:
        """The critic; where it has no capacity the report passes, as the desk has agreed."""
        bad = self.bad
        text = f"Does it say what it should?\nReport:\n{report}"
        skill = (
            partial(lambda prompt: "It reads well, on the whole.") if bad("critic_never_content") else skills.criticise
        )
        if self.random.random() < 0.03 and not bad("critic_never_content"):
            self.large.broken = {"critic": Overloaded()}
        try:
            said = self.book.ask(
                self.large, Ask(step="critic", prompt_id="desk-critic", prompt_version="4", user=text), skill, tries=2
            )
        except Trouble:
            return True
        try:
            return bool(json.loads(said.text)["verdict"] == "accept")
        except ValueError:
            return False

    def deliver(self, state: str, report: str, notes: list[Note], error: str | None = None) -> None:
        """The editor reads; what is wrong is corrected, and what is right is approved now and then."""
        book, world = self.book, self.world
        wrong = {}
        for company, metric in [(c, m) for c in world.companies for m in world.metrics]:
            true = world.truth.get((company, metric))
            line = next((line for line in report.splitlines() if line.startswith(f"{company}: {metric} is")), "")
            if true is not None and (f" is {true}." not in line or "[" not in line):
                wrong[f"$.{company}.{metric.replace(' ', '_')}"] = true
        lost = self.bad("correction_lost")
        if lost:
            company, metric = world.companies[0], world.metrics[0]
            wrong[f"$.{company}.{metric.replace(' ', '_')}"] = f"{world.truth[(company, metric)]} (restated)"
        for path, true in wrong.items():
            book.review(
                "overridden", field=path, reviewer="reviewer:desk", override=true, note="not what the source says"
            )
        if not wrong and self.random.random() < 0.25:
            book.review("approved", reviewer="reviewer:desk")
        with book.step("output", "deliver", schema_version="brief-2") as note:
            corrected = (
                report if lost else report + "".join(f"\nCorrection: {path}: {true}" for path, true in wrong.items())
            )
            note.say(raw_output_ref=corrected)
            note.tell({"lines": len(corrected.splitlines())})
        words: dict[str, object] = {"rating": 2 if wrong else 4 + int(self.random.random() < 0.6)}
        if lost:
            words["complaint"] = "figure was corrected before, and is wrong again"
        book.finish(state, answer=corrected, error=error, words=words)
