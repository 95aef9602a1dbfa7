"""A run as its workflow speaks of it; each form of instrumentation keeps what it keeps."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.zoo.protocol import Fault, Surroundings
from benchmarks.zoo.sealed.model import Ask, Model, Said, Skill
from benchmarks.zoo.sealed.troubles import ModelTimeout, Overloaded, RateLimited, Trouble
from causeline import Run, Step

PASSING = (RateLimited, Overloaded, ModelTimeout)
"""Troubles that another try may be spared."""


class Bad:
    """Whether this run's fault is the one of that name."""

    def __init__(self, fault: Fault | None) -> None:
        self.name = fault.name if fault else ""

    def __call__(self, *names: str) -> bool:
        return self.name in names


class Note:
    """What a step says of itself. This one keeps nothing."""

    def say(self, **fields: Any) -> None:
        """Fields of the trace contract."""

    def measure(self, measures: Mapping[str, object]) -> None:
        """Measures of the trace contract."""

    def tell(self, words: Mapping[str, object]) -> None:
        """Words of the team's own."""

    def failed(self, error: str) -> None:
        """The step failed, though nothing was raised."""


class Book(ABC):
    """One run. What its methods are told is what happened; they decide what of it is kept."""

    run_id: str

    @abstractmethod
    def keep(self, content: str) -> str:
        """Store content; gives its reference."""

    @abstractmethod
    def step(self, kind: str, name: str, **fields: Any) -> AbstractContextManager[Note]:
        """A step."""

    @abstractmethod
    def ask(self, model: Model, ask: Ask, skill: Skill, tries: int = 3) -> Said:
        """Ask a model, again where that may help. Raises the last Trouble."""

    @abstractmethod
    def evidence(
        self,
        field: str,
        *,
        refs: Sequence[str] = (),
        score: float | None = None,
        required: bool = True,
        conflicting: Sequence[str] = (),
        attempts: int = 0,
    ) -> None:
        """What supports a field's value."""

    @abstractmethod
    def fallback(self, kind: str, reason: str) -> None:
        """Something else was done than was meant."""

    @abstractmethod
    def review(
        self,
        outcome: str,
        *,
        field: str | None = None,
        reviewer: str = "reviewer:1",
        override: str | None = None,
        note: str | None = None,
    ) -> None:
        """A person looked. `override` and `note` are content."""

    @abstractmethod
    def evaluated(self, case: str, outcome: str) -> None:
        """An evaluation of the answer."""

    @abstractmethod
    def finish(
        self,
        state: str,
        *,
        answer: str | None = None,
        error: str | None = None,
        words: Mapping[str, object] | None = None,
    ) -> None:
        """The run is over."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a hurried team keeps of a step."""

    kind: str
    fields: frozenset[str]
    name: str | None = None
    words: bool = False
    measures: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """What a team records through Causeline. Without `steps` it is all that there is."""

    steps: Mapping[str, Kept] | None = None
    """By `kind:name`, else by `kind`."""
    evidence: bool = True
    fallbacks: bool = True
    reviews: bool = True
    evals: bool = True
    final_words: frozenset[str] | None = None

    def kept(self, kind: str, name: str) -> Kept | None:
        """None: the step is not recorded."""
        if self.steps is None:
            return None
        return self.steps.get(f"{kind}:{name}") or self.steps.get(kind)


WHOLE = Habit()
CONTRACT = frozenset(
    [
        "input",
        "parse",
        "mask",
        "classify",
        "route",
        "retrieve",
        "prompt",
        "model_call",
        "tool",
        "validate",
        "evidence",
        "fallback",
        "review",
        "eval",
        "output",
        "custom",
    ]
)
CONTENT = frozenset({"raw_output_ref", "parsed_artifact_ref", "input_ref"})


class _StepNote(Note):
    """Says it through a step of Causeline; content becomes a reference."""

    def __init__(self, book: "LineBook", step: Step, kept: Kept | None) -> None:
        self._book, self._step, self._kept = book, step, kept

    def say(self, **fields: Any) -> None:
        kept = self._kept
        chosen = {key: value for key, value in fields.items() if kept is None or key in kept.fields}
        self._step.set(**self._book.referred(chosen))

    def measure(self, measures: Mapping[str, object]) -> None:
        if self._kept is None or self._kept.measures:
            self._step.label(measures)

    def tell(self, words: Mapping[str, object]) -> None:
        if self._kept is None or self._kept.words:
            self._step.label(words)

    def failed(self, error: str) -> None:
        self._step.set(status="error", error_type=error)


