"""A run and its steps, as the application holds them.

Both are context managers. A step ends `ok` unless it is told otherwise; an exception that leaves it makes it `error`
with the exception's class, never its message, and goes on. Steps nest by context variable, so they find their parent
across awaits; a new thread starts outside the run unless it is started within `contextvars.copy_context().run`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, MutableMapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from causeline.producers import fields as f
from causeline.producers import propagation
from causeline.schemas import ids
from causeline.schemas.clock import Clock
from causeline.schemas.encode import RunWriter
from causeline.schemas.errors import InvalidEvent
from causeline.schemas.events import MAX_LIST
from causeline.schemas.judge import judge
from causeline.schemas.policy import Rules
from causeline.schemas.vocabulary import (
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
    from causeline.producers.tracer import Tracer

_current_run: ContextVar[Run | None] = ContextVar("causeline_run", default=None)
_current_step: ContextVar[Step | None] = ContextVar("causeline_step", default=None)


def current_run() -> Run | None:
    """The run of this context, if there is one."""
    return _current_run.get()


def current_step() -> Step | None:
    """The innermost open step of this context, if there is one."""
    return _current_step.get()


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy makes of a field's evidence: a gap and the next step, or neither."""

    kind: GapKind | None = None
    next_step: NextStep | None = None
    threshold: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the evidence suffices."""
        return self.kind is None


class Run:
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
    ) -> None:
        self._tracer = tracer
        self.run_id = run_id
        self.workflow = workflow
        self.project = project
        self.clock = clock
        self.rules = rules
        self.started_at = clock() if run_started_at is None else run_started_at
        self._parent_step_id = parent_step_id
        self._begins = begins
        self._finished_steps: list[str] = []
        self._emitter_id = ""
        self._writer: RunWriter | None = None
        self._seq = itertools.count()
        self._over = False
        self._tokens: list[Token[Run | None]] = []

    # --- begin and end

    def __enter__(self) -> Self:
        self._tokens.append(_current_run.set(self))
        if self._begins is not None:
            self._emit(EventType.RUN_STARTED, self.started_at, {"parent_step_id": self._parent_step_id, **self._begins})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current_run.reset(self._tokens.pop())
        if kind is not None:
            self.finish(FinalState.FAILED, error_type=kind.__name__)
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

        A run that goes on from another process (`Tracer.continue_run`) is ended by the process that began it.
        """
        if self._over:
            return
        self._over = True
        self._tracer.forget(self)
        if self._begins is None:
            return
        failed = error_type is not None or final_state == FinalState.FAILED
        self._emit(
            EventType.RUN_FINISHED,
            self.clock(),
            {
                "final_state": final_state,
                "status": Status.ERROR if failed else Status.OK,
                "error_type": error_type,
                "raw_output_ref": raw_output_ref,
                "expected_steps": self._finished_steps[:MAX_LIST],
                "labels": labels,
            },
        )

    # --- steps

    def step(self, kind: StepKind | str, name: str, *, announce: bool = False, **fields: Unpack[f.StepFields]) -> Step:
        """A step of any kind. `announce` tells its start at once, for steps that are long enough to watch."""
        return Step(self, kind, name, dict(fields), announce=announce)

    def parse(self, name: str, **fields: Unpack[f.ParseFields]) -> Step:
        """A step that parses an input."""
        return Step(self, StepKind.PARSE, name, dict(fields))

    def mask(self, name: str, **fields: Unpack[f.MaskFields]) -> Step:
        """A step that masks; what it masked where is an artifact like any other."""
        return Step(self, StepKind.MASK, name, dict(fields))

    def classify(self, name: str, **fields: Unpack[f.RouteFields]) -> Step:
        """A step that classifies."""
        return Step(self, StepKind.CLASSIFY, name, dict(fields))

    def route(self, name: str, **fields: Unpack[f.RouteFields]) -> Step:
        """A step that decides for a branch."""
        return Step(self, StepKind.ROUTE, name, dict(fields))

    def retrieve(self, name: str, **fields: Unpack[f.RetrieveFields]) -> Step:
        """A step that finds context."""
        return Step(self, StepKind.RETRIEVE, name, dict(fields))

    def prompt(self, name: str, **fields: Unpack[f.PromptFields]) -> Step:
        """A step that renders a prompt."""
        return Step(self, StepKind.PROMPT, name, dict(fields))

    def model_call(self, name: str, **fields: Unpack[f.ModelFields]) -> Step:
        """A step that asks a model."""
        return Step(self, StepKind.MODEL_CALL, name, dict(fields))

    def tool(self, name: str, **fields: Unpack[f.ToolFields]) -> Step:
        """A step that calls a tool."""
        return Step(self, StepKind.TOOL, name, dict(fields))

    def validate(self, name: str, **fields: Unpack[f.ValidateFields]) -> Step:
        """A step that validates an output."""
        return Step(self, StepKind.VALIDATE, name, dict(fields))

    def output(self, name: str, **fields: Unpack[f.OutputFields]) -> Step:
        """A step that gives the answer away."""
        return Step(self, StepKind.OUTPUT, name, dict(fields))

    # --- what is said besides

    def evidence(
        self,
        field: str,
        *,
        refs: Sequence[str] = (),
        score: float | None = None,
        required: bool = True,
        conflicting_refs: Sequence[str] = (),
        attempts: int = 0,
        next_step: NextStep | str | None = None,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Decision:
        """Say what supports a field's value, and learn at once what the policy wants done about it.

        `score` is 0 to 1. `attempts` counts the next steps for this field that came before. `next_step` is what the
        workflow will do where that is not what the policy names. No network, no wait.
        """
        found = judge(
            required=required,
            score=score,
            evidence_refs=refs,
            conflicting_refs=conflicting_refs,
            attempts=attempts,
            standard=self.rules.standard(field),
        )
        decision = Decision() if found is None else Decision(found.kind, found.next_step, found.threshold)
        step = _current_step.get()
        within = step is not None and step.run is self and step.kind == StepKind.EVIDENCE
        self._emit(
            EventType.EVIDENCE_CHECKED,
            self.clock(),
            {
                "step_id": step.step_id if step is not None and within else ids.new_step_id(),
                "parent_step_id": None if within else self._parent_of(step),
                "step_kind": StepKind.EVIDENCE,
                "step_name": name or (step.name if step is not None and within else field[:256]),
                "field_path": field,
                "evidence_required": required,
                "provenance_score": score,
                "evidence_refs": refs,
                "conflicting_refs": conflicting_refs,
                "retry_count": attempts,
                "next_step": next_step or decision.next_step,
                "policy_hash": self.rules.policy_hash,
                "labels": labels,
            },
        )
        return decision

    def fallback(self, kind: FallbackKind | str, *, reason: str | None = None) -> None:
        """Say that the workflow does something other than it meant to."""
        step = _current_step.get()
        said: dict[str, Any] = {"fallback_taken": kind, "fallback_reason": reason}
        if step is not None and step.run is self:
            said |= {"step_id": step.step_id, "step_kind": step.kind, "step_name": step.name}
        self._emit(EventType.FALLBACK_TAKEN, self.clock(), said)

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
        self._emit(
            EventType.REVIEW_RECORDED, self.clock(), review_fields(outcome, field, reviewer_ref, override_ref, note_ref)
        )

    def eval(self, case_id: str, outcome: str | None = None) -> None:
        """Say that the run answers an eval case, or became one."""
        self._emit(EventType.EVAL_RECORDED, self.clock(), {"eval_case_id": case_id, "eval_outcome": outcome})

    # --- other processes

    @property
    def traceparent(self) -> str:
        """This point of the run as a W3C `traceparent`."""
        headers: dict[str, str] = {}
        self.inject(headers)
        return headers["traceparent"]

    def inject(self, headers: MutableMapping[str, str]) -> None:
        """Write `traceparent` and `baggage` into the headers of a call, so that the run goes on at the other end."""
        step = _current_step.get()
        parent = step.step_id if step is not None and step.run is self else ids.derived_id(self.run_id)[:16]
        propagation.inject(
            headers, propagation.RemoteRun(self.run_id, parent, self.project, self.workflow, self.started_at)
        )

    # --- inside

    def _parent_of(self, step: Step | None) -> str | None:
        return step.step_id if step is not None and step.run is self else self._parent_step_id

    def _step_over(self, step: Step, occurred_at: int, said: dict[str, Any]) -> None:
        if self._emit(EventType.STEP_FINISHED, occurred_at, said):
            self._finished_steps.append(f"{step.kind}:{step.name}")

    def _emit(self, kind: EventType, occurred_at: int, said: dict[str, Any]) -> bool:
        """Number, mask, write and hand over one event. Never raises: what is wrong is counted, and leaves a hole."""
        emitter = self._tracer.emitter
        if emitter is None:
            return True
        try:
            if self._emitter_id != emitter.emitter_id:  # the first event, or the first after a fork
                self._writer = None
                self._emitter_id = emitter.emitter_id
                self._seq = itertools.count()
            if self._writer is None:
                self._writer = RunWriter(
                    run_id=self.run_id,
                    project=self.project,
                    workflow=self.workflow,
                    emitter_id=self._emitter_id,
                    run_started_at=self.started_at,
                )
            seq = next(self._seq)
            if kind is EventType.RUN_FINISHED:
                said["expected_events"] = seq + 1
            masked = self._tracer.masked(kind, said)
            if masked is None:
                return False
            event_id = ids.new_event_id()
            item = self._writer.encode(kind, event_id=event_id, seq=seq, occurred_at=occurred_at, fields=masked)
        except InvalidEvent as error:
            emitter.count_invalid(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, the application goes on
            emitter.count_invalid(f"{kind}: {type(error).__name__}")
            return False
        return emitter.emit(self.run_id, event_id, item)


class Step:
    """One step of a run. Made by the run's methods; a context manager, sync and async."""

    __slots__ = ("_announce", "_fields", "_parent", "_token", "kind", "name", "run", "started_at", "step_id")

    def __init__(
        self, run: Run, kind: StepKind | str, name: str, fields: dict[str, Any], *, announce: bool = False
    ) -> None:
        self.run = run
        self.kind = kind
        self.name = name
        self.step_id = ids.new_step_id()
        self.started_at = 0
        self._fields = fields
        self._announce = announce
        self._parent: str | None = None
        self._token: Token[Step | None] | None = None

    def set(self, **fields: Unpack[f.StepFields]) -> Self:
        """Say more of the step; a later word replaces an earlier one, labels are added."""
        more: dict[str, Any] = dict(fields)
        if "labels" in more and self._fields.get("labels"):
            more["labels"] = {**self._fields["labels"], **more["labels"]}
        self._fields.update(more)
        return self

    def label(self, labels: Mapping[str, object]) -> Self:
        """Add labels, as text."""
        return self.set(labels={key: _as_text(value) for key, value in labels.items()})

    def __enter__(self) -> Self:
        self.started_at = self.run.clock()
        self._parent = self.run._parent_of(_current_step.get())  # noqa: SLF001 - one module, two classes
        self._token = _current_step.set(self)
        if self._announce:
            self.run._emit(EventType.STEP_STARTED, self.started_at, self._identity())  # noqa: SLF001
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _current_step.reset(self._token)
            self._token = None
        said = self._identity()
        said["status"] = Status.OK
        said.update(self._fields)
        if kind is not None:
            said["status"] = Status.ERROR
            said.setdefault("error_type", kind.__name__)
        self.run._step_over(self, self.run.clock(), said)  # noqa: SLF001

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _identity(self) -> dict[str, Any]:
        return {
            "step_id": self.step_id,
            "parent_step_id": self._parent,
            "step_kind": self.kind,
            "step_name": self.name,
            "started_at": self.started_at,
        }


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


def _as_text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
