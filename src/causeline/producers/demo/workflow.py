"""One run of a demo workflow: every step does its work on the documents, stores what it made, and says so.

A generator that yields between steps, so that many runs interleave as they would in a server. What a policy decides
about evidence is done: search again, retry narrower, take the authority's word, answer in part, ask a person, stop.
"""

import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from causeline.producers.artifacts import ArtifactStore
from causeline.producers.demo import model, work
from causeline.producers.demo.cases import FIELDS, ROUTES
from causeline.producers.demo.clock import SimulatedClock
from causeline.producers.demo.documents import Case
from causeline.producers.runs import Run
from causeline.producers.steps import Step
from causeline.schemas import measures
from causeline.schemas.vocabulary import NextStep

_MOST_ATTEMPTS = 4
_FIRST_TARGET = {"policy": "$.premium", "contract": "$.liability_cap", "invoice": "$.total"}
"""The field that faults which hit one field hit: the one that money hangs on."""

Turns = Generator[None, None, None]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How this run goes: what is planted, which versions run, and what chance has in store."""

    twist: work.Twist
    persona: model.Persona
    rng: random.Random
    legacy: bool = False
    """An old service version that forgets to record some versions."""
    stumbles: bool = False
    """The model's first answer has the wrong shape."""
    audited: bool = False
    """Chosen at random for review."""


@dataclass(slots=True)
class _State:
    chunks: list[work.Chunk] = field(default_factory=list)
    context: list[work.Chunk] = field(default_factory=list)
    route: str = ""
    values: dict[str, object] = field(default_factory=dict)
    cites: dict[str, str] = field(default_factory=dict)
    rivals: dict[str, list[str]] = field(default_factory=dict)
    """References to what disagrees, by field path."""
    to_review: list[str] = field(default_factory=list)
    partial: bool = False
    over: str = ""
    """The final state, once something has decided it."""
    answer_ref: str = ""


