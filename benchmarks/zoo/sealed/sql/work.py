"""The question desk: a question becomes SQL, SQL becomes a number, a number becomes a sentence."""

import json
import re
import sqlite3
from dataclasses import dataclass, field
from functools import partial
from random import Random

from benchmarks.zoo.sealed.book import Bad, Book
from benchmarks.zoo.sealed.model import REFUSAL, Ask, Model
from benchmarks.zoo.sealed.sql.world import CARDS, METRICS, MONTHS, Asked, statement, truth, written
from benchmarks.zoo.sealed.text import pause, rank
from benchmarks.zoo.sealed.troubles import Blocked, Malformed, Overloaded, ToolFailed, ToolTimeout

CONFIDENCE = {"amount": 0.88, "count": 0.93, "ratio": 0.86}
KIND = {"sales": "amount", "net sales": "amount", "orders": "count", "refunds": "count", "average order": "ratio"}
AS_IF = {"amount": "sales", "count": "orders", "ratio": "average order"}


def write_sql(prompt: str, *, forget: bool, fan: bool, slip: bool) -> str:
    """SQL for the question, from the cards and the definition that the prompt brings."""
    if "An earlier statement failed: no such column" in prompt:
        slip = False
    defined = re.search(r"^metric ([a-z ]+): (.*)$", prompt, re.MULTILINE)
    kind = re.search(r"^Kind: (\w+)", prompt, re.MULTILINE)
    metric = defined[1] if defined else "orders"
    if kind and KIND[metric] != kind[1]:
        metric = AS_IF[kind[1]]
    if defined and "less refunds" in defined[2] and KIND[metric] != "count":
        metric = "net sales"
    asked = re.search(r"for region (\S+)", prompt)
    region = asked[1].strip("?") if asked else None
    month = re.search(r"in (\d{4}-\d{2})\?", prompt)
    today = re.search(r"^Today: (\d{4})-(\d{2})", prompt, re.MULTILINE)
    when = month[1] if month else (f"{today[1]}-{int(today[2]) - 1:02d}" if today else MONTHS[0])
    column = re.search(r"table orders \(.*, (\w+)\)", prompt)
    sql = statement(metric, None if forget else region, when, "total" if slip or not column else column[1], fan=fan)
    return (
        sql
        if "table customers" in prompt
        else sql.replace("c.region", "o.region").replace("JOIN customers c ON c.id = o.customer_id", "")
    )


