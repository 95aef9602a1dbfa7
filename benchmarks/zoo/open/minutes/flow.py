"""From parts to minutes: read each part, merge, list tasks, review, check, send."""

import json
from functools import partial
from typing import Any

from benchmarks.zoo.open.kit.model import Ask, ProviderError, RateLimited, Reply, Server
from benchmarks.zoo.open.kit.record import Call
from benchmarks.zoo.open.kit.text import Index, Passage, overlap
from benchmarks.zoo.open.minutes import models
from benchmarks.zoo.open.minutes.hear import PRIVATE, Hearing
from benchmarks.zoo.open.minutes.talk import PEOPLE, SECTIONS
from benchmarks.zoo.open.minutes.tasks import fit, minds_of

PARTS = {
    "9": "From a part of a meeting, give its points, decisions and actions as JSON.",
    "10": "From a part of a meeting, give its points and actions as short JSON.",
}
ASKS = {"9": "$.points,$.decisions,$.actions", "10": "$.points,$.actions"}
MERGE = "Fill the sections from the parts. Answer in JSON, each section a list of lines."
TASKS = "List the tasks with owner, what and due from the parts and the open ones, as JSON."
REVIEW = "Read the draft as a careful colleague: is a section empty, is a word unknown? Answer in JSON."


class Minutes(Hearing):
    """One meeting's way."""

    read: list[dict[str, Any]]
    open: list[str]
    tasks: list[dict[str, Any]]

    def work(self) -> None:
        self.prepare()
        self.read = [self.part(p) for p in self.parts]
        self.recall()
        sections = self.merge([])
        if sections is None:
            self.rec.fallback("human_review", "no draft that can be read")
            self.host(None)
            self.rec.finish("handed_over", "", {"kind": self.kind})
            return
        whole = self.list_tasks()
        sections, content = self.reviewed(sections)
        self.cite()
        text = json.dumps({"sections": sections, "tasks": self.tasks})
        if not self.private(text):
            self.rec.fallback("stop", "private data in the minutes")
            self.rec.finish("stopped", "", {"kind": self.kind})
            return
        if not content:
            self.rec.fallback("human_review", "reviewer is not content")
            self.host(sections)
            self.rec.finish("handed_over", text, {"kind": self.kind})
            return
        with self.rec.step("tool", "send minutes") as note:
            note.reads(text)
            note.gives(json.dumps({"sent": len(self.meeting.people)}))
        if self.random.random() < 0.5:
            self.host(sections)
        self.rec.finish("answered" if whole else "partial", text, {"kind": self.kind, "tasks": str(len(self.tasks))})

    def part(self, piece: Passage) -> dict[str, Any]:
        version, knobs = self.knobs.part_prompt, self.knobs
        if piece.number == 1:
            with self.rec.step("prompt", "part prompt", prompt_id="part", prompt_version=version) as note:
                note.labels({"prompt.asks": ASKS[version]})
                note.gives(PARTS[version])
        model = knobs.part_model
        brain = models.part(self.random, drops=knobs.drops, wordy=knobs.wordy, broken=0.03)
        for attempt in range(4):
            call = Call(name="read part", prompt_id="part", prompt_version=version, provider="nest", retry=attempt)
            ask = Ask(model=model, system=PARTS[version], turns=(("user", piece.text),), max_tokens=2000)
            full = [RateLimited] if model != "wren-mini" and self.random.random() < knobs.refusals else []
            try:
                reply = self.rec.model(call, ask, Server(brain, knobs.fingerprint, outages=list(full)), [piece])
            except ProviderError:
                if attempt == 1:
                    model = "wren-mini"
                    self.rec.fallback("other_model", "no room")
                continue
            found = self.readable(reply, "part shape", ("points", "decisions", "actions"))
            if found is not None:
                return found
        return {"points": [], "decisions": [], "actions": []}

    def readable(self, reply: Reply, name: str, members: tuple[str, ...]) -> dict[str, Any] | None:
        """What a reply says, where it is JSON with its members."""
        out: dict[str, Any] | None = None
        with self.rec.step("validate", name, schema_version=f"{name.split(maxsplit=1)[0]}-2") as note:
            note.reads(reply.text)
            try:
                out = json.loads(reply.text)
                errors = [f"missing:$.{m}" for m in members if m not in (out or {})]
            except ValueError:
                errors = ["not_json:$"]
            note.say(validation_errors=errors)
            note.labels({"validate.checked": ",".join(f"$.{m.replace(' ', '_')}" for m in members)})
        return None if errors else out

    def recall(self) -> None:
        """Open tasks of the last minutes, where the meeting is one of a series."""
        self.open = []
        if self.random.random() < 0.5 and self.knobs.want != "series":
            return
        own = self.knobs.series == "own"
        others = [p for p in PEOPLE if p not in self.meeting.people]
        owners = self.random.sample(self.meeting.people if own else others, min(2, len(self.meeting.people)))
        lines = [f"{owner}: update the plan left open last time {n}" for n, owner in enumerate(owners, 1)]
        with self.rec.step("retrieve", "open tasks") as note:
            series = "weekly" if own else "board"
            note.reads(f"open tasks of {series}")
            kept = [Passage(f"minutes of {series}", n, line, "\n".join(lines)) for n, line in enumerate(lines, 1)]
            found = Index(kept).search("plan left open", 5)
            found = found or [p.scored(0.5) for p in kept]
            shown = found if self.random.random() < 0.8 or not own else []
            said = {"retrieve.field": "$.open", "retrieve.matches": len(shown), "retrieve.shown": len(shown)}
            note.labels(said)
            note.shows(shown)
        self.open = [p.text for p in shown]

    def merge(self, minds: list[str]) -> dict[str, list[str]] | None:
        headings = SECTIONS[self.kind]
        shown = self.read[: self.knobs.merged]
        lines = [
            *(f"SECTION {h}" for h in headings),
            *(json.dumps(p) for p in shown),
            *(f"OPEN {o}" for o in self.open),
        ]
        last = "\n".join([*lines, *(f"MIND {m}" for m in minds)])
        with self.rec.step("prompt", "merge prompt", prompt_id="merge", prompt_version="4") as note:
            note.shows(self.parts[: len(shown)])
            note.labels({"prompt.asks": ",".join(f"$.{h.replace(' ', '_')}" for h in headings)})
            note.gives(f"{MERGE}\n{last}")
        for attempt in range(2):
            call = Call(name="merge parts", prompt_id="merge", prompt_version="4", provider="nest", retry=attempt)
            most = self.knobs.merge_tokens
            ask = Ask(model="wren-1", system=MERGE, turns=(("user", last),), temperature=0.1, max_tokens=most)
            reply = self.rec.model(call, ask, Server(models.merger, "fp_a10"), self.parts[: len(shown)])
            found = self.readable(reply, "sections check", headings)
            if found is not None:
                return found
            self.rec.fallback("retry", "sections cannot be read")
        return None

    def list_tasks(self) -> bool:
        """Whether the whole list stands; what does not is left out after three tries."""
        shown = self.read[: self.knobs.merged]
        last = "\n".join([*(json.dumps(p) for p in shown), *(f"OPEN {o}" for o in self.open)])
        errors: list[str] = []
        for attempt in range(3):
            told = last + "".join(f"\nERROR {e}" for e in errors)
            call = Call(name="list tasks", prompt_id="tasks", prompt_version="6", provider="nest", retry=attempt)
            ask = Ask(model="wren-1", system=TASKS, turns=(("user", told),), max_tokens=3000)
            reply = self.rec.model(call, ask, Server(models.actor, "fp_a10"), self.parts[: len(shown)])
            self.tasks = json.loads(reply.text)
            with self.rec.step("validate", "check tasks", schema_version="tasks-3") as note:
                note.reads(reply.text)
                errors = minds_of(self.tasks, self.meeting.people, self.knobs.dates)
                note.say(validation_errors=errors)
                note.labels({"validate.checked": "$.tasks[*].owner,$.tasks[*].due,$.tasks"})
            if not errors:
                return True
        self.rec.fallback("partial_answer", "tasks that do not hold are left out")
        self.tasks = fit(self.tasks, self.meeting.people, self.knobs.dates)
        return False

    def reviewed(self, sections: dict[str, list[str]]) -> tuple[dict[str, list[str]], bool]:
        """Two more rounds at most; an unknown word that stays is let through."""
        brain = partial(models.reviewer, never=self.knobs.never)
        for attempt in range(3):
            with self.rec.step("agent", "reviewer") as note:
                draft = json.dumps(sections)
                note.reads(draft)
                call = Call(
                    name="review minutes", prompt_id="review", prompt_version="2", provider="nest", retry=attempt
                )
                ask = Ask(model="wren-1", system=REVIEW, turns=(("user", f"MINUTES {draft}"),), max_tokens=300)
                reply = self.rec.model(call, ask, Server(brain, "fp_a10"))
                note.gives(reply.text)
                verdict = json.loads(reply.text)
                note.labels({"reviewer.ok": verdict["ok"], "reviewer.minds": len(verdict["minds"])})
            if verdict["ok"]:
                return sections, True
            again = self.merge(verdict["minds"]) if attempt < 2 else None
            sections = again or sections
        return sections, not self.knobs.never and not any("unknown" in m for m in verdict["minds"])

    def cite(self) -> None:
        """Each task and each decision by the part in which it was said."""
        for n, task in enumerate(self.tasks):
            where = [p for p in self.parts if f"[{task['at']}]" in p.text][:1]
            if task["at"] >= 0:
                line = next((ln for p in where for ln in p.text.split("\n") if f"[{task['at']}]" in ln), "")
                score = round(overlap(f"{task['owner']} {task['what']} {task['due']}", line), 3)
                self.rec.evidence(f"$.tasks[{n}]", where, score if where else None)
        said = [d for part in self.read[: self.knobs.merged] for d in part["decisions"]]
        for n, decision in enumerate({d["text"]: d for d in said}.values()):
            where = [p for p in self.parts if f"[{decision['at']}]" in p.text][:1]
            self.rec.evidence(f"$.decisions[{n}]", where, overlap(decision["text"], where[0].text) if where else None)

    def private(self, text: str) -> bool:
        with self.rec.step("guardrail", "privacy check") as note:
            note.reads(text)
            kept = "\n".join(p.text for p in self.parts)
            hits = [name for name in ("EMAIL", "PHONE") if PRIVATE[name].search(f"{text}\n{kept}")]
            note.labels({"guard.verdict": "blocked" if hits else "passed", "guard.hits": len(hits)})
            note.gives("blocked" if hits else "passed")
        return not hits

    def host(self, sections: dict[str, list[str]] | None) -> None:
        """The person who invited reads the minutes, knowing what was really said."""
        meant = {(a.owner, a.what, a.due) for a in self.meeting.actions}
        given = {(t["owner"], t["what"], t["due"]) for t in getattr(self, "tasks", []) if t["at"] >= 0}
        told = json.dumps(sections)
        lost = [d for d in self.meeting.decisions if d not in told]
        value = json.dumps([list(t) for t in sorted(meant)])
        if sections is None or self.kind != self.meeting.kind:
            self.rec.review("overridden", field="$.sections", value=value, note="written anew")
        elif given != meant:
            self.rec.review("overridden", field="$.tasks", value=value, note="tasks are not as agreed")
        elif lost:
            self.rec.review("overridden", field="$.decisions", value=json.dumps(lost), note="decisions are missing")
        elif self.random.random() < 0.03:
            self.rec.review("escalated", field="$.sections", note="asks legal before it is sent on")
        else:
            self.rec.review("approved", field="$.tasks")
