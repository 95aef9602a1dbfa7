"""A delivery's way: read the feed, and of each article near ones, kind, fields, units, rules, gate, shop."""

import json
import re
from typing import Any

from benchmarks.zoo.open.catalogue import models
from benchmarks.zoo.open.catalogue.goods import FACTORS, KINDS, RANGES, Article, valid_gtin
from benchmarks.zoo.open.catalogue.knobs import Knobs
from benchmarks.zoo.open.catalogue.shop import (
    FeedUnreadable,
    ShopConflict,
    ShopTimeout,
    shop_titles,
    vectors_of,
    wanted,
)
from benchmarks.zoo.open.kit.model import Ask, Server
from benchmarks.zoo.open.kit.record import Call, Recorder
from benchmarks.zoo.open.kit.text import Passage
from benchmarks.zoo.protocol import Surroundings

ASK = "You read one field of an article from its description."
PROMPTS = {
    "21": f"{ASK} Answer in JSON with value, unit as it stands there, and quote.",
    "22": f"{ASK} Answer in short JSON with value and quote.",
}
MARGIN = 1.05


class Enrichment:
    """One delivery."""

    def __init__(self, rec: Recorder, knobs: Knobs, around: Surroundings) -> None:
        self.rec, self.knobs, self.random = rec, knobs, around.random
        self.feed = wanted(around.random, knobs)
        self.truth = {a.gtin: a for a in self.feed.articles}
        self.rows: list[Passage] = []
        self.ends: dict[str, int] = {"published": 0, "held": 0, "merged": 0, "kept_back": 0}

    def work(self) -> None:
        rows = self.read()
        for n, row in enumerate(rows):
            with self.rec.step("custom", "article") as note:
                note.reads(json.dumps(row))
                end = self.enrich(n, row)
                note.gives(end)
                note.labels({"article.end": end})
            self.ends[end] += 1
        lost = self.ends["kept_back"] > 0
        if lost:
            self.rec.fallback("partial_answer", "articles are kept back")
        ends = {name: str(count) for name, count in self.ends.items()}
        self.rec.finish("partial" if lost else "answered", json.dumps(self.ends), ends)

    def read(self) -> list[dict[str, str]]:
        with self.rec.step("parse", "read feed", parser_version="feed-5") as note:
            text = self.feed.raw.decode(self.knobs.encoding)
            note.reads(text)
            rows, expected, looks = models.rows_of(text, self.knobs.delimiter, stops_at_gap=self.knobs.stops_at_gap)
            note.labels({"parse.pages": expected, "parse.pages_read": len(rows), "parse.quality": looks})
            note.gives(json.dumps(rows))
        whole = "\n".join(r["text"] for r in rows)
        self.rows = [Passage(self.feed.supplier, n, r["text"], whole) for n, r in enumerate(rows, 1)]
        if not rows:
            self.rec.fallback("stop", "no row can be read")
            self.rec.finish("failed", "", {"supplier": self.feed.supplier})
            raise FeedUnreadable
        return rows

    def enrich(self, n: int, row: dict[str, str]) -> str:
        """How an article ends."""
        if self.same(row):
            if self.random.random() < 0.3:
                known = self.truth[row["gtin"]].known
                self.rec.review("approved" if known else "overridden", field=f"$.articles[{n}].same_as")
            return "merged"
        kind, sure = self.classify(row)
        values, quotes = self.fields(n, kind)
        self.cite(n, values, quotes)
        errors = self.rules(n, row, kind, values)
        publish = self.gate(sure, errors)
        if not publish:
            self.rec.fallback("human_review", "gate")
            if self.random.random() < 0.7:
                self.person(n, row, kind, values)
            return "held"
        end = self.put(row, values)
        if end == "published" and self.random.random() < 0.3:
            self.person(n, row, kind, values)
        return end

    def same(self, row: dict[str, str]) -> bool:
        """Whether the shop has the article already."""
        model = self.knobs.embedder
        with self.rec.step("embed", "embed title", model_name=model, model_provider="aviary") as note:
            note.reads(row["title"])
            mine = models.embed(row["title"], model)
        shop = (*shop_titles(), *(f"{a.title} (new)" for a in self.feed.articles if a.known))
        with self.rec.step("retrieve", "near articles") as note:
            note.reads(row["title"])
            listed = "\n".join(shop)
            scored = [
                Passage("shop", at, title, listed).scored(models.near(mine, theirs))
                for at, (title, theirs) in enumerate(vectors_of(shop), 1)
            ]
            found = sorted(scored, key=lambda p: -p.score)[:3]
            found = [p for p in found if p.score > 0.1]
            best = found[0].score if found else 0.0
            counts = {"retrieve.matches": len(found), "retrieve.shown": len(found)}
            note.labels({"retrieve.field": "$.same_as", "retrieve.top_score": best, **counts})
            note.shows(found)
        with self.rec.step("custom", "dedupe") as note:
            note.reads(json.dumps([p.score for p in found]))
            same = best >= self.knobs.same_from
            note.labels({"dedupe.best": best, "dedupe.same": same})
            note.gives("same" if same else "new")
        return same

    def classify(self, row: dict[str, str]) -> tuple[str, float]:
        version = self.knobs.taxonomy
        with self.rec.step("classify", "taxonomy", model_name=version, model_provider="house") as note:
            note.reads(f"{row['title']}\n{row['text']}")
            kind, sure = models.classify(row["title"], row["text"], self.random, version=version)
            note.say(route=kind, route_reason="words of title and facts", route_confidence=sure)
            note.gives(kind)
        return kind, sure

    def fields(self, n: int, kind: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Values in the shop's units, and the words that they stand in."""
        names = (*KINDS[kind][1], "colour")
        version = self.knobs.attr_prompt
        shown = self.rows[n - 1 if self.knobs.shown == "before" else n]
        with self.rec.step("prompt", "field prompt", prompt_id="field", prompt_version=version) as note:
            note.shows([shown])
            note.labels({"prompt.asks": ",".join(f"$.articles[{n}].{name}" for name in names)})
            note.gives(f"{PROMPTS[version]}\n{shown.text}")
        read = {name: self.field(n, name, shown) for name in names}
        quotes = {name: str(got["quote"]) for name, got in read.items() if got and got.get("quote")}
        values: dict[str, Any] = {}
        with self.rec.step("tool", "to our units") as note:
            note.reads(json.dumps(read))
            for name, got in read.items():
                if not got or got.get("value") is None:
                    continue
                values[name] = got["value"]
                factor = FACTORS.get(str(got.get("unit")), 1.0)
                if name != "colour":
                    factor = 1 / factor if self.knobs.factors == "inverse" else factor
                    values[name] = round(float(got["value"]) * factor, 2)
            note.gives(json.dumps(values))
        return values, quotes

    def field(self, n: int, name: str, shown: Passage) -> dict[str, Any] | None:
        """What the model reads of a field; None where none of three answers has the right form."""
        knobs = self.knobs
        brain = models.FieldReader(self.random, prose=knobs.prose, drops_commas=knobs.drops_commas)
        turns: tuple[tuple[str, str], ...] = (("user", f"FIELD {name}\n{shown.text}"),)
        for attempt in range(3):
            version = knobs.attr_prompt
            call = Call(
                name="extract field", prompt_id="field", prompt_version=version, provider="aviary", retry=attempt
            )
            ask = Ask(model=knobs.model, system=PROMPTS[version], turns=turns, max_tokens=120, seed=3)
            reply = self.rec.model(call, ask, Server(brain, knobs.fingerprint), [shown])
            with self.rec.step("validate", "check field", schema_version=knobs.schema) as note:
                note.reads(reply.text)
                got, error = self.form(reply.text, name)
                note.say(validation_errors=[f"{error}:$.articles[{n}].{name}"] if error else [])
                note.labels({"validate.checked": f"$.articles[{n}].{name}"})
            if not error:
                return got
            turns = (*turns[:1], ("assistant", reply.text), ("user", f"That is not right: {error}."))
        return None

    def form(self, text: str, name: str) -> tuple[dict[str, Any] | None, str]:
        try:
            got: dict[str, Any] = json.loads(text)
        except ValueError:
            return None, "not_json"
        value = got.get("value")
        if value is not None and name != "colour" and self.knobs.schema == "field-8" and value != int(value):
            return None, "not_whole"
        return got, "" if value is None or "quote" in got else "no_quote"

    def cite(self, n: int, values: dict[str, Any], quotes: dict[str, str]) -> None:
        """Each value by the article's own row, as far as the quote stands in it."""
        own = self.rows[n]
        for name in values:
            quote = quotes.get(name, "")
            score = 0.96 if quote and quote in own.text else 0.15
            self.rec.evidence(f"$.articles[{n}].{name}", [own], score)

    def rules(self, n: int, row: dict[str, str], kind: str, values: dict[str, Any]) -> list[str]:
        errors: list[str] = []
        with self.rec.step("validate", "business rules", schema_version="rules-9") as note:
            note.reads(json.dumps(values))
            if self.knobs.ruled:
                errors = self.broken(n, row, kind, values)
            note.say(validation_errors=errors)
            names = (*KINDS[kind][1], "colour", "price", "gtin", "title") if self.knobs.ruled else ()
            note.labels({"validate.checked": ",".join(f"$.articles[{n}].{name}" for name in names)})
        return errors

    def broken(self, n: int, row: dict[str, str], kind: str, values: dict[str, Any]) -> list[str]:
        """Codes and paths of the rules that an article breaks."""
        at = f"$.articles[{n}]"
        errors = [f"missing:{at}.{name}" for name in (*KINDS[kind][1], "colour") if name not in values]
        for name, (low, high) in RANGES.items():
            if name in values and not low <= values[name] <= high:
                errors.append(f"out_of_range:{at}.{name}")
        cost, price = float(row["cost"]), float(row["price"])
        if self.knobs.swapped:
            cost, price = price, cost
        if price < cost * MARGIN:
            errors.append(f"margin:{at}.price")
        if not valid_gtin(row["gtin"]):
            errors.append(f"check_digit:{at}.gtin")
        if re.search(r"[ÃÂ\u0080-\u009f]", row["title"]):
            errors.append(f"odd_letters:{at}.title")
        return errors

    def gate(self, sure: float, errors: list[str]) -> bool:
        rules = self.knobs.router
        with self.rec.step("route", "publish or review", route_policy_version=rules) as note:
            note.reads(json.dumps({"confidence": sure, "errors": len(errors)}))
            fine = sure >= 0.35 if rules == "gate-5" else sure >= 0.7 and not errors
            decided = "publish" if fine else "review"
            entered = self.knobs.entered or decided
            reason = "sure and no errors" if fine else "unsure" if sure < 0.7 else "errors stand"
            note.say(route=decided, route_reason=reason, route_confidence=sure)
            note.labels({"route.taken": entered})
            note.gives(decided)
        return entered == "publish"

    def put(self, row: dict[str, str], values: dict[str, Any]) -> str:
        """Three tries at the shop's API."""
        known = {a.gtin for a in self.feed.articles if a.known}
        for attempt in range(3):
            with self.rec.step("tool", "put article") as note:
                note.reads(json.dumps(row | values))
                note.say(retry_count=attempt)
                if self.random.random() < self.knobs.outage:
                    note.failed(ShopTimeout())
                    continue
                if row["gtin"] in known:
                    note.failed(ShopConflict())
                    return "kept_back"
                note.gives(json.dumps({"status": 201}))
                return "published"
        return "kept_back"

    def person(self, n: int, row: dict[str, str], kind: str, values: dict[str, Any]) -> None:
        """Somebody of the assortment team looks at an article, with the article before them."""
        true: Article = self.truth[row["gtin"]]
        wrong = [f for f, v in true.facts.items() if abs(values.get(f, -1.0) - v) > max(0.06, 0.02 * v)]
        at = f"$.articles[{n}]"
        if kind != true.kind:
            self.rec.review("overridden", field=f"{at}.kind", value=true.kind, note="another kind")
        elif wrong:
            self.rec.review("overridden", field=f"{at}.{wrong[0]}", value=str(true.facts[wrong[0]]))
        elif true.price < true.cost * MARGIN:
            self.rec.review("rejected", field=f"{at}.price", note="asks the supplier")
        elif true.title != row["title"] and true.title.upper() != row["title"].strip():
            self.rec.review("overridden", field=f"{at}.title", value=true.title)
        else:
            self.rec.review("approved", field=f"{at}.{'colour' if 'colour' in values else 'title'}")
