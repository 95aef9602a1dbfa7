"""One turn of a session."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from random import Random
from typing import Any

from benchmarks.zoo.open.concierge.brain import NOT_FOUND, Concierge
from benchmarks.zoo.open.concierge.faults import FAULTS
from benchmarks.zoo.open.concierge.world import CITIES, DIETS, PLACES, Turn, facts, guides, turn
from benchmarks.zoo.open.kit.model import Ask, Overloaded, ProviderError, RateLimited, Reply, Server
from benchmarks.zoo.open.kit.record import Call, Recorder, kept, recorder
from benchmarks.zoo.open.kit.text import Passage, overlap
from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow

POLICY = """
version = 1

[workflow.concierge]
idle_timeout_s = 120

[workflow.concierge.next_steps]
missing_citation = ["search", "partial_output"]
weak_provenance = ["search"]

[workflow.concierge.evidence."$.answer"]
required = true
threshold = 0.3
support_floor = 0.15

[[workflow.concierge.expect]]
step = "model_call:answer"

[[workflow.concierge.review]]
name = "turns that stopped"
question = "Was the traveller blocked for nothing?"
when = { final_state = "stopped" }
sample = 0.5
"""
KEEP = {  # a chat team: sessions, the models, how the turn was scored
    "run": kept(session="session.id"),
    "model_call": kept("model_name model_provider output_tokens prompt_version"),
    "retrieve": kept(kind="tool", n="retrieve__matches"),
    "eval": kept("status error_type", kind="custom", name="score", score="score"),
    "output": kept(),
    "finish": kept(thumbs="thumbs"),
}
SYSTEM = {
    "8": "You are a concierge. Answer shortly from the passages and the memory.",
    "9": "You are a concierge. Answer warmly, with no prices and no times.",
}
APOLOGY = "Sorry, I cannot help with this."


class StoreDown(Exception):
    """A store did not answer."""


class JudgeUnreadable(Exception):
    """The judge's reply is no score."""


