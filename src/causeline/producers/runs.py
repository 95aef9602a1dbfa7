"""A run, as the application holds it: a context manager that makes steps and says what happens besides.

Steps nest by context variable, so they find their parent across awaits. A function for another thread is taken there
by `run.bind(function)`, or by `contextvars.copy_context().run`.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextvars import Token
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Self, TypeVar

from causeline.producers import context, propagation
from causeline.producers.boundaries import Boundaries
from causeline.producers.sampling import Emit, SampledRun, is_always_kept
from causeline.producers.steps import Step, class_name, cut, is_failure
from causeline.schemas import ids
from causeline.schemas.clock import Clock
from causeline.schemas.encode import OF_EVERY_STEP, RunWriter
from causeline.schemas.errors import InvalidEvent
from causeline.schemas.events import MAX_LIST, ConflictSide
from causeline.schemas.judge import judge, weigh
from causeline.schemas.policy import Rules
from causeline.schemas.vocabulary import (
    EvalOutcome,
    EventType,
    FallbackKind,
    FinalState,
    GapKind,
    NextStep,
    ReviewOutcome,
    Status,
    StepKind,
)

if TYPE_CHECKING:
    from causeline.producers.emitter import Emitter
    from causeline.producers.tracer import Tracer

P = ParamSpec("P")
T = TypeVar("T")

_OK = Status.OK
_MAX_NAME = 256
_MAX_STEP = 300
_MAX_STEP_LABELS = 4096
_CONFLICT = 2
"""So many values make a conflict."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy makes of a field's evidence: a gap and the next step, or neither."""

    kind: GapKind | None = None
    next_step: NextStep | None = None
    threshold: float | None = None
    stands: ConflictSide | None = None
    """Of a conflict, the side that the policy's authority lets stand."""

    @property
    def ok(self) -> bool:
        """Whether the evidence suffices."""
        return self.kind is None


class _Pen(NamedTuple):
    """What one process writes a run's events with: the bytes that stay the same, the next number, where they go."""

    writer: RunWriter
    numbers: itertools.count[int]
    emit: Emit
    sampled: SampledRun | None
    """Where not all runs are on record."""