class LineBook(Book):
    """A run put on record by Causeline."""

    def __init__(self, run: Run, around: Surroundings, habit: Habit) -> None:
        self.run_id = run.run_id
        self._run, self._around, self._habit = run, around, habit
        self._kept: dict[str, str] = {}

    def keep(self, content: str) -> str:
        if content not in self._kept:
            self._kept[content] = self._around.artifacts.put(content.encode())
        return self._kept[content]

    def referred(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Content among the fields, stored."""
        return {
            key: self.keep(value) if key in CONTENT and not value.startswith(("artifact:", "sha256:")) else value
            for key, value in fields.items()
            if value is not None
        }

    def _whole(self) -> bool:
        return self._habit.steps is None

    @contextmanager
    def step(self, kind: str, name: str, **fields: Any) -> Iterator[Note]:
        kept = self._habit.kept(kind, name)
        if kept is None and not self._whole():
            yield Note()
            return
        told = kept.kind if kept else (kind if kind in CONTRACT else "custom")
        called = (kept.name if kept else None) or name
        with self._run.step(told, called) as step:
            note = _StepNote(self, step, kept)
            if told == "custom" and kept is None:
                note.tell({"kind": kind})
            note.say(**fields)
            yield note

    def ask(self, model: Model, ask: Ask, skill: Skill, tries: int = 3) -> Said:
        with self.step(
            "model_call",
            ask.step,
            prompt_id=ask.prompt_id,
            prompt_version=ask.prompt_version,
            model_provider=model.provider,
            model_name=model.name,
            model_policy=model.policy,
            temperature=ask.temperature,
            top_p=1.0,
            seed=7,
            context_refs=list(ask.context),
        ) as note:
            said, tried = attempts(model, ask, skill, tries, note)
            note.say(
                retry_count=tried,
                system_fingerprint=said.fingerprint,
                input_tokens=said.input_tokens,
                output_tokens=said.output_tokens,
                cost_usd=said.cost,
                raw_output_ref=said.text,
                refusal=said.refusal or None,
            )
            note.measure({"model.finish_reason": said.finish})
        return said

    def evidence(
        self,
        field: str,
        *,
        refs: Sequence[str] = (),
        score: float | None = None,
        required: bool = True,
        conflicting: Sequence[str] = (),
        attempts: int = 0,
    ) -> None:
        if self._habit.evidence:
            self._run.evidence(
                field, refs=refs, score=score, required=required, conflicting_refs=conflicting, attempts=attempts
            )

    def fallback(self, kind: str, reason: str) -> None:
        if self._habit.fallbacks:
            self._run.fallback(kind, reason=reason)

    def review(
        self,
        outcome: str,
        *,
        field: str | None = None,
        reviewer: str = "reviewer:1",
        override: str | None = None,
        note: str | None = None,
    ) -> None:
        if self._habit.reviews:
            self._run.review(
                outcome,
                field=field,
                reviewer_ref=reviewer,
                override_ref=self.keep(override) if override is not None else None,
                note_ref=self.keep(note) if note is not None else None,
            )

    def evaluated(self, case: str, outcome: str) -> None:
        if self._habit.evals:
            self._run.eval(case, outcome)

    def finish(
        self,
        state: str,
        *,
        answer: str | None = None,
        error: str | None = None,
        words: Mapping[str, object] | None = None,
    ) -> None:
        chosen = self._habit.final_words
        labels = {key: str(value) for key, value in (words or {}).items() if chosen is None or key in chosen}
        self._run.finish(
            state, error_type=error, raw_output_ref=self.keep(answer) if answer else None, labels=labels or None
        )


def attempts(model: Model, ask: Ask, skill: Skill, tries: int, note: Note) -> tuple[Said, int]:
    """Asks until it is answered, and at which try it was."""
    for tried in range(tries):
        try:
            return model.attempt(ask, skill, tried), tried
        except PASSING:
            note.say(retry_count=tried)
            if tried + 1 == tries:
                raise
    raise Trouble


Work = Callable[[Book], None]


def on_line(
    name: str, around: Surroundings, habit: Habit, work: Work, *, about: str, labels: Mapping[str, str] | None = None
) -> str:
    """Do the work as a run of Causeline; an exception that ends it is on record, and goes no further."""
    assert around.tracer is not None
    ref = around.artifacts.put(about.encode()) if habit.steps is None else None
    run = around.tracer.run(name, input_ref=ref, labels=labels)
    try:
        with run:
            work(LineBook(run, around, habit))
    except Trouble:
        return run.run_id
    return run.run_id
