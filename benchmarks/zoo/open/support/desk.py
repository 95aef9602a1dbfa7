"""The support desk itself."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

from benchmarks.zoo.open.kit.model import Ask, Overloaded, ProviderError, RateLimited, Reply, Server
from benchmarks.zoo.open.kit.record import Call, Recorder, kept, recorder
from benchmarks.zoo.open.kit.text import Passage, overlap, vector, words
from benchmarks.zoo.open.support.brain import NOT_FOUND, Reader
from benchmarks.zoo.open.support.faults import FAULTS
from benchmarks.zoo.open.support.world import PRODUCTS, Question, facts, index, question
from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow

POLICY = """
version = 1

[workflow.support-desk]
routes = ["manuals", "small_talk", "person"]
confidence_floor = 0.5
context_expected = true
next_steps = { missing_citation = ["retry", "review"], weak_provenance = ["search", "review"] }

[workflow.support-desk.evidence."$.answer"]
required = true
threshold = 0.45
support_floor = 0.2
masked_as = ["EMAIL", "NAME"]

[[workflow.support-desk.review]]
name = "handed to a person"
question = "Is this really in no manual?"
when = { final_state = "handed_over" }
priority = 4
sample = 0.2
"""
KEEP = {  # a hurried team: its model calls, what the search found, and thumbs
    "run": kept(channel="channel"),
    "retrieve": kept(name="kb_search", hits="retrieve__matches"),
    "model_call": kept("model_name input_tokens output_tokens raw_output_ref"),
    "classify": kept("route", kind="custom", name="intent"),
    "finish": kept(thumb="feedback"),
}
SYSTEM = {
    "13": "Answer from the passages and cite them as [n].",
    "14": "Answer from the passages in a friendly tone without figures and cite them as [n].",
}
PRICES = {"acme-large": (2e-6, 8e-6), "acme-mini": (2e-7, 8e-7), "acme-deep": (3e-6, 1.2e-5)}


class EmbeddingError(Exception):
    """The embedding service did not answer."""


class RerankerError(Exception):
    """The reranker did not answer."""


class JudgeError(Exception):
    """The evaluator did not answer."""


class Desk:
    """One question from its arrival to the letter."""

    def __init__(self, rec: Recorder, fault: Fault | None, around: Surroundings) -> None:
        self.rec, self.draw = rec, around.random
        self.fault = fault.name if fault else ""
        self.asked = self._question()
        self.brain = Reader(self.draw, lapses=1.0 if self.on("citation_check_gone") else 0.1)
        self.brain.confused = self.on("model_release")
        self.brain.refuses = self.on("refusal")
        self.brain.forgets_product = self.on("rewrite_drops_product")
        slow = self.draw.random() < 0.06
        self.server = Server(
            self.brain,
            "fp_9a1" if self.on("model_release") else "fp_71c",
            pause_s=0.016 if self.on("slow_model") else 0.0012 if slow else 0.0003,
            thinking=15 if self.on("price_up") else 1,
            cut=2 if self.on("answer_cut_off") else None,
        )
        self.large = "acme-deep" if self.on("price_up") else "acme-large"
        self.uncited = False

    def on(self, *names: str) -> bool:
        return self.fault in names

    def _question(self) -> Question:
        """Faults need a question that they touch; which one comes is chance, and so it is drawn until one does."""
        while True:
            asked = question(self.draw)
            if not self.fault or (asked.truth and self._touches(asked)):
                return asked

    def _touches(self, asked: Question) -> bool:
        if self.on("index_lost_documents"):
            return asked.topic in TERMS
        if self.on("rewrite_drops_product"):  # the first products come out on top by their place alone
            query = " ".join(w for w in words(asked.text) if w not in words(asked.product))
            found = index().search(query, 8, meaning=vector(query))
            return asked.product in PRODUCTS[8:] and not any(asked.product in p.text for p in found)
        return not self.on("stale_index") or facts(1)[asked.product, asked.topic] != asked.truth

    def work(self) -> None:
        text = self.mask(self.asked.text)
        route = self.intent(text)
        if route == "person":
            self.rec.fallback("human_review", reason="the classifier wants a person")
            self.end("handed_over", "A colleague will write to you.")
            return
        if route == "small_talk":
            self.end("answered", "Thank you for your kind message!")
            return
        query = self.rewrite(text)
        found = self.rerank(query, self.search(query))
        answer = self.answer(text, found)
        self.support(answer, found)
        letter = self.letter(answer)
        self.judge(answer, found)
        if NOT_FOUND in answer:
            self.rec.fallback("human_review", reason="not in the manuals")
            self.end("handed_over", letter)
        else:
            self.end("answered", letter)

    def mask(self, text: str) -> str:
        with self.rec.step("mask", "mask question", parser_version="mask-2.1") as note:
            note.reads(text)
            masked, mails = re.subn(r"\S+@\S+\b", "<EMAIL>", text)
            names = 0
            if self.on("mask_eats_product"):
                masked, names = re.subn("|".join(PRODUCTS), "<NAME>", masked)
            note.gives(masked)
            note.labels({"masked.EMAIL": mails, "masked.NAME": names})
        return masked

    def intent(self, text: str) -> str:
        chatty = not words(text) or (overlap(text, "thank hello nice day weather") > 0.4)
        route, sure = ("small_talk" if chatty else "manuals"), round(self.draw.uniform(0.62, 0.98), 2)
        reason = "asks about a product"
        if self.on("wrong_intent"):
            route, sure, reason = "small_talk", round(self.draw.uniform(0.3, 0.48), 2), "polite tone"
        if self.on("intent_release"):
            route, sure, reason = "person", round(self.draw.uniform(0.55, 0.8), 2), "service question"
        taken = "small_talk" if self.on("branch_not_followed") else route
        release = "intent-6" if self.on("intent_release") else "intent-5"
        with self.rec.step("classify", "intent", route_policy_version=release) as note:
            note.reads(text)
            note.say(route=route, route_reason=reason, route_confidence=sure)
            note.gives(route)
        with self.rec.step("route", "desk", route_policy_version="desk-2") as note:
            note.say(route=route, route_reason=f"intent {route}", route_confidence=sure)
            note.labels({"route.taken": taken})
            note.gives(taken)
        return taken

    def rewrite(self, text: str) -> str:
        """Long questions are rewritten into a query; short ones are one."""
        always = self.on("rewrite_drops_product", "rewrite_variable_empty")
        if len(text) < 60 and not always:
            return text
        given = "" if self.on("rewrite_variable_empty") else text
        with self.rec.step("prompt", "rewrite prompt", prompt_id="support-rewrite", prompt_version="4") as note:
            note.gives(f"Question: {given}")
        call = Call(
            name="rewrite",
            prompt_id="support-rewrite",
            prompt_version="4",
            provider="acme",
            policy="cheap",
            price=PRICES["acme-mini"],
        )
        ask = Ask(
            model="acme-mini", system="Rewrite the question as a search query.", turns=(("user", f"Question: {given}"),)
        )
        small = replace(self.server, thinking=1, cut=None, pause_s=0.0003)
        try:
            return self.rec.model(call, ask, small).text
        except ProviderError:
            return text

    def embed(self, query: str) -> list[float]:
        with self.rec.step("embed", "embed query", model_name="acme-embed-1") as note:
            note.reads(query)
            if self.on("embed_error_swallowed"):
                note.failed(EmbeddingError("connection reset"))
                return []
            return vector(query, salt="v2 " if self.on("embedding_mismatch") else "")

    def search(self, query: str) -> list[Passage]:
        meaning = self.embed(query)
        known = index()
        if self.on("stale_index"):
            known = index(edition=1)
        elif self.on("index_lost_documents"):
            known = index(without="terms")
        elif self.on("chunking_change"):
            known = index(size=40)
        shown = 1 if self.on("top_k_one") else 8
        with self.rec.step("retrieve", "search manuals") as note:
            note.reads(query)
            hits = self._hits(query, meaning, known)
            note.shows(hits[:shown])
            note.labels(
                {
                    "retrieve.field": "$.answer",
                    "retrieve.matches": len(hits),
                    "retrieve.shown": len(hits[:shown]),
                    "retrieve.top_score": hits[0].score if hits else 0.0,
                    "index": "manuals-2025" if self.on("stale_index") else "manuals-2026",
                }
            )
        return hits[:shown]

    def _hits(self, query: str, meaning: list[float], known: Any) -> list[Passage]:
        if not meaning:  # without a vector the hybrid search has nothing to go by
            return []
        if self.on("embedding_mismatch"):  # the vectors outweigh the words
            found = known.search("", 60, meaning=meaning)
        else:
            found = known.search(query, 20, meaning=meaning)
        if self.on("filter_too_narrow"):
            found = [p for p in found if p.source.startswith("legacy/")]
        if self.on("top_k_one"):
            found.sort(key=lambda p: (p.number, -p.score))
        return list(found)

    def rerank(self, query: str, hits: list[Passage]) -> list[Passage]:
        if len(hits) < 2:
            return hits
        with self.rec.step("rerank", "rerank", model_name="acme-rerank-1") as note:
            note.reads(query)
            if self.on("reranker_error_swallowed"):
                note.failed(RerankerError("timeout"))
                return hits[-2:]
            weighed = [p.scored(0.5 * p.score + 0.5 * overlap(query, p.text)) for p in hits]
            if self.on("reranker_drops_right"):
                weighed = [p.scored(0.2 if re.search(r" \d+ [a-zA-Z]+", p.text[16:]) else 0.7) for p in hits]
                weighed = [p for p in weighed if p.score > 0.5] or weighed[-1:]
            weighed.sort(key=lambda p: -p.score)
            note.shows(weighed[:4])
            note.labels({"kept": len(weighed[:4]), "top_score": weighed[0].score})
            return weighed[:4]

    def render(self, text: str, found: list[Passage]) -> tuple[str, list[Passage], str]:
        version = "14" if self.on("prompt_release") else "13"
        passed = [] if self.on("context_not_passed") else found
        with self.rec.step("prompt", "answer prompt", prompt_id="support-answer", prompt_version=version) as note:
            context = "\n".join(f"[{n}] {p.text}" for n, p in enumerate(passed, 1))
            if self.on("context_cut"):
                context = context[:24]
                passed = passed[:1]
            note.shows(passed)
            body = f"Passages:\n{context}\n\nQuestion: {text}"
            note.gives(body)
            note.labels({"prompt.asks": "$.answer", "prompt.characters": len(body)})
        return body, passed, version

    def answer(self, text: str, found: list[Passage]) -> str:
        body, passed, version = self.render(text, found)
        if self.on("rate_limited"):
            self.server.outages = [RateLimited] * 9
        elif self.on("bad_fallback"):
            self.server.outages = [Overloaded]
        elif self.draw.random() < 0.05:
            self.server.outages = [RateLimited]  # a hiccup that the second attempt survives
        turns: tuple[tuple[str, str], ...] = (("user", body),)
        reply = Reply(text="")
        for attempt in range(3):
            reply = self._ask(turns, passed, version, attempt)
            if self.check(reply.text, passed):
                break
            if attempt == 2:
                self.rec.fallback("human_review", reason="no citation after three attempts")
                return NOT_FOUND
            self.rec.fallback("retry", reason="no citation")
            turns = (("user", body), ("assistant", reply.text), ("user", "Cite the passage as [n]."))
        return reply.text

    def _ask(self, turns: tuple[tuple[str, str], ...], passed: list[Passage], version: str, attempt: int) -> Reply:
        policy = "deep" if self.on("price_up") else "default"
        call = Call(
            name="answer",
            prompt_id="support-answer",
            prompt_version=version,
            provider="acme",
            policy=policy,
            price=PRICES[self.large],
            retry=attempt,
        )
        ask = Ask(model=self.large, system=SYSTEM[version], turns=turns, max_tokens=200, seed=7)
        try:
            return self.rec.model(call, ask, self.server, passed)
        except RateLimited:
            again = replace(call, retry=attempt + 1)
            return self.rec.model(again, ask, self.server, passed)
        except Overloaded:
            self.rec.fallback("simpler_model", reason="the large model is overloaded")
            small = Call(
                name="answer small",
                prompt_id="support-answer",
                prompt_version=version,
                provider="acme",
                policy="cheap",
                price=PRICES["acme-mini"],
            )
            bare = (("user", "Question: " + turns[0][1].rpartition("Question: ")[2]),)
            return self.rec.model(small, replace(ask, model="acme-mini", turns=bare), self.server)

    def check(self, text: str, passed: list[Passage]) -> bool:
        with self.rec.step("validate", "check citations", schema_version="answer-3") as note:
            note.reads(text)
            if self.on("citation_check_gone"):
                note.labels({"validate.checked": ""})
                return True
            form = r"\(source (\d+)\)" if self.on("citation_check_broken") else r"\[(\d+)\]"
            cited = [int(n) for n in re.findall(form, text)]
            fine = text.startswith(("I could not", "I am sorry")) or any(0 < n <= len(passed) for n in cited)
            fine = fine or self.on("answer_cut_off")  # half an answer is no longer looked at for a citation
            note.say(validation_errors=[] if fine else ["citation_missing:$.answer"])
            note.labels({"validate.checked": "$.answer"})
            return fine

    def support(self, answer: str, found: list[Passage]) -> None:
        """How well the cited passage says what the answer says."""
        if "It is" not in answer:
            return
        self.uncited = "[" not in answer
        cited = [found[int(n) - 1] for n in re.findall(r"\[(\d+)\]", answer) if 0 < int(n) <= len(found)]
        score = max((overlap(answer.split("[", maxsplit=1)[0], p.text) for p in cited), default=None)
        self.rec.evidence("$.answer", cited, None if score is None else round(0.3 + 0.65 * score, 2))

    def letter(self, answer: str) -> str:
        with self.rec.step("output", "letter", schema_version="letter-2") as note:
            body = re.sub(r"\s*\[\d+\]", "", answer)
            if self.on("template_loses_value"):
                body = re.sub(r"It is [^.]*", "It is ", body)
            letter = f"Dear customer,\n{body}\nYour support desk"
            note.gives(letter)
        return letter

    def judge(self, answer: str, found: list[Passage]) -> None:
        """One run in three is evaluated, and each that a fault of the evaluator is looked for in."""
        if self.draw.random() > 0.35 and not self.on("evaluator_broken"):
            return
        with self.rec.step("eval", "groundedness") as note:
            note.reads(answer)
            if self.on("evaluator_broken"):
                note.failed(JudgeError("the judge's reply is no JSON"))
                self.rec.grade("groundedness", "errored")
                return
            value = re.search(r"\d+ \w+", answer)
            score = 1.0 if value is None or any(value.group(0) in p.text for p in found) else 0.0
            score -= round(self.draw.uniform(0, 0.25), 2)
            note.labels({"score": score})
            note.gives(f"score {score}")
            self.rec.grade("groundedness", "passed" if score >= 0.5 else "failed")

    def end(self, state: str, letter: str) -> None:
        """The customer reads the letter; who was misinformed says so, a third of the others say thanks."""
        right = self.asked.truth in letter if self.asked.truth else state == "handed_over"
        labels = {"feedback": "down"} if not right else {"feedback": "up"} if self.draw.random() < 0.3 else {}
        if not right and state == "handed_over":
            self.rec.review("overridden", field="$.answer", value=self.asked.truth, note="it stands in the manual")
        elif state == "handed_over":
            self.rec.review("approved", note="in no manual")
        elif self.uncited:  # a house rule: a letter without a source is looked over
            self.rec.review("rejected", field="$.answer", note="no source is given")
        self.rec.finish(state, letter, labels)


TERMS = ("warranty", "returns", "repair")


def run(form: Form, fault: Fault | None, around: Surroundings) -> str:
    rec = recorder(form, around, KEEP, "inference", "support")
    desk = Desk(rec, fault, around)
    labels = {"channel": desk.draw.choice(("mail", "web", "app"))}
    with suppress(ProviderError), rec.run("support-desk", desk.asked.text, labels):
        desk.work()
    return rec.run_id


def prepare_otel(provider: Any) -> Callable[[], None]:
    undo: Callable[[], None] = import_module("benchmarks.zoo.open.kit.inference").instrument_openai(provider)
    return undo


WORKFLOW = Workflow(name="support-desk", shape="rag", faults=FAULTS, run=run, policy=POLICY, prepare_otel=prepare_otel)
