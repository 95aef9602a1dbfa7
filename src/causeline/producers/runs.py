"""A run, as the application holds it: a context manager that makes steps and says what happens besides.

How its events are numbered and written is `recording.py`, how it makes its steps `boundaries.py`.

Steps nest by context variable, so they find their parent across awaits. A function for another thread is taken there
by `run.bind(function)`, or by `contextvars.copy_context().run`.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextvars import Token
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from causeline.producers import context, propagation
from causeline.producers.boundaries import Boundaries
from causeline.producers.evidence import LOST, Decision, conflicting, decided
from causeline.producers.mending.event import marked, name_of, usable
from causeline.producers.mending.fields import Faults
from causeline.producers.recording import Recorder, Recording
from causeline.producers.sampling import is_always_kept
from causeline.producers.steps import class_name, is_failure, parent_within
from causeline.runtime.clock import Clock
from causeline.schemas import ids
from causeline.schemas.events import ConflictSide
from causeline.schemas.policy import Rules
from causeline.schemas.vocabulary import (
    EvalOutcome,
    EventType,
    FallbackKind,
    FinalState,
    NextStep,
    ReviewOutcome,
    Status,
    StepKind,
)

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["Decision", "Run", "review_fields"]


class Run(Boundaries):
    """One run of a workflow. Made by `Tracer.run`; safe to share between threads and tasks."""

    def __init__(
        self,
        recorder: Recorder,
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
        super().__init__(
            recorder,
            run_id=run_id,
            workflow=workflow,
            project=project,
            clock=clock,
            started_at=run_started_at,
            parent_step_id=parent_step_id,
            only_here=only_here,
        )
        self.rules = rules
        self._begins = begins
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
            self._recorder.count_open_runs(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_left = len(self._tokens) <= 1
        if self._tokens:
            context.leave(context.RUN, self._tokens.pop())
        if not self.is_left:
            return
        if is_failure(kind, error):
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
        self._recorder.count_open_runs(-1)
        failed = error_type is not None or final_state == FinalState.FAILED
        ending = {"final_state": final_state, "status": Status.ERROR if failed else Status.OK, "error_type": error_type}
        sampled = self._sampled()
        if sampled is not None:
            if is_always_kept(EventType.RUN_FINISHED, ending):
                sampled.keep()
            elif not sampled.end():
                return
            labels = sampled.with_share(labels)
        more = {"raw_output_ref": raw_output_ref, "labels": labels, "expected_steps": self._finished_steps}
        # An end that the masking hook withholds is said again, bare: its loss shows as a hole.
        if not self.say(EventType.RUN_FINISHED, self.clock(), {**ending, **more}) and self._recorder.masks:
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
        given = {"field_path": field, "evidence_required": required, "provenance_score": score, "evidence_refs": refs}
        return decided(self._judged({**given, "retry_count": attempts}, conflicting_refs, sides), self.rules, score)

    def _judged(
        self, given: dict[str, Any], conflicting_refs: Sequence[str], sides: Sequence[ConflictSide]
    ) -> dict[str, Any]:
        """The fields that are judged, as their event will say them."""
        said, faults = usable(
            EventType.EVIDENCE_CHECKED, {**given, "conflicting_refs": conflicting_refs, "conflict_sides": sides}
        )
        if not said.get("conflicting_refs") and said.get("conflict_sides"):
            said["conflicting_refs"] = conflicting(said.get("evidence_refs", ()), said["conflict_sides"])
        if faults:
            said["labels"] = marked(said.get("labels"), faults)
            self.keep()
            if self._recorder.emitter is not None:
                self._recorder.emitter.count_mended(faults.sentences(EventType.EVIDENCE_CHECKED))
        return said

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
        step = context.current_step()
        within = step is not None and step.run is self and step.kind == StepKind.EVIDENCE
        given = {
            "step_id": step.step_id if step is not None and within else ids.new_step_id(),
            "parent_step_id": None if within else parent_within(self, step),
            "step_kind": StepKind.EVIDENCE,
            "step_name": name or (step.name if step is not None and within else name_of(field, "field_path", Faults())),
            "field_path": field,
            "evidence_required": required,
            "provenance_score": score,
            "evidence_refs": refs,
            "retry_count": attempts,
            "policy_hash": self.rules.policy_hash,
            "labels": labels,
        }
        said = self._judged(given, conflicting_refs, sides)
        decision = decided(said, self.rules, score)
        said["next_step"] = next_step or decision.next_step
        return decision if self.say(EventType.EVIDENCE_CHECKED, self.clock(), said) else LOST

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
        """Say what a reviewer decided; references, never names or texts. It is published to the topic of decisions,
        which this process needs the right to write to."""
        self.say(
            EventType.REVIEW_RECORDED, self.clock(), review_fields(outcome, field, reviewer_ref, override_ref, note_ref)
        )

    def eval(self, case_id: str, outcome: EvalOutcome | str | None = None) -> None:
        """Say that the run answers an eval case, or became one; published as a review is."""
        self.say(EventType.EVAL_RECORDED, self.clock(), {"eval_case_id": case_id, "eval_outcome": outcome})

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

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Where it is unpickled it goes on, as by its headers: it is ended here."""
        headers: dict[str, str] = {}
        self.inject(headers)
        return _going_on, (self._recorder, headers)

    def bind(self, function: Callable[P, T]) -> Callable[P, T]:
        """`function` so that it runs within this run and its current step, on whatever thread it is called."""
        here = contextvars.copy_context()
        here.run(context.RUN.set, self)

        @functools.wraps(function)
        def bound(*args: P.args, **kwargs: P.kwargs) -> T:
            return here.copy().run(function, *args, **kwargs)

        return bound


def _going_on(recorder: Recorder, headers: dict[str, str]) -> Recording:
    return recorder.continue_run(headers)


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
