"""A workflow tells a recorder what it does; this one says it by a `Tracer`, wholly or as a hurried team would."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from benchmarks.zoo.open.kit.model import Ask, Reply
from benchmarks.zoo.open.kit.text import Passage
from benchmarks.zoo.protocol import Form, Surroundings
from causeline import ArtifactStore, Run, Step

Serve = Callable[[Ask], Reply]
OWN_KINDS = ("agent", "guardrail", "embed", "rerank")  # no kinds of Causeline's: such a step is `custom`


class Note:
    """What is said of a step. This one keeps nothing."""

    def say(self, **fields: Any) -> None:
        """Fields as the contract names them."""

    def labels(self, said: Mapping[str, object]) -> None:
        """Labels and measures."""

    def reads(self, text: str) -> None:
        """What goes in."""

    def gives(self, text: str) -> None:
        """What comes out."""

    def shows(self, passages: Sequence[Passage]) -> None:
        """Passages that come out, the best first."""

    def failed(self, error: Exception) -> None:
        """The step did not do its work and the workflow goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a model, as the team names things."""

    name: str
    prompt_id: str
    prompt_version: str
    provider: str
    policy: str = "default"
    price: tuple[float, float] = (2e-7, 8e-7)
    """USD a token, in and out."""
    retry: int = 0

    def cost(self, reply: Reply) -> float:
        return round(reply.tokens_in * self.price[0] + reply.tokens_out * self.price[1], 8)


class Recorder(ABC):
    """Where a workflow tells what it does."""

    run_id = ""

    @abstractmethod
    def run(self, name: str, text: str, labels: Mapping[str, str]) -> Any:
        """A context manager around all of a run."""

    @abstractmethod
    def step(self, kind: str, name: str, **fields: Any) -> Any:
        """A context manager around a step; gives its `Note`."""

    @abstractmethod
    def model(self, call: Call, ask: Ask, serve: Serve, passages: Sequence[Passage] = ()) -> Reply:
        """Ask a model; `passages` are what of the documents stands in the question."""

    @abstractmethod
    def evidence(
        self, field: str, passages: Sequence[Passage], score: float | None, *, against: Sequence[Passage] = ()
    ) -> None:
        """What supports a field's value, and what speaks `against` it."""

    @abstractmethod
    def fallback(self, kind: str, reason: str) -> None:
        """Something else is done than was meant."""

    @abstractmethod
    def review(self, outcome: str, *, field: str | None = None, value: str | None = None, note: str = "") -> None:
        """A person decided; `value` is what stands instead."""

    @abstractmethod
    def grade(self, case: str, outcome: str) -> None:
        """An evaluator decided."""

    @abstractmethod
    def finish(self, state: str, text: str, labels: Mapping[str, str]) -> None:
        """How the run ends and what it gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a hurried team keeps of a step, and what it calls it."""

    kind: str = ""
    name: str = ""
    fields: frozenset[str] = frozenset()
    labels: tuple[tuple[str, str], ...] = ()
    """A measure's name and what the team calls it."""


def kept(fields: str = "", *, kind: str = "", name: str = "", **labels: str) -> Kept:
    """Fields by their names with blanks between; labels as theirs=measure, `__` for a dot."""
    renamed = tuple((measure.replace("__", "."), own) for own, measure in labels.items())
    return Kept(kind=kind, name=name, fields=frozenset(fields.split()), labels=renamed)


class _StepNote(Note):
    def __init__(self, recorder: "Traced", step: Step, kind: str, keep: Kept | None) -> None:
        self._recorder, self._step, self._kind, self._keep = recorder, step, kind, keep

    def say(self, **fields: Any) -> None:
        if self._keep is not None:
            fields = {k: v for k, v in fields.items() if k in self._keep.fields}
        self._step.set(**fields)

    def labels(self, said: Mapping[str, object]) -> None:
        if self._keep is not None:
            said = {own: said[name] for name, own in self._keep.labels if name in said}
        self._step.label({k: v for k, v in said.items() if v is not None and v != ""})

    def _refer(self, field: str, text: str) -> None:
        if self._keep is None or field in self._keep.fields:
            said: dict[str, Any] = {field: self._recorder.ref(text)}
            self._step.set(**said)

    def reads(self, text: str) -> None:
        self._refer("input_ref", text)

    def gives(self, text: str) -> None:
        self._refer("parsed_artifact_ref" if self._kind in ("parse", "mask") else "raw_output_ref", text)

    def shows(self, passages: Sequence[Passage]) -> None:
        if self._keep is None or "context_refs" in self._keep.fields:
            self._step.set(context_refs=[self._recorder.place(p) for p in passages])

    def failed(self, error: Exception) -> None:
        self.say(status="error", error_type=type(error).__name__)


_places: dict[
    tuple[int, str], tuple[ArtifactStore, str]
] = {}  # a store that is named here lives on, so its id is its own