class Run(Boundaries):
    """One run of a workflow. Made by `Tracer.run`; safe to share between threads and tasks."""

    def __init__(
        self,
        tracer: Tracer,
        *,
        run_id: str,
        workflow: str,
        project: str,
        clock: Clock,
        rules: Rules,
        run_started_at: int | None = None,
        parent_step_id: str | None = None,
        begins: Mapping[str, Any] | None = None,
        only_here: bool = True,
    ) -> None:
        self._tracer = tracer
        self.run_id = run_id
        self.workflow = workflow
        self.project = project
        self.clock = clock
        self.rules = rules
        self.started_at = clock() if run_started_at is None else run_started_at
        self.parent_step_id = parent_step_id
        self._begins = begins
        self._only_here = only_here
        self._begun_in = 0
        self._over = False
        self._finished_steps: list[str] = []
        self._pens: dict[str, _Pen] = {}
        self._tokens: list[Token[Run | None]] = []
        self.outer: Run | None = None
        """The run that was current before."""
        self.is_left = False

    # --- begin and end

    def __enter__(self) -> Self:
        if not self._tokens:
            self.outer, self.is_left = context.current_run(), False
        self._tokens.append(context.RUN.set(self))
        if self._begins is not None and not self._begun_in:
            self._begun_in = context.PROCESS.number
            self.say(EventType.RUN_STARTED, self.started_at, {"parent_step_id": self.parent_step_id, **self._begins})
            self._tracer.count_open_runs(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_left = len(self._tokens) <= 1
        if self._tokens:
            context.leave(context.RUN, self._tokens.pop())
        if not self.is_left:
            return
        if is_failure(kind):
            self.finish(FinalState.FAILED, error_type=class_name(kind))
        else:
            self.finish(FinalState.ANSWERED)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def finish(
        self,
        final_state: FinalState | str = FinalState.ANSWERED,
        *,
        error_type: str | None = None,
        raw_output_ref: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """End the run; the first call counts, and leaving the `with` block ends what is not ended yet.

        A run that goes on from another process, by `Tracer.continue_run` or by fork, is ended by the one that began it.
        """
        if self._over or self._begun_in != context.PROCESS.number:
            return
        self._over = True
        self._tracer.count_open_runs(-1)
        failed = error_type is not None or final_state == FinalState.FAILED
        ending = {"final_state": final_state, "status": Status.ERROR if failed else _OK, "error_type": error_type}
        sampled = self._sampled()
        if sampled is not None:
            if is_always_kept(EventType.RUN_FINISHED, ending):
                sampled.keep()
            elif not sampled.end():
                return
            labels = sampled.with_share(labels)
        more = {"raw_output_ref": raw_output_ref, "labels": labels, "expected_steps": self._finished_steps}
        # An end that breaks the contract in what it carries is said again without that: its loss shows as a hole.
        if not self.say(EventType.RUN_FINISHED, self.clock(), {**ending, **more}) and self._pens:
            self.say(EventType.RUN_FINISHED, self.clock(), ending)

    # --- what is said besides

    def judge(
        self,
        field: str,
        *,
        refs: Sequence[str] = (),
        score: float | None = None,
        required: bool = True,
        conflicting_refs: Sequence[str] = (),
        sides: Sequence[ConflictSide] = (),
        attempts: int = 0,
    ) -> Decision:
        """What the policy makes of some evidence, recorded nowhere: for a workflow that weighs before it decides."""
        try:
            conflicting_refs = conflicting_refs or _conflicting(refs, sides)
            found = judge(
                required=required,
                score=score,
                evidence_refs=refs,
                conflicting_refs=conflicting_refs,
                attempts=attempts,
                standard=self.rules.standard(field),
            )
            stands = _standing(sides, self.rules.authority) if sides else None
        except (AttributeError, TypeError, ValueError):  # a score that is no number supports nothing, and stops nothing
            return Decision(GapKind.UNSUPPORTED_FIELD, NextStep.REVIEW)
        return Decision() if found is None else Decision(found.kind, found.next_step, found.threshold, stands)

    def evidence(
        self,
        field: str,
        *,
        refs: Sequence[str] = (),
        score: float | None = None,
        required: bool = True,
        conflicting_refs: Sequence[str] = (),
        sides: Sequence[ConflictSide] = (),
        attempts: int = 0,
        next_step: NextStep | str | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Decision:
        """Say what supports a field's value, and learn at once what the policy wants done about it.

        `score` is 0 to 1. `attempts` counts the next steps for this field that came before. `next_step` is what the
        workflow will do where that is not what the policy names (`judge` tells beforehand what it does). `sides` are
        what the sources say where they disagree, each kept with its value: those that `refs` do not use conflict, and
        the decision's `stands` is the one that the policy's authority ranks first. Within an evidence step the event
        belongs to it, elsewhere it is a step by itself. No network, no wait.
        """
        conflicting_refs = conflicting_refs or _conflicting(refs, sides)
        decision = self.judge(
            field,
            refs=refs,
            score=score,
            required=required,
            conflicting_refs=conflicting_refs,
            sides=sides,
            attempts=attempts,
        )
        step = context.current_step()
        within = step is not None and step.run is self and step.kind == StepKind.EVIDENCE
        self.say(
            EventType.EVIDENCE_CHECKED,
            self.clock(),
            {
                "step_id": step.step_id if step is not None and within else ids.new_step_id(),
                "parent_step_id": None if within else self.parent_of(step),
                "step_kind": StepKind.EVIDENCE,
                "step_name": name or (step.name if step is not None and within else cut(field, _MAX_NAME)),
                "field_path": field,
                "evidence_required": required,
                "provenance_score": score,
                "evidence_refs": refs,
                "conflicting_refs": conflicting_refs,
                "conflict_sides": sides or None,
                "retry_count": attempts,
                "next_step": next_step or decision.next_step,
                "policy_hash": self.rules.policy_hash,
                "labels": labels,
            },
        )
        return decision

    def fallback(self, kind: FallbackKind | str, *, reason: str | None = None) -> None:
        """Say that the workflow does something other than it meant to."""
        step = context.current_step()
        said: dict[str, Any] = {"fallback_taken": kind, "fallback_reason": reason}
        if step is not None and step.run is self:
            said |= {"step_id": step.step_id, "step_kind": step.kind, "step_name": step.name}
        self.say(EventType.FALLBACK_TAKEN, self.clock(), said)

    def review(
        self,
        outcome: ReviewOutcome | str,
        *,
        field: str | None = None,
        reviewer_ref: str | None = None,
        override_ref: str | None = None,
        note_ref: str | None = None,
    ) -> None:
        """Say what a reviewer decided; references, never names or texts."""
        self.say(
            EventType.REVIEW_RECORDED, self.clock(), review_fields(outcome, field, reviewer_ref, override_ref, note_ref)
        )

    def eval(self, case_id: str, outcome: EvalOutcome | str | None = None) -> None:
        """Say that the run answers an eval case, or became one."""
        self.say(EventType.EVAL_RECORDED, self.clock(), {"eval_case_id": case_id, "eval_outcome": outcome})

    def keep(self) -> None:
        """Put the run on record whatever the emitter's sample; without one every run is."""
        sampled = self._sampled()
        if sampled is not None:
            sampled.keep()

    # --- other processes

    @property
    def traceparent(self) -> str:
        """This point of the run as a W3C `traceparent`."""
        headers: dict[str, str] = {}
        self.inject(headers)
        return headers["traceparent"]

    def inject(self, headers: MutableMapping[str, str]) -> None:
        """Write `traceparent` and `baggage` into the headers of a call, so that the run goes on at the other end.

        From here on the run is on record, for the other end cannot know how this one will end.
        """
        self.keep()
        step = context.current_step()
        parent = step.step_id if step is not None and step.run is self else propagation.root_of(self.run_id)
        propagation.inject(
            headers, propagation.RemoteRun(self.run_id, parent, self.project, self.workflow, self.started_at)
        )

    def bind(self, function: Callable[P, T]) -> Callable[P, T]:
        """`function` so that it runs within this run and its current step, on whatever thread it is called."""
        here = contextvars.copy_context()
        here.run(context.RUN.set, self)

        @functools.wraps(function)
        def bound(*args: P.args, **kwargs: P.kwargs) -> T:
            return here.copy().run(function, *args, **kwargs)

        return bound

    # --- for steps and the tracer

    def _run(self) -> Run:
        return self

    def say(self, kind: EventType, occurred_at: int, said: dict[str, Any]) -> bool:
        """Number, mask, write and hand over one event; False when it was not taken.

        Never raises: what is wrong is counted, and its number leaves a hole.
        """
        emitter = self._tracer.emitter
        if emitter is None:
            return True
        try:
            pen = self._pens.get(emitter.emitter_id) or self._new_pen(emitter)
            seq = next(pen.numbers)
            if kind is EventType.RUN_FINISHED:
                said["expected_events"] = seq + 1
            masked = self._tracer.masked(kind, said)
            if masked is None:
                self.keep()
                return False
            if pen.sampled is not None and is_always_kept(kind, masked):
                pen.sampled.keep()
            event_id, item = pen.writer.write(kind, seq=seq, occurred_at=occurred_at, fields=masked)
        except Exception as error:  # noqa: BLE001 - whatever it is, the application goes on
            self._count(emitter, kind, error)
            return False
        return pen.emit(self.run_id, event_id, item)

    def step_over(
        self, step: Step, parent: str | None, fields: dict[str, Any], failure: type[BaseException] | None
    ) -> None:
        """A step has ended, well or by an exception, and says these fields."""
        at = self.clock()
        # Also a step whose event is dropped is expected: so the record can name what it lacks.
        if len(self._finished_steps) < MAX_LIST:
            try:
                self._finished_steps.append(_step_labels[step.kind, step.name])
            except TypeError:  # it cannot be hashed, and breaks the contract, which its event shows
                self._finished_steps.append(cut(f"{step.kind}:{step.name}", _MAX_STEP))
        tracer = self._tracer
        emitter = tracer.emitter
        if emitter is None:
            return
        status = _OK
        if failure is not None:
            status = Status.ERROR
            fields = {"error_type": class_name(failure), **fields}
            if "status" in fields:
                fields["status"] = status
        of_every_step = (step.started_at, step.step_id, parent, step.kind, step.name, status)
        if tracer.masks:
            said = {**dict(zip(OF_EVERY_STEP, of_every_step, strict=True)), **fields}
            self.say(EventType.STEP_FINISHED, at, said)
            return
        try:
            pen = self._pens.get(emitter.emitter_id) or self._new_pen(emitter)
            if pen.sampled is not None and is_always_kept(EventType.STEP_FINISHED, {"status": status, **fields}):
                pen.sampled.keep()
            event_id, item = pen.writer.write_step(next(pen.numbers), at, of_every_step, fields)
        except Exception as error:  # noqa: BLE001 - whatever it is, the application goes on
            self._count(emitter, EventType.STEP_FINISHED, error)
        else:
            pen.emit(self.run_id, event_id, item)

    def _count(self, emitter: Emitter, kind: EventType, error: Exception) -> None:
        if not isinstance(error, InvalidEvent):
            error = InvalidEvent(f"{kind}: cannot be written ({type(error).__name__}).")
        self.keep()  # a run with a hole says so
        emitter.count_unpublished(error)

    def _sampled(self) -> SampledRun | None:
        emitter = self._tracer.emitter
        pen = None if emitter is None else self._pens.get(emitter.emitter_id)
        return None if pen is None else pen.sampled

    def _new_pen(self, emitter: Emitter) -> _Pen:
        """For the first event of this process, which a fork makes another one; two threads get the same."""
        emitter_id = emitter.emitter_id
        name = self._tracer.writer_name(self.run_id, emitter_id, only_here=self._only_here)
        # What this process does not end it cannot hold until the end.
        sampled = emitter.sampling.begin(self.run_id) if self._begun_in == context.PROCESS.number else None
        emit = emitter.emit if sampled is None else sampled.emit
        writer = RunWriter(
            run_id=self.run_id,
            project=self.project,
            workflow=self.workflow,
            emitter_id=name,
            run_started_at=self.started_at,
        )
        return self._pens.setdefault(emitter_id, _Pen(writer, itertools.count(), emit, sampled))

    def parent_of(self, step: Step | None) -> str | None:
        """What a new step within `step` has for its parent."""
        return step.step_id if step is not None and step.run is self else self.parent_step_id


class _StepLabels(dict[tuple[object, object], str]):
    """kind:name of the steps met before."""

    def __missing__(self, step: tuple[object, object]) -> str:
        if len(self) >= _MAX_STEP_LABELS:
            self.clear()
        label = self[step] = cut(f"{step[0]}:{step[1]}", _MAX_STEP)
        return label


_step_labels = _StepLabels()


def _conflicting(refs: Sequence[str], sides: Sequence[ConflictSide]) -> Sequence[str]:
    """The sources that speak against what is used: of sides that give different values, those that `refs` lack."""
    try:
        if len({side.value_ref for side in sides}) < _CONFLICT:
            return ()
        against = [side.source_ref for side in sides if side.source_ref not in refs]
        return against or [side.source_ref for side in sides[1:]]
    except (AttributeError, TypeError):  # what is no side, or no reference, is refused where the event is written
        return ()


def _standing(sides: Sequence[ConflictSide], authority: Sequence[str]) -> ConflictSide | None:
    weights = weigh([side.source_kind for side in sides], authority)
    return next((side for side, weight in zip(sides, weights, strict=True) if weight.won), None)


def review_fields(
    outcome: ReviewOutcome | str,
    field: str | None,
    reviewer_ref: str | None,
    override_ref: str | None,
    note_ref: str | None,
) -> dict[str, Any]:
    """What a review event says."""
    return {
        "review_outcome": outcome,
        "field_path": field,
        "reviewer_ref": reviewer_ref,
        "override_ref": override_ref,
        "review_note_ref": note_ref,
    }
