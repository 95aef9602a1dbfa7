"""A run of the analyst: guard, kind, recall, glossary, schema, plan, SQL, query, control, words."""

import json
import re
import sqlite3
from dataclasses import replace
from functools import cache, partial

from benchmarks.zoo.open.analyst import models
from benchmarks.zoo.open.analyst.asked import Question, draw, right_sql, understood
from benchmarks.zoo.open.analyst.knobs import Knobs
from benchmarks.zoo.open.analyst.warehouse import ALLOWED, database, measures, payroll, schema
from benchmarks.zoo.open.kit.model import Ask, Server
from benchmarks.zoo.open.kit.record import Call, Note, Recorder
from benchmarks.zoo.open.kit.text import Index, Passage, overlap, vector
from benchmarks.zoo.protocol import Surroundings

PLAN = "You plan how to answer a question from the warehouse. Use the definition of the measure. Answer in JSON."
PLANS = {"12": f"{PLAN} Mind the months that are asked for.", "13": f"{PLAN} Name the tables that you need."}
WRITE = "You write one query in SQLite's dialect for a plan. Use the tables that are shown, and nothing else."
TELL = "You tell a colleague what the rows say, in one or two sentences, with the numbers as they stand."
GONE = {"discount_amount": "rebate", "region": "area", "segment": "grp", "quantity": "qty"}


@cache
def _schema_index(version: str) -> Index:
    if version == "schema-41":
        return Index(schema())
    lines = [re.sub("|".join(GONE), lambda m: GONE[m.group()], p.text) for p in schema()]
    return Index([Passage("schema", n, line, "\n".join(lines)) for n, line in enumerate(lines, 1)])


@cache
def _glossary(name: str) -> Index:
    return Index(measures() if name == "controlling" else payroll())