class Workflow:
    """One run over one case."""

    def __init__(
        self, case: Case, run: Run, artifacts: ArtifactStore, clock: SimulatedClock, behaviour: Behaviour
    ) -> None:
        self._case = case
        self._run = run
        self._artifacts = artifacts
        self._clock = clock
        self._b = behaviour
        self._twist = behaviour.twist
        self._s = _State()
        self._texts: dict[str, str] = {}
        self._labels: dict[str, str] = {}

    def turns(self) -> Turns:
        """Do the run, step by step; ends it in whatever state it came to."""
        yield from self._parse_and_mask()
        self._decide_route()
        yield
        if self._case.workflow == "invoice":
            yield from self._use_tools()
        if not self._s.over:
            yield from self._find()
            yield from self._extract()
        if not self._s.over:
            for path in self._labels:
                yield from self._prove(path)
        self._review()
        yield
        self._deliver()

    # --- reading

    def _parse_and_mask(self) -> Turns:
        run = self._run
        field_ = next(f for f in FIELDS[self._case.workflow] if f.path == _FIRST_TARGET[self._case.workflow])
        target = field_.label("") or ""
        for source in self._case.sources:
            ref = self._put(source.text.encode())
            with run.parse(source.kind, input_ref=ref, **self._version(parser_version="layout-3.2")) as step:
                parsed = work.parse(source.text, target, self._twist)
                self._clock.advance(40_000 + 9_000 * len(parsed.pages))
                parsed_ref = self._put(parsed.text.encode())
                step.set(parsed_artifact_ref=parsed_ref)
                step.label(
                    {
                        measures.PARSE_QUALITY: round(parsed.quality, 3),
                        measures.PARSE_PAGES: parsed.pages_in_input,
                        measures.PARSE_PAGES_READ: len(parsed.pages),
                    }
                )
            yield
            with run.mask(source.kind, input_ref=parsed_ref) as step:
                masked, places = work.mask(parsed.text, self._twist)
                self._clock.advance(6_000)
                masked_ref = self._put(masked.encode())
                step.set(parsed_artifact_ref=masked_ref, raw_output_ref=self._put(work.as_json(places)))
                step.label({f"{measures.MASKED}{kind}": len(found) for kind, found in places.items()})
            self._s.chunks += work.chunks_of(masked_ref, source.kind, masked)
            yield
        self._texts = {chunk.ref: chunk.text for chunk in self._s.chunks}

    def _decide_route(self) -> None:
        text = "\n".join(chunk.text for chunk in self._s.chunks)
        persona = self._b.persona
        with self._run.route("kind", input_ref=self._s.chunks[0].ref.partition("#")[0]) as step:
            decided = work.route(
                self._case.workflow, text, self._twist, late_weight=persona.late_weight, doubt=persona.doubt
            )
            self._clock.advance(90_000)
            self._s.route = decided.route
            if "branch_ignored" in self._twist:
                self._s.route = next(name for name in sorted(ROUTES[self._case.workflow]) if name != decided.route)
            step.set(
                route=decided.route, route_reason=decided.reason, route_confidence=round(decided.confidence, 3),
                model_provider=persona.provider, model_name=persona.name,
                **self._version(route_policy_version="rules-12", system_fingerprint=persona.fingerprint),
            )  # fmt: skip
            step.label({measures.BRANCH_TAKEN: self._s.route})
        self._labels = {
            f.path: label for f in FIELDS[self._case.workflow] if (label := f.label(self._s.route)) is not None
        }

    # --- finding

    def _use_tools(self) -> Turns:
        case = self._case
        if case.duplicate:
            self._s.over = "stopped"
            self._run.fallback("stop", reason="duplicate_invoice")
            return
        label = next((f.label(self._s.route) for f in FIELDS["invoice"] if f.path == "$.order_number"), None)
        order = next((found for c in self._s.chunks if label and (found := work.stated(label, c.text))), "")
        if not order:
            return  # nothing to look up by
        for attempt in range(2):
            with self._run.tool("order_lookup", input_ref=self._put(order.encode())) as step:
                self._clock.advance(25_000)
                if "tool_down" in self._twist:
                    step.set(status="error", error_type="ConnectionTimeout", retry_count=attempt)
                else:
                    record, confidence = self._look_up(order)
                    ref = self._put(work.as_json(record))
                    self._texts[ref] = f"Total amount: {record['total']}"
                    step.set(raw_output_ref=ref, confidence=confidence)
                    self._compare("$.total", "Total amount", ref)
                    yield
                    return
            yield
            if attempt == 0:
                self._run.fallback("retry", reason="tool_error")

    def _look_up(self, order: str) -> tuple[Mapping[str, str], float]:
        right, other = self._case.records
        record = other if "wrong_record" in self._twist else right
        same = sum(a == b for a, b in zip(record["order"], order, strict=False))
        return record, round(same / len(order), 3)

    def _compare(self, path: str, label: str, ref: str) -> None:
        said = work.stated(label, self._texts[ref])
        ours = next((value for chunk in self._s.chunks if (value := work.stated(label, chunk.text))), None)
        if said is not None and ours is not None and said != ours:
            self._s.rivals.setdefault(path, []).append(ref)

    def _find(self) -> Turns:
        if self._case.workflow == "invoice":
            self._s.context = list(self._s.chunks)
            return
        seen: dict[str, work.Chunk] = {}
        index = self._s.chunks[0].ref.partition("#")[0]
        target = _FIRST_TARGET[self._case.workflow]
        for path, label in self._labels.items():
            with self._run.retrieve(f"find {path[2:]}", input_ref=index) as step:
                twist = self._twist if path == target else self._twist - {"cut_context", "stale_index"}
                hits = work.search(label, self._s.chunks, twist)
                self._clock.advance(12_000)
                self._say_hits(step, path, hits)
            seen |= {chunk.ref: chunk for chunk in hits.shown}
            yield
        self._s.context = list(seen.values())

    def _say_hits(self, step: Step, path: str, hits: work.Hits) -> None:
        step.set(context_refs=[chunk.ref for chunk in hits.shown])
        step.label(
            {
                measures.RETRIEVE_FIELD: path,
                measures.RETRIEVE_MATCHES: hits.matches,
                measures.RETRIEVE_SHOWN: len(hits.shown),
                measures.RETRIEVE_TOP_SCORE: round(hits.top_score, 3),
            }
        )

    # --- asking

    def _extract(self) -> Turns:
        asked = dict(self._labels)
        if "omits_field" in self._twist:
            asked.pop(_FIRST_TARGET[self._case.workflow], None)
        context = [] if "drops_context" in self._twist else self._s.context
        persona = self._b.persona
        for attempt in range(4):
            answer = yield from self._ask("extract", asked, context, persona, attempt)
            if answer is None:
                continue
            if answer.refused:
                self._run.fallback("safe_message", reason="refusal")
                self._s.over = "stopped"
                return
            errors = self._validate(answer)
            yield
            self._take(answer)
            if not errors:
                return
            if attempt == 0:
                self._run.fallback("retry", reason="schema_error")
            elif attempt == 1:
                self._run.fallback("stronger_model", reason="schema_error")
                persona = model.STRONGER
            else:
                self._run.fallback("partial_answer", reason="schema_error")
                self._s.partial = True
                return
        if not self._s.values:
            self._s.over = "failed"

    def _ask(
        self,
        name: str,
        asked: Mapping[str, str],
        context: list[work.Chunk],
        persona: model.Persona,
        attempt: int,
    ) -> Generator[None, None, model.Answer | None]:
        version = "8" if "omits_field" in self._twist else "7"
        prompt: dict[str, Any] = {"prompt_id": f"{self._case.workflow}-{name}", **self._version(prompt_version=version)}
        refs = [chunk.ref for chunk in context]
        question = "Give these as JSON, each with its source: " + ", ".join(asked.values())
        prompt_ref = (
            self._put("\n\n".join([question, *(chunk.text for chunk in context)]).encode()) if context else None
        )
        with self._run.prompt(name, **prompt, context_refs=refs) as step:
            self._clock.advance(1_500)
            if prompt_ref is not None:
                step.set(raw_output_ref=prompt_ref)
            step.label({measures.PROMPT_ASKS: ",".join(asked)} if len(asked) > 1 else {})
        yield
        said: dict[str, Any] = {
            "model_provider": persona.provider,
            "model_name": persona.name,
            "model_policy": persona.policy,
            "temperature": persona.temperature,
            "top_p": persona.top_p,
            "seed": self._case.index,
            **prompt,
            **self._version(system_fingerprint=persona.fingerprint),
        }
        answer = None
        with self._run.model_call(name, context_refs=refs, retry_count=attempt, **said) as step:
            if prompt_ref is not None:
                step.set(input_ref=prompt_ref)
            unseen = [chunk for chunk in self._s.chunks if chunk.ref not in set(refs)]
            try:
                answer = model.call(
                    model.Asked(asked, context, unseen), persona, self._twist, self._b.rng,
                    attempt=attempt, stumbles=self._b.stumbles,
                )  # fmt: skip
            except (model.RateLimited, model.ProviderTimeout) as error:
                self._clock.advance(900_000)
                step.set(status="error", error_type=type(error).__name__)
                step.label({measures.FINISH_REASON: "error"})
            else:
                self._clock.advance(180_000 + 9_000 * answer.output_tokens)
                self._say_answer(step, answer, persona)
        yield
        if answer is None:
            self._run.fallback("retry", reason="provider_error")
        return answer

    def _say_answer(self, step: Step, answer: model.Answer, persona: model.Persona) -> None:
        self._s.answer_ref = self._put(work.as_json({"values": answer.values, "cites": answer.cites}))
        step.set(
            raw_output_ref=self._s.answer_ref,
            refusal=answer.refused,
            confidence=answer.confidence,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            cost_usd=round((answer.input_tokens + 3 * answer.output_tokens) * persona.usd_per_token, 8),
        )
        step.label({measures.FINISH_REASON: answer.finish_reason})

    def _validate(self, answer: model.Answer) -> list[str]:
        checked = [f.path for f in FIELDS[self._case.workflow]]
        version = "2026-03"
        if "validation_lax" in self._twist:
            checked.remove(_FIRST_TARGET[self._case.workflow])
            version = "2025-11"
        with self._run.validate(
            "schema", input_ref=self._s.answer_ref, **self._version(schema_version=version)
        ) as step:
            self._clock.advance(900)
            if "validation_off" in self._twist:
                step.set(status="skipped")
                return []
            errors = work.shape_errors(self._case.workflow, answer.values, checked)
            step.label({measures.VALIDATED: ",".join(checked)})
            if errors:
                step.set(status="error", error_type="schema_mismatch", validation_errors=errors)
        return errors

    def _take(self, answer: model.Answer) -> None:
        self._s.values.update(answer.values)
        self._s.cites.update(answer.cites)

    # --- proving

    def _prove(self, path: str) -> Turns:
        label = self._labels[path]
        self._look_for_rivals(path, label)
        for attempt in range(_MOST_ATTEMPTS):
            decision = self._check(path, attempt)
            yield
            if decision is None:
                return
            if "ignores_decision" in self._twist:
                return
            if "gives_up" in self._twist:
                self._s.partial = True
                return
            if not (yield from self._follow(decision, path, label)):
                return

    def _look_for_rivals(self, path: str, label: str) -> None:
        cited = self._s.cites.get(path)
        value = self._s.values.get(path)
        for chunk in self._s.context:
            other = work.stated(label, chunk.text)
            if cited and chunk.ref != cited and other is not None and isinstance(value, str) and other != value:
                self._s.rivals.setdefault(path, []).append(chunk.ref)

    def _check(self, path: str, attempt: int) -> NextStep | None:
        value, cited = self._s.values.get(path), self._s.cites.get(path)
        score = None
        if value is not None and cited is not None:
            text = value if isinstance(value, str) else work.as_json(value).decode()
            score = round(work.support(text, self._cited_text(cited), self._twist), 3)
        self._clock.advance(2_000)
        decision = self._run.evidence(
            path,
            refs=[cited] if cited else [],
            score=score,
            conflicting_refs=self._s.rivals.get(path, []),
            attempts=attempt,
            next_step="partial_output" if "gives_up" in self._twist and not cited else None,
        )
        return decision.next_step

    def _cited_text(self, ref: str) -> str:
        if "wrong_chunk_checked" in self._twist:
            stem, _, number = ref.partition("#chunk=")
            ref = f"{stem}#chunk={int(number or 0) + 1}"
        return self._texts.get(ref, "")

    def _follow(self, step: NextStep, path: str, label: str) -> Generator[None, None, bool]:
        """Do what the policy names; True when the evidence is to be checked again."""
        run = self._run
        if step is NextStep.SEARCH:
            with run.retrieve(f"search {path[2:]} again", input_ref=self._s.chunks[0].ref.partition("#")[0]) as found:
                hits = work.search(label, self._s.chunks, self._twist & {"stale_index", "cut_context"}, keep=8)
                self._clock.advance(20_000)
                self._say_hits(found, path, hits)
            yield
            new = [chunk for chunk in hits.shown if chunk not in self._s.context]
            if new and "drops_context" not in self._twist:
                self._s.context += new
                yield from self._ask_again(path, label, new)
            return True
        if step is NextStep.RETRY:
            run.fallback("narrower_scope", reason="unsupported" if self._s.cites.get(path) else "missing")
            narrow = [chunk for chunk in self._s.context if label.split(maxsplit=1)[0] in chunk.text][:2]
            if narrow and not self._twist & {"drops_context", "omits_field"}:
                yield from self._ask_again(path, label, narrow)
            return True
        if step is NextStep.APPLY_AUTHORITY:
            return self._apply_authority(path, label)
        if step is NextStep.PARTIAL_OUTPUT:
            run.fallback("partial_answer", reason=f"no support for {path}")
            self._s.partial = True
        elif step is NextStep.REVIEW:
            self._s.to_review.append(path)
        elif step is NextStep.ESCALATE:
            run.fallback("human_review", reason=f"conflict about {path}")
            self._s.over = "handed_over"
        elif step is NextStep.SAFE_STOP:
            run.fallback("stop", reason=f"no support for {path}")
            self._s.over = "stopped"
        return False

    def _ask_again(self, path: str, label: str, context: list[work.Chunk]) -> Turns:
        answer = yield from self._ask(f"again {path[2:]}", {path: label}, context, self._b.persona, 1)
        if answer is not None and not answer.refused:
            self._take(answer)

    def _apply_authority(self, path: str, label: str) -> bool:
        ranks = {kind: rank for rank, kind in enumerate(self._run.rules.authority)}
        with self._run.tool("apply authority") as step:
            self._clock.advance(1_000)
            holders = [chunk for chunk in self._s.context if work.stated(label, chunk.text) is not None]
            best = min(holders, key=lambda chunk: ranks.get(chunk.source, len(ranks)))
            step.set(context_refs=[chunk.ref for chunk in holders], raw_output_ref=best.ref)
            self._s.values[path] = work.stated(label, best.text)
            self._s.cites[path] = best.ref
            self._s.rivals.pop(path, None)
        return True

    # --- ending

    def _review(self) -> None:
        asked = bool(self._s.to_review or self._s.partial or self._b.audited)
        if self._s.over or not asked:
            return
        if "review_skipped" in self._twist:
            return
        wrong = [path for path, value in self._case.truth.items() if self._s.values.get(path) != value]
        note = self._put(f"Checked against the documents: {len(wrong)} to correct.".encode())
        self._clock.advance(5_000_000)
        reviewer = f"reviewer:{self._b.rng.randint(1, 6)}"
        if self._s.route != self._case.route:
            override = self._put(self._case.route.encode())
            self._run.review("overridden", field="$.route", reviewer_ref=reviewer, override_ref=override, note_ref=note)
        elif wrong:
            for path in wrong:
                right = self._case.truth.get(path)
                kept = None if "correction_lost" in self._twist or right is None else self._put(right.encode())
                self._run.review("overridden", field=path, reviewer_ref=reviewer, override_ref=kept, note_ref=note)
        else:
            for field_ in self._s.to_review or [None]:  # type: ignore[list-item]
                self._run.review("approved", field=field_, reviewer_ref=reviewer, note_ref=note)

    def _deliver(self) -> None:
        state = self._s.over or ("partial" if self._s.partial else "answered")
        if state in ("answered", "partial"):
            with self._run.output("answer", input_ref=self._s.answer_ref or None) as step:  # type: ignore[arg-type]
                self._clock.advance(700)
                step.set(raw_output_ref=self._put(work.as_json(self._s.values)))
                step.set(evidence_refs=sorted(set(self._s.cites.values())))
        self._run.finish(state, raw_output_ref=self._s.answer_ref or None)

    # --- helpers

    def _put(self, data: bytes) -> str:
        return self._artifacts.put(data)

    def _version(self, **versions: str) -> dict[str, Any]:
        """Version anchors; the legacy service forgets them."""
        return {} if self._b.legacy else versions