class Traced(Recorder):
    """Records with a tracer: all, or only what `keep` names (`kind:name`, or `kind`)."""

    def __init__(self, around: Surroundings, keep: Mapping[str, Kept] | None) -> None:
        assert around.tracer is not None
        self._tracer, self._store, self._keep = around.tracer, around.artifacts, keep
        self._run: Run

    def ref(self, text: str) -> str:
        return self._store.put(text.encode())

    def place(self, passage: Passage) -> str:
        """Where a passage stands; documents are stored once."""
        at = (id(self._store), passage.whole)
        if at not in _places:
            _places[at] = (self._store, self.ref(passage.whole))
        return f"{_places[at][1]}#chunk={passage.number}"

    def _of(self, kind: str, name: str) -> Kept | None:
        assert self._keep is not None
        return self._keep.get(f"{kind}:{name}", self._keep.get(kind))

    @contextmanager
    def run(self, name: str, text: str, labels: Mapping[str, str]) -> Iterator[None]:
        given: dict[str, Any] = {}
        if self._keep is None or "input" in self._keep:
            given["input_ref"] = self.ref(text)
        if self._keep is None or "run" in self._keep:
            own = labels if self._keep is None else {o: labels[m] for m, o in self._keep["run"].labels if m in labels}
            given["labels"] = own
        with self._tracer.run(name, **given) as self._run:
            self.run_id = self._run.run_id
            yield

    @contextmanager
    def step(self, kind: str, name: str, **fields: Any) -> Iterator[Note]:
        keep = None if self._keep is None else self._of(kind, name)
        if self._keep is not None and keep is None:
            yield Note()
            return
        kind_said = "custom" if kind in OWN_KINDS else kind
        if keep is not None:
            fields = {k: v for k, v in fields.items() if k in keep.fields}
            kind_said = keep.kind or kind_said
        with self._run.step(kind_said, (keep.name if keep else "") or name, **fields) as step:
            yield _StepNote(self, step, kind_said, keep)

    def model(self, call: Call, ask: Ask, serve: Serve, passages: Sequence[Passage] = ()) -> Reply:
        settings = {"temperature": ask.temperature, "retry_count": call.retry, "model_policy": call.policy}
        if ask.seed is not None:
            settings["seed"] = ask.seed
        keep = None if self._keep is None else self._of("model_call", call.name)
        if keep is None or "input_ref" in keep.fields:  # before the step begins, whose time is the model's
            settings["input_ref"] = self.ref(ask.text)
        with self.step(
            "model_call",
            call.name,
            prompt_id=call.prompt_id,
            prompt_version=call.prompt_version,
            model_provider=call.provider,
            model_name=ask.model,
            **settings,
        ) as note:
            note.shows(passages)
            reply = serve(ask)
            note.gives(reply.text if reply.tool is None else f"{reply.text}\n{reply.tool}")
            note.say(
                model_name=reply.model,
                system_fingerprint=reply.fingerprint,
                input_tokens=reply.tokens_in,
                output_tokens=reply.tokens_out,
                cost_usd=call.cost(reply),
            )
            if reply.refusal:
                note.say(refusal=True)
            note.labels({"model.finish_reason": reply.finish})
        return reply

    def evidence(
        self, field: str, passages: Sequence[Passage], score: float | None, *, against: Sequence[Passage] = ()
    ) -> None:
        if self._keep is None or "evidence" in self._keep:
            refs = [self.place(p) for p in passages]
            conflicting = [self.place(p) for p in against]
            self._run.evidence(field, refs=refs, score=score, conflicting_refs=conflicting)

    def fallback(self, kind: str, reason: str) -> None:
        if self._keep is None or "fallback" in self._keep:
            self._run.fallback(kind, reason=reason)

    def review(self, outcome: str, *, field: str | None = None, value: str | None = None, note: str = "") -> None:
        if self._keep is None:
            self._run.review(
                outcome,
                field=field,
                reviewer_ref="reviewer:12",
                override_ref=None if value is None else self.ref(value),
                note_ref=self.ref(note) if note else None,
            )
        elif "review" in self._keep:
            self._run.review(outcome)

    def grade(self, case: str, outcome: str) -> None:
        if self._keep is None or "eval" in self._keep:
            self._run.eval(case, outcome)

    def finish(self, state: str, text: str, labels: Mapping[str, str]) -> None:
        if self._keep is None:
            self._run.finish(state, raw_output_ref=self.ref(text), labels=labels)
            return
        own = {o: labels[m] for m, o in self._keep["finish"].labels if m in labels} if "finish" in self._keep else {}
        self._run.finish(state, labels=own)


def recorder(form: Form, around: Surroundings, keep: Mapping[str, Kept], style: str, serve_name: str) -> Recorder:
    """The recorder of a form; libraries of OpenTelemetry are imported only for theirs."""
    if form is Form.OTEL:
        made: Recorder = import_module(f"benchmarks.zoo.open.kit.{style}").recorder(around, serve_name)
        return made
    return Traced(around, keep if form is Form.PARTIAL else None)