class Analyst:
    """One question's way."""

    def __init__(self, rec: Recorder, knobs: Knobs, around: Surroundings) -> None:
        self.rec, self.knobs, self.random = rec, knobs, around.random
        self.asked: Question = draw(around.random, knobs.want)
        self.kind, self.text, self.sql = "", "", ""
        self.defined: list[Passage] = []
        self.tables: list[Passage] = []
        self.rows: list[list[object]] = []
        self.server = partial(Server, fingerprint=knobs.fingerprint)

    def work(self) -> None:
        if not self.allowed():
            return
        self.understand()
        self.search()
        plan = self.plan()
        if self.answer_rows(plan):
            self.tell()
        else:
            self.rec.fallback("human_review", "no result that stands")
            self.controller("")
            self.rec.finish("handed_over", "", {"kind": self.kind})

    def allowed(self) -> bool:
        """Whether somebody may ask that."""
        with self.rec.step("guardrail", "access guard") as note:
            note.reads(self.asked.text)
            hit = re.search(self.knobs.guard, f"{self.asked.before} {self.asked.text}".lower())
            note.labels({"guard.verdict": "blocked" if hit else "passed"})
            note.gives("blocked" if hit else "passed")
        if hit:
            self.rec.fallback("safe_message", "may not be asked")
            if self.random.random() < 0.4:
                self.rec.review("overridden", field="$.answer", value=right_sql(self.asked.meaning))
            self.rec.finish("stopped", "I may not answer that.", {"kind": "none"})
        return hit is None

    def understand(self) -> None:
        self.text = self.asked.text
        if self.asked.text.startswith("And "):
            with self.rec.step("custom", "recall conversation") as note:
                note.reads(self.asked.text)
                before = self.asked.before
                if self.knobs.recalled == "other":
                    before = draw(self.random, "total").text
                self.text = f"{before} {self.asked.text}"
                note.gives(before)
                note.labels({"recall.turns": 1, "recall.same_session": self.knobs.recalled == "own"})
        with self.rec.step("route", "kind of question", route_policy_version=self.knobs.rules) as note:
            note.reads(self.text)
            heard = understood(self.text).shape
            sure = 0.97 - self.random.random() * 0.2
            reason = f"words of a {heard}"
            if self.knobs.rules == "rules-8" and heard == "ranking":
                heard, sure, reason = "total", 0.5 + self.random.random() * 0.14, "asks for one figure"
            elif self.random.random() < 0.02:
                sure = 0.61
            self.kind = heard if not self.knobs.branch else self.knobs.branch
            note.say(route=heard, route_reason=reason, route_confidence=round(sure, 3))
            note.labels({"route.taken": self.kind})
            note.gives(heard)

    def search(self) -> None:
        with self.rec.step("retrieve", "glossary search") as note:
            note.reads(self.text)
            self.defined = self._found(_glossary(self.knobs.glossary), self.text, 2, note, "$.plan.definition")
        query = " ".join((self.text, *(p.text for p in self.defined)))
        with self.rec.step("retrieve", "schema search") as note:
            note.reads(query)
            index = _schema_index(self.knobs.schema_index)
            found = self._found(index, query, 10, note, "$.plan.tables", shown=self.knobs.schema_limit)
            note.labels({"index.version": self.knobs.schema_index})
        if len(found) > self.knobs.schema_limit + 2:
            with self.rec.step("rerank", "weigh tables") as note:
                asked = " ".join((self.text, *(p.text.split(" = ")[1] for p in self.defined)))
                scored = [p.scored(0.5 * p.score + 0.5 * overlap(p.text.split("(")[0], asked)) for p in found]
                found = sorted(scored, key=lambda p: -p.score)
                note.shows(found)
        self.tables = found[: self.knobs.schema_limit]

    @staticmethod
    def _found(index: Index, query: str, limit: int, note: Note, field: str, *, shown: int = 0) -> list[Passage]:
        found = index.search(query, limit, meaning=vector(query))
        best = {"retrieve.top_score": found[0].score} if found else {}
        taken = found[: shown or limit]
        said = {"retrieve.field": field, "retrieve.matches": len(found), "retrieve.shown": len(taken), **best}
        note.labels(said)
        note.shows(taken)
        return found

    def plan(self) -> str:
        version = self.knobs.plan_prompt
        known = "\n".join(p.text for p in (*self.defined, *self.tables))
        last = f"QUESTION:\n{self.text}\nKIND:\n{self.kind}\nKNOWN:\n{known}\n"
        with self.rec.step("agent", "planner") as note:
            note.reads(self.text)
            with self.rec.step("prompt", "plan prompt", prompt_id="plan", prompt_version=version) as prompt:
                prompt.shows([*self.defined, *self.tables])
                prompt.labels({"prompt.asks": "$.measure,$.definition,$.dimension,$.months,$.tables"})
                prompt.gives(PLANS[version] + last)
            call = Call(name="make plan", prompt_id="plan", prompt_version=version, provider="perch")
            ask = Ask(model="sparrow-2", system=PLANS[version], turns=(("user", last),), max_tokens=500)
            reply = self.rec.model(call, ask, self.server(models.planner), [*self.defined, *self.tables])
            plan = reply.text
            with self.rec.step("validate", "check plan", schema_version="plan-3") as check:
                check.reads(plan)
                missing = [f"missing:$.{k}" for k in ("measure", "shape") if not json.loads(plan)[k]]
                check.say(validation_errors=missing)
                check.labels({"validate.checked": "$.measure,$.shape,$.months"})
            note.gives(plan)
        self.rec.evidence("$.definition", self.defined[:1], self.defined[0].score if self.defined else None)
        return plan

    def answer_rows(self, plan: str) -> bool:
        """Whether there is a result that stands, after three tries at most."""
        error = ""
        for attempt in range(3):
            if attempt:
                self.rec.fallback("retry", error)
            self.sql = self.write(plan, error, attempt)
            error = self.check() or self.query(attempt) or self.control()
            if not error:
                return True
        return False

    def write(self, plan: str, error: str, attempt: int) -> str:
        known = "\n".join(p.text for p in self.tables)
        last = f"PLAN:\n{plan}\nTABLES:\n{known}\n" + (f"ERROR:\n{error}\n" if error else "")
        call = Call(name="write sql", prompt_id="sql", prompt_version="21", provider="perch", retry=attempt)
        most = self.knobs.sql_tokens
        ask = Ask(model=self.knobs.sql_model, system=WRITE, turns=(("user", last),), max_tokens=most, seed=7)
        brain = models.writer(self.random, slip=self.knobs.slip, forget=self.knobs.forget)
        reply = self.rec.model(call, ask, self.server(brain), self.tables)
        return reply.text.replace("```sql\n", "").replace("```", "").strip()

    def check(self) -> str:
        errors: list[str] = []
        with self.rec.step("validate", "check sql", schema_version="sqlite-readonly-2") as note:
            note.reads(self.sql)
            if self.knobs.check:
                try:
                    database().execute(f"EXPLAIN {self.sql}").close()
                except sqlite3.Error as error:
                    code = "unknown_column" if "column" in str(error) else "syntax"
                    errors.append(f"{code}:$.sql")
                tables = re.findall(r"(?:FROM|JOIN) (\w+)", self.sql)
                errors += [f"table_not_allowed:$.sql.tables[{n}]" for n, t in enumerate(tables) if t not in ALLOWED]
                note.labels({"validate.checked": "$.sql,$.sql.tables"})
            note.say(validation_errors=errors)
        return ", ".join(errors)

    def query(self, attempt: int) -> str:
        with self.rec.step("tool", "run sql") as note:
            note.reads(self.sql)
            note.say(retry_count=attempt)
            if not attempt and self.random.random() < 0.03:
                note.say(retry_count=1)  # it was locked for a moment
            base, budget = database(self.knobs.replica), [self.knobs.patience]

            def tick() -> int:
                budget[0] -= 1
                return int(budget[0] < 0)

            base.set_progress_handler(tick, 1000)
            try:
                self.rows = [list(row) for row in base.execute(self.sql).fetchmany(self.knobs.fetch)]
            except sqlite3.Error as error:
                note.failed(error)
                return f"{type(error).__name__}"
            finally:
                base.set_progress_handler(None, 0)
            note.labels({"sql.rows": len(self.rows)})
            note.gives(json.dumps(self.rows))
        return ""

    def control(self) -> str:
        """The sum over all groups must be what one query for all finds: counts and sums add up, averages need not."""
        errors: list[str] = []
        with self.rec.step("validate", "check result", schema_version="control-4") as note:
            note.reads(json.dumps(self.rows))
            bare = re.sub(r"SELECT .+? AS bucket, ", "SELECT ", self.sql)
            bare = re.sub(r" GROUP BY.*", "", bare)
            if self.knobs.control != BEGIN:
                bare = re.sub(r"BETWEEN '[\d-]+'", f"BETWEEN '{self.knobs.control}'", bare)
            whole = (database().execute(bare).fetchone() or [None])[0] or 0
            mine = sum(float(str(row[-1] or 0)) for row in self.rows)
            adds = "avg(" not in self.sql or (len(self.rows) == 1 and "bucket" not in self.sql)
            if adds and abs(mine - whole) > 0.01 * max(1.0, abs(whole)):
                errors.append("sum_differs:$.rows")
            note.say(validation_errors=errors)
            note.labels({"validate.checked": "$.rows"})
        return ", ".join(errors)

    def tell(self) -> None:
        shown = self.rows[: self.knobs.answer_rows]
        last = f"QUESTION:\n{self.text}\nKIND:\n{self.kind}\nROWS:\n{json.dumps(shown)}\n"
        result = Passage("result", 1, json.dumps(self.rows), json.dumps(self.rows))
        version = self.knobs.answer_prompt
        with self.rec.step("prompt", "answer prompt", prompt_id="answer", prompt_version=version) as note:
            note.shows([result])
            note.labels({"prompt.asks": "$.answer", "prompt.rows": len(shown)})
            note.gives(TELL + last)
        call = Call(name="tell answer", prompt_id="answer", prompt_version=version, provider="perch")
        ask = Ask(model="sparrow-2", system=TELL, turns=(("user", last),), temperature=0.2, max_tokens=700)
        brain = partial(models.teller, thousands=self.knobs.thousands)
        text = self.rec.model(call, ask, self.server(brain), [result]).text
        if self.kind in ("ranking", "trend") and len(self.rows) > 2:
            with self.rec.step("tool", "draw chart") as note:
                note.reads(json.dumps(self.rows))
                note.gives(json.dumps({"mark": "line" if self.kind == "trend" else "bar", "points": len(self.rows)}))
        numbers = [str(row[-1] or 0) for row in self.rows]
        told = re.findall(r"\d+\.\d+|(?<![\d-])\d+(?![\d%-])", re.sub(r"\d{4}-\d\d", "", text))
        backed = sum(n in numbers or str(float(n)) in numbers for n in told) / max(1, len(told))
        covered = sum(n in text for n in numbers) / max(1, len(numbers))
        score = round(min(backed, covered), 3) if numbers and told else None
        self.rec.evidence("$.answer", [result.scored(score or 0.0)], score if score is not None else 0.9)
        right = self.controller(text)
        if self.random.random() < 0.2:
            with self.rec.step("eval", "answer agreed with control") as note:
                note.say(confidence=1.0)
                note.labels({"score": float(right)})
        self.rec.finish("answered", text, {"kind": self.kind, "rows": str(len(self.rows))})

    def controller(self, text: str) -> bool:
        """A person of the controllers looks at some answers, and at those that were not given."""
        truth = [list(row) for row in database().execute(right_sql(self.asked.meaning)).fetchall()]
        brain = replace(Ask(model="", system="", turns=(("user", ""),)), turns=(("user", self._rows_of(truth)),))
        right = text == models.teller(brain).text
        if not text:
            self.rec.review("overridden", field="$.answer", value=models.teller(brain).text, note="done by hand")
        elif self.random.random() < 0.5:
            if right and self.random.random() < 0.02:
                self.rec.review("escalated", field="$.answer", note="wants it by week as well")
            elif right:
                self.rec.review("approved", field="$.answer")
            else:
                self.rec.review("overridden", field="$.answer", value=models.teller(brain).text, note="not our figure")
        return right

    def _rows_of(self, rows: list[list[object]]) -> str:
        return f"KIND:\n{self.asked.meaning.shape}\nROWS:\n{json.dumps(rows)}\n"


BEGIN = Knobs().control