@dataclass(slots=True)
class Question:
    """One run's work."""

    base: sqlite3.Connection
    asked: Asked
    bad: Bad
    random: Random
    book: Book = field(init=False)
    true: str = field(init=False)
    coder: Model = field(init=False)
    talker: Model = field(init=False)

    def __post_init__(self) -> None:
        self.true = truth(self.base, self.asked)
        self.coder = Model(
            random=self.random,
            name="sage-coder",
            provider="mistral",
            price=3.0,
            window=90_000,
            fingerprint="fp_52" if self.bad("fan_out_join") else "fp_47",
            policy="pinned",
        )
        self.talker = Model(random=self.random, name="sage-mini", provider="mistral", fingerprint="fp_m8", price=0.3)
        if self.bad("provider_down"):
            self.coder.broken = {"write sql": Overloaded()}

    def run(self, book: Book) -> None:
        """The whole of it."""
        self.book = book
        with book.step("input", "question", input_ref=self.asked.text) as note:
            note.tell({"channel": self.random.choice(("chat", "sheet", "api"))})
        cached = self.cached()
        if cached is not None:
            self.deliver(cached)
            return
        question = self.mask(f"{self.asked.text} (asked by {self.asked.asker})")
        kind = self.classify()
        sql = self.prepare(question, kind)
        if sql is None:
            book.fallback("safe_message", "no statement")
            self.deliver("I could not answer that.", "partial")
            return
        value = self.query(sql)
        if self.presented():
            self.deliver("chart: no series")
            return
        self.deliver(self.say(value))

    def cached(self) -> str | None:
        """What was answered to the same question before."""
        with self.book.step("custom", "cache") as note:
            lucky = self.random.random() < 0.07 and not self.bad.name
            hit = lucky or self.bad("cache_key_too_short")
            note.tell({"cache": "hit" if hit else "miss"})
        if not hit:
            return None
        asked = self.asked
        if self.bad("cache_key_too_short"):
            other = next(r for r in ("north", "south") if r != asked.region)
            asked = Asked(asked.metric, other, asked.month, asked.relative, asked.asker)
        return f"{self.asked.metric} for {self.asked.region}: {truth(self.base, asked)}"

    def mask(self, text: str) -> str:
        """Persons are taken out."""
        pattern = r"analyst \d+" + (r"|(?<=region )\w+" if self.bad("region_masked") else "")
        with self.book.step("mask", "names", input_ref=text) as note:
            kinds = [("LOCATION" if "analyst" not in hit else "PERSON") for hit in re.findall(pattern, text)]
            masked = re.sub(pattern, lambda hit: "[PERSON]" if "analyst" in hit[0] else "[LOCATION]", text)
            note.say(parsed_artifact_ref=masked, raw_output_ref=json.dumps(kinds))
            note.measure({f"masked.{kind}": kinds.count(kind) for kind in sorted(set(kinds))})
        return masked

    def classify(self) -> str:
        """Amount, count or ratio."""
        kind, sure = KIND[self.asked.metric], 0.0
        sure = round(CONFIDENCE[kind] + self.random.uniform(-0.12, 0.06), 3)
        release = "5"
        if self.bad("question_classified_wrong"):
            kind, sure = ("amount" if kind == "count" else "count"), 0.41
        if self.bad("classifier_release"):
            release, kind = "6", {"amount": "ratio", "ratio": "amount", "count": "amount"}[kind]
        with self.book.step(
            "classify", "kind", route=kind, route_confidence=sure, route_policy_version=release
        ) as note:
            note.say(route_reason="words of the question")
        return kind

    def cards(self, question: str) -> list[str]:
        """Cards of tables that may matter."""
        book, bad = self.book, self.bad
        with book.step("retrieve", "schema cards") as note:
            query = f"{question} customers region orders amount refunds number of orders"
            cards = list(CARDS.values())
            if bad("stale_cards"):
                cards = [card.replace("amount_cents", "amount") for card in cards]
            found = [(score, cards[at]) for score, at in rank(query, cards) if score > 0.05]
            shown = found[:1] if bad("card_not_retrieved") else found[:4]
            texts = [card for _, card in shown]
            if bad("all_cards_shown"):
                texts += [f"{card} sample {at}: {'1, 2, 3; ' * 30}" for card in cards for at in range(8)]
            note.say(context_refs=[book.keep(card) for card in texts], input_ref=question)
            note.measure(
                {"retrieve.matches": len(found), "retrieve.shown": len(texts), "retrieve.top_score": found[0][0]}
            )
        return texts

    def defined(self) -> str:
        """The glossary's definition."""
        with self.book.step("retrieve", "glossary") as note:
            metric = METRICS[self.asked.metric]
            if self.bad("metric_of_old_glossary"):
                metric = re.sub(r": .*", ": amount of orders less refunds in euros", metric)
                note.tell({"glossary.release": "2026.11"})
            else:
                note.tell({"glossary.release": "2026.10"})
            note.say(context_refs=[self.book.keep(metric)])
            note.measure({"retrieve.matches": 1, "retrieve.shown": 1, "retrieve.top_score": 0.97})
        return metric

    def prepare(self, question: str, kind: str) -> str | None:
        """A statement that the warehouse takes, or none."""
        book, bad = self.book, self.bad
        cards, metric = self.cards(question), self.defined()
        today = "" if bad("today_missing_in_prompt") else "2026-11-12"
        text = "\n".join([*cards, metric, f"Kind: {kind}", f"Today: {today}", question])
        refs = tuple(book.keep(part) for part in (*cards, metric))
        with book.step(
            "prompt", "sql prompt", prompt_id="desk-sql", prompt_version="19", context_refs=list(refs)
        ) as note:
            note.say(raw_output_ref=text)
            note.measure({"prompt.asks": "$.value"})
        slip = self.random.random() < 0.15 or bad("statement_not_validated", "repair_without_error")
        for attempt in range(3):
            sql = self.written(text, refs, attempt, slip=slip)
            error = "refused" if sql == REFUSAL else self.error(sql)
            if error is None:
                return sql
            if attempt < 2:
                book.fallback("retry", "statement does not run")
                with book.step("prompt", "repair prompt", prompt_id="desk-repair", prompt_version="3") as note:
                    text += "\nTry again." if bad("repair_without_error") else f"\nAn earlier statement failed: {error}"
                    note.say(raw_output_ref=text)
        return None

    def written(self, text: str, refs: tuple[str, ...], attempt: int, *, slip: bool) -> str:
        """The coder's statement."""
        bad = self.bad

        def skill(prompt: str) -> str:
            if bad("sql_refused"):
                return REFUSAL
            return write_sql(prompt, forget=bad("region_forgotten"), fan=bad("fan_out_join"), slip=slip)

        ask = Ask(
            step="write sql",
            prompt_id="desk-repair" if attempt else "desk-sql",
            prompt_version="3" if attempt else "19",
            user=text,
            context=refs,
            max_tokens=20 if bad("sql_cut_short") else 400,
        )
        return self.book.ask(self.coder, ask, skill).text

    def error(self, sql: str) -> str | None:
        """Why a statement may not or cannot run."""
        bad = self.bad
        with self.book.step("guardrail", "read only", input_ref=sql) as note:
            blocked = not sql.startswith("SELECT") or bad("guard_blocks_column")
            note.tell({"decision": "block" if blocked else "allow"})
        if blocked:
            raise Blocked
        with self.book.step("validate", "explain", schema_version="shop-12", input_ref=sql) as note:
            if bad("statement_not_validated"):
                return None
            note.measure({"validate.checked": "$.sql"})
            try:
                self.base.execute(f"EXPLAIN {sql}")
            except sqlite3.Error as error:
                note.say(validation_errors=["unknown_column:$.sql" if "column" in str(error) else "syntax:$.sql"])
                return str(error)
            note.say(validation_errors=[])
        return None

    def query(self, sql: str) -> float | None:
        """The tool: runs a statement."""
        bad, base = self.bad, self.base
        with self.book.step("tool", "run sql", input_ref=sql) as note:
            pause(6.0 if bad("slow_warehouse") else 0.1 + 0.2 * self.random.random())
            if bad("warehouse_forbids"):
                raise ToolFailed
            if bad("rows_limited_before_sum"):
                base.execute("DELETE FROM orders WHERE id >= 100")
            if bad("stale_replica"):
                base.execute("DELETE FROM orders WHERE id % 2 OR ordered_on LIKE '%-2%'")
            try:
                if bad("warehouse_timeout_swallowed"):
                    raise ToolTimeout  # noqa: TRY301 - the warehouse, not this client
                cursor = base.cursor()
                cursor.execute(sql)
                rows = cursor.fetchall()
            except ToolTimeout:
                rows = []
            except sqlite3.Error as error:
                raise ToolFailed from error
            note.say(raw_output_ref=json.dumps(rows))
            note.tell({"rows": len(rows)})
        return rows[0][0] if rows else None

    def presented(self) -> bool:
        """Whether a chart was drawn instead."""
        with self.book.step(
            "route",
            "presentation",
            route="sentence",
            route_reason="one value",
            route_confidence=0.99,
            route_policy_version="1",
        ) as note:
            chart = self.bad("wrong_branch")
            note.measure({"route.taken": "chart" if chart else "sentence"})
        if chart:
            with self.book.step("custom", "draw chart") as note:
                note.tell({"series": 0})
        return chart

    def say(self, value: float | None) -> str:
        """A sentence about the value, checked against it."""
        bad, book = self.bad, self.book
        result = "" if bad("result_not_passed_on") else f"Result: {written(value)}"
        text = f"Metric: {self.asked.metric}, region {self.asked.region}\n{result}"
        ref = book.keep(json.dumps([value]))
        slips = self.random.random() < 0.1 or bad("answer_misquotes", "number_never_checked")
        answer = ""
        with book.step("prompt", "answer prompt", prompt_id="desk-answer", prompt_version="6") as note:
            note.say(raw_output_ref=text, context_refs=[ref] if result else [])
        for attempt in range(3):
            off = slips and (attempt == 0 or bad("answer_misquotes"))
            answer = book.ask(
                self.talker,
                Ask(
                    step="say", prompt_id="desk-answer", prompt_version="6", user=text, context=(ref,) if result else ()
                ),
                partial(talk, off=off),
            ).text
            if self.checked(answer, value) or not result:
                break
            book.fallback("retry", "number differs")
        book.evidence(
            "$.value",
            refs=[ref] if value is not None and result else [],
            score=0.95 if result else None,
            required=value is not None,
        )
        return answer

    def checked(self, answer: str, value: float | None) -> bool:
        """Whether the answer has the result's number."""
        with self.book.step("validate", "number", schema_version="answer-1", input_ref=answer) as note:
            if self.bad("number_never_checked"):
                return True
            fine = written(value) in answer
            note.say(validation_errors=[] if fine else ["number_differs:$.value"])
            note.measure({"validate.checked": "$.value"})
        return fine

    def judged(self, answer: str) -> None:
        """Now and then a judge looks."""
        if self.random.random() > 0.3 and not self.bad("judge_broken"):
            return
        scale = "1 to 10" if self.bad("judge_broken") else "1 to 5"
        text = f"Question: {self.asked.text}\nAnswer: {answer}\nScale: {scale}"
        said = self.book.ask(
            self.talker,
            Ask(
                step="judge", prompt_id="desk-judge", user=text, prompt_version="8" if self.bad("judge_broken") else "7"
            ),
            lambda prompt: "4" if re.search(r": [\d.]+|no data", prompt.split("Answer:")[1]) else "1",
        )
        if not said.text.isdigit():
            raise Malformed
        share = int(said.text) / (10 if self.bad("judge_broken") else 5)
        self.book.evaluated("answer-quality", "passed" if share >= 0.6 else "failed")

    def deliver(self, answer: str, state: str = "answered") -> None:
        """Give it to the person, who knows about what to expect."""
        self.judged(answer)
        with self.book.step("output", "reply", schema_version="answer-1", raw_output_ref=answer) as note:
            note.tell({"length": len(answer)})
        right = answer.endswith(f": {self.true}")
        words: dict[str, object] = {"thumbs": "up" if right and self.random.random() < 0.3 else "none"}
        if not right:
            words = {"thumbs": "down", "complaint": "number is wrong" if state == "answered" else "no answer"}
        self.book.finish(state, answer=answer, words=words)


def talk(prompt: str, *, off: bool) -> str:
    """A sentence about the result that the prompt brings."""
    about = re.search(r"Metric: ([a-z ]+), region (\w+)", prompt)
    result = re.search(r"Result: (.+)", prompt)
    value = result[1] if result else "no data"
    if off and value != "no data":
        value = value[:-1] + str((int(value[-1]) + 3) % 10)
    return f"{about[1]} for {about[2]}: {value}" if about else value