class Talk:
    """One turn."""

    def __init__(self, rec: Recorder, fault: Fault | None, around: Surroundings) -> None:
        self.rec, self.draw = rec, around.random
        self.fault = fault.name if fault else ""
        self.turn = self._turn(around.number)
        brain = Concierge(self.draw)
        brain.forgets_subject = self.on("whole_question_forgets_subject")
        brain.refuses, brain.confuses = self.on("refusal"), self.on("model_release")
        brain.wordy = (brain.wordy or self.on("length_check_gone")) and not self.on("answer_cut_off", "bad_fallback")
        slow = self.draw.random() < 0.06
        self.server = Server(
            brain,
            "fp_41e" if self.on("model_release") else "fp_40d",
            pause_s=0.016 if self.on("slow_model") else 0.0009 if slow else 0.0003,
            thinking=15 if self.on("price_up") else 1,
            cut=3 if self.on("answer_cut_off") else None,
        )
        self.saved = False

    def on(self, *names: str) -> bool:
        return self.fault in names

    def _turn(self, number: int) -> Turn:
        """Travellers ask what they ask; a fault waits for a turn that it touches, of a later number if need be."""
        tries = 0
        while True:
            got = turn(self.draw, number + tries // 40)
            tries += 1
            if not self.fault or self._touches(got):
                return got

    def _touches(self, got: Turn) -> bool:
        name = self.fault
        if name.startswith(("session", "history", "whole")):
            return got.kind == "follow_up" and facts(2)[CITIES[3], PLACES[1], got.topic[2]] != got.truth
        if name == "memory_write_lost":
            return got.kind == "told"
        if name.startswith("memory"):
            return got.kind == "table"
        return got.kind == "fact" and {
            "markdown_eats_numbers": bool(re.search(r"\d", got.truth)),
            "stale_guides": facts(1)[got.topic] != got.truth,
            "guides_top_one": got.topic[1] != PLACES[0],
        }.get(name, True)

    def work(self) -> None:
        if not self.moderate():
            self.end("stopped", APOLOGY)
            return
        history = self.history()
        remembered = self.recall()
        query = self.whole(history)
        found = self.search(query)
        answer = self.answer(query, found, remembered)
        self.save()
        self.support(answer, found)
        text = self.plain(answer)
        self.end("partial" if NOT_FOUND in text else "answered", text)

    def moderate(self) -> bool:
        with self.rec.step("guardrail", "moderation") as note:
            note.reads(self.turn.text)
            bad = ("ignore your rules", "?") if self.on("moderation_blocks_good") else ("ignore your rules",)
            fine = not any(word in self.turn.text.lower() for word in bad)
            note.gives("pass" if fine else "block")
            note.labels({"verdict": "pass" if fine else "block"})
        return fine

    def history(self) -> tuple[str, ...]:
        key = self.turn.session.upper() if self.on("session_not_found") else self.turn.session
        with self.rec.step("tool", "session store") as note:
            if self.on("session_of_other_user"):
                key = "s99999"
            note.reads(json.dumps({"session": key}))
            if self.on("session_error_swallowed"):
                note.failed(StoreDown("timeout"))
                return ()
            said = self.turn.history if key == self.turn.session else ()
            if self.on("session_of_other_user"):
                said = ("user: When does the Old Tower in Tartu open?", "assistant: The Old Tower in Tartu: 13:45.")
            note.gives("\n".join(said))
            note.labels({"turns": len(said)})
        return said

    def recall(self) -> list[Passage]:
        """What is remembered of the traveller; of the new ones it is nothing."""
        with self.rec.step("retrieve", "memory") as note:
            note.reads(f"user {self.turn.user}: {self.turn.text}")
            if self.on("memory_error_swallowed"):
                note.failed(StoreDown("connection refused"))
                return []
            diet = self.turn.diet
            source = f"memory/{self.turn.user}"
            if self.on("memory_of_other_user"):
                diet, source = next(d for d in DIETS if d != diet), "memory/u0001"
            known = [] if self.turn.kind == "told" else [Passage(source, 1, f"diet {diet}", f"diet {diet}", 0.9)]
            note.shows(known)
            note.labels(
                {
                    "retrieve.matches": len(known),
                    "retrieve.shown": len(known),
                    "retrieve.top_score": 0.9 if known else 0,
                }
            )
        return known

    def whole(self, history: tuple[str, ...]) -> str:
        """Short questions are made whole from the history; whole ones need nothing."""
        if self.turn.kind != "follow_up":
            return self.turn.text
        version = "4" if self.on("history_window_release") else "3"
        said = () if self.on("history_window_release") else history
        short = "" if self.on("whole_question_empty") else self.turn.text
        with self.rec.step(
            "prompt", "whole question prompt", prompt_id="concierge-whole", prompt_version=version
        ) as note:
            body = "\n".join(said) + f"\nQuestion: {short}"
            note.gives(body)
            note.labels({"prompt.turns": len(said)})
        call = Call(
            name="whole question",
            prompt_id="concierge-whole",
            prompt_version=version,
            provider="acme",
            policy="cheap",
        )
        ask = Ask(model="acme-mini", system="Make the question whole.", turns=(("user", body),))
        small = replace(self.server, thinking=1, cut=None, pause_s=0.0002)
        return self.rec.model(call, ask, small).text

    def search(self, query: str) -> list[Passage]:
        if self.turn.kind in ("chat", "told"):
            return []
        known = guides()
        if self.on("stale_guides"):
            known = guides(edition=1)
        elif self.on("guides_chunking"):
            known = guides(size=24)
        with self.rec.step("retrieve", "guides") as note:
            note.reads(query)
            if self.on("guides_error_swallowed"):
                note.failed(StoreDown("read timeout"))
                return []
            hits = known.search(query, 16)
            if self.on("guides_of_other_city"):
                other = next(c for c in CITIES if c != self.turn.topic[0]).lower()
                hits = [p for p in hits if p.source.endswith(other)]
            if self.on("guides_top_one"):
                hits.sort(key=lambda p: p.number)
            shown = hits[: 1 if self.on("guides_top_one") else 6]
            note.shows(shown)
            note.labels(
                {
                    "retrieve.field": "$.answer",
                    "retrieve.matches": len(hits),
                    "retrieve.shown": len(shown),
                    "retrieve.top_score": hits[0].score if hits else 0.0,
                    "edition": "2025" if self.on("stale_guides") else "2026",
                }
            )
        return shown

    def render(self, query: str, found: list[Passage], known: list[Passage]) -> tuple[str, list[Passage], str]:
        version = "9" if self.on("prompt_release") else "8"
        passed = [] if self.on("guides_not_passed") else found
        kept_in_mind = [] if self.on("memory_not_passed") else known
        with self.rec.step("prompt", "answer prompt", prompt_id="concierge-answer", prompt_version=version) as note:
            lines = [f"Memory: {p.text}" for p in kept_in_mind]
            lines += [f"[{n}] {p.text}" for n, p in enumerate(passed, 1)]
            body = "\n".join(lines) + f"\nQuestion: {query}"
            note.shows([*passed, *kept_in_mind])
            note.gives(body)
            note.labels({"prompt.asks": "$.answer"})
        return body, [*passed, *kept_in_mind], version

    def answer(self, query: str, found: list[Passage], known: list[Passage]) -> str:
        body, passed, version = self.render(query, found, known)
        if self.on("rate_limited"):
            self.server.outages = [RateLimited] * 2
        elif self.on("bad_fallback"):
            self.server.outages = [Overloaded]
        elif self.draw.random() < 0.05:
            self.server.outages = [RateLimited]
        turns: tuple[tuple[str, str], ...] = (("user", body),)
        for attempt in range(2):
            reply = self._ask(version, turns, passed)
            if self.check(reply.text):
                return reply.text
            if not attempt:
                self.rec.fallback("retry", reason="too long")
                turns = (("user", body), ("assistant", reply.text), ("user", "Shorter, please."))
        self.rec.fallback("safe_message", reason="still too long")
        return APOLOGY

    def _ask(self, version: str, turns: tuple[tuple[str, str], ...], passed: list[Passage]) -> Reply:
        call = Call(
            name="answer",
            prompt_id="concierge-answer",
            prompt_version=version,
            provider="acme",
            policy="reason" if self.on("price_up") else "default",
            price=(4e-6, 1.6e-5) if self.on("price_up") else (1e-6, 4e-6),
        )
        model = "acme-reason" if self.on("price_up") else "acme-chat"
        ask = Ask(model=model, system=SYSTEM[version], turns=turns, temperature=0.3, max_tokens=200)
        try:
            return self.rec.model(call, ask, self.server, passed)
        except RateLimited:
            return self.rec.model(replace(call, retry=1), ask, self.server, passed)
        except Overloaded:
            self.rec.fallback("simpler_model", reason="overloaded")
            small = replace(call, name="answer small", policy="cheap", price=(2e-7, 8e-7))
            bare = (("user", "Question:" + turns[0][1].rpartition("Question:")[2]),)
            return self.rec.model(small, replace(ask, model="acme-mini", turns=bare), self.server)

    def check(self, text: str) -> bool:
        with self.rec.step("validate", "check length", schema_version="answer-2") as note:
            note.reads(text)
            if self.on("length_check_gone"):
                note.labels({"validate.checked": ""})
                return True
            most = 2 if self.on("length_check_broken") else 30
            fine = len(text.split()) <= most
            note.say(validation_errors=[] if fine else ["too_long:$.answer"])
            note.labels({"validate.checked": "$.answer"})
        return fine

    def save(self) -> None:
        """What the traveller told of themselves is kept."""
        if self.turn.kind != "told":
            return
        with self.rec.step("tool", "save memory") as note:
            note.reads(json.dumps({"user": self.turn.user, "diet": self.turn.diet}))
            self.saved = not self.on("memory_write_lost")
            note.gives(json.dumps({"stored": 1 if self.saved else 0}))

    def support(self, answer: str, found: list[Passage]) -> None:
        if self.turn.kind in ("chat", "told") or NOT_FOUND in answer or answer == APOLOGY:
            return
        scored = sorted(
            (p.scored(overlap(answer.split(" It is", maxsplit=1)[0], p.text)) for p in found), key=lambda p: -p.score
        )
        best = [p for p in scored[:1] if p.score > 0.1]
        self.rec.evidence("$.answer", best, best[0].score if best else None)

    def plain(self, answer: str) -> str:
        with self.rec.step("output", "plain text") as note:
            text = answer.replace("**", "")
            if self.on("markdown_eats_numbers"):
                text = re.sub(r"\d+[:.]?", "", text)
            note.gives(text)
        return text

    def end(self, state: str, text: str) -> None:
        """The judge scores the turn, and some travellers give a thumb."""
        truth = self.turn.truth
        right = truth in text if truth else text != APOLOGY
        if self.turn.kind == "unknown":
            right = NOT_FOUND in text
        if self.turn.kind == "told":
            right = right and self.saved
        right = right and len(text.split()) <= 30
        self.judge(text, right=right)
        labels = {}
        if not right and self.draw.random() < 0.5:
            labels["thumbs"] = "down"
        elif right and self.draw.random() < 0.15:
            labels["thumbs"] = "up"
        self.rec.finish(state, text, labels)

    def judge(self, text: str, *, right: bool) -> None:
        release = "judge-3" if self.on("judge_release") else "judge-2"
        with self.rec.step("eval", "helpfulness", model_name=release) as note:
            note.reads(f"{self.turn.text}\n{text}")
            if self.on("judge_broken"):
                note.failed(JudgeUnreadable("no number"))
                self.rec.grade("helpfulness", "errored")
                return
            score = Random(text).uniform(0.62, 0.97) if right else self.draw.uniform(0.05, 0.4)
            if self.on("judge_release"):
                score *= 0.45
            note.labels({"score": round(score, 2)})
            note.gives(f"score {score:.2f}")
            self.rec.grade("helpfulness", "passed" if score >= 0.5 else "failed")


def run(form: Form, fault: Fault | None, around: Surroundings) -> str:
    rec = recorder(form, around, KEEP, "genai", "concierge")
    talk = Talk(rec, fault, around)
    labels = {"session.id": talk.turn.session, "user.id": talk.turn.user}
    with suppress(ProviderError), rec.run("concierge", talk.turn.text, labels):
        talk.work()
    return rec.run_id


def prepare_otel(provider: Any) -> Callable[[], None]:
    undo: Callable[[], None] = import_module("benchmarks.zoo.open.kit.genai").instrument(provider)
    return undo


WORKFLOW = Workflow(name="concierge", shape="chat", faults=FAULTS, run=run, policy=POLICY, prepare_otel=prepare_otel)
