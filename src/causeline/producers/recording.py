"""A run as far as it is written: its events numbered, masked, encoded and handed to the emitter.

Whoever says something of a run says it here: the run itself, and each step at its end. Nothing raises: what is wrong is
counted, its number leaves a hole, and the run's end lists the steps that there were, so that the record can name what
it lacks.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from causeline.producers.context import PROCESS
from causeline.producers.mending.event import step_label
from causeline.producers.pen import Pen, moment
from causeline.producers.sampling import SampledRun, is_always_kept
from causeline.runtime.clock import Clock
from causeline.schemas.decisions import DECISIONS
from causeline.schemas.errors import InvalidEvent
from causeline.schemas.events import MAX_LIST
from causeline.schemas.vocabulary import EventType, Status, StepKind
from causeline.schemas.wire.writer import OF_EVERY_STEP, RunWriter

if TYPE_CHECKING:
    from causeline.producers.emitter.emitter import Emitter

_OK = Status.OK
_MAX_STEP_LABELS = 4096
_MASKED = "masked"
"""Name, in the list of a run's steps, of one whose masking failed."""


class Recorder(Protocol):
    """Who records runs; the tracer is one."""

    masks: bool
    """Whether there is a masking hook."""

    @property
    def emitter(self) -> Emitter | None:
        """Where events go; None where nothing is recorded."""

    def masked(self, kind: EventType, fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What the masking hook lets through of an event; None when it is not to be published."""

    def writer_name(self, run_id: str, emitter_id: str, *, only_here: bool) -> str:
        """Under which emitter id the events of one `Run` object are numbered."""

    def count_outside(self, reason: str) -> None:
        """A step was not within its run."""

    def count_open_runs(self, change: int) -> None:
        """A run began (1) or ended (-1)."""

    def continue_run(self, headers: Mapping[str, str]) -> Recording:
        """The run that headers speak of, going on here."""


class EndedStep(Protocol):
    """What the end of a step says of the step itself."""

    step_id: str
    kind: StepKind | str
    name: str
    started_at: int


class Recording:
    """What is on record of a run by this process and its forks. Safe to share between threads and tasks."""

    def __init__(
        self,
        recorder: Recorder,
        *,
        run_id: str,
        workflow: str,
        project: str,
        clock: Clock,
        started_at: int | None,
        parent_step_id: str | None,
        only_here: bool,
    ) -> None:
        self._recorder = recorder
        self.run_id = run_id
        self.workflow = workflow
        self.project = project
        self.clock = clock
        self.started_at = moment(clock() if started_at is None else started_at)
        self.parent_step_id = parent_step_id
        self._only_here = only_here
        self._begun_in = 0
        self._over = False
        self._finished_steps: list[str] = []
        self._pens: dict[str, Pen] = {}

    def say(self, kind: EventType, occurred_at: int, fields: dict[str, Any]) -> bool:
        """Number, mask, write and hand over one event; False when it was not taken.

        Never raises: what is wrong is counted, and its number leaves a hole.
        """
        emitter = self._recorder.emitter
        if emitter is None:
            return True
        try:
            if kind in DECISIONS:  # what is decided about the run puts it on record, and goes by another door
                self.keep()
                emitter = emitter.decisions
            pen = self._pens.get(emitter.emitter_id) or self._new_pen(emitter)
            seq = next(pen.numbers)
            if kind is EventType.RUN_FINISHED:
                fields["expected_events"] = seq + 1
            masked = self._recorder.masked(kind, fields)
            if masked is None:
                self.keep()
                return False
            return pen.put(kind, seq, occurred_at, masked)
        except Exception as error:  # noqa: BLE001 - whatever it is, the application goes on
            self._count(emitter, kind, error)
            return False

    def step_over(self, step: EndedStep, parent: str | None, fields: dict[str, Any], error_type: str | None) -> None:
        """A step has ended and says these fields; `error_type` is the class of the exception that ended it."""
        at = self.clock()
        recorder = self._recorder
        emitter = recorder.emitter
        if emitter is None:
            return
        status = _OK
        if error_type is not None:
            status = Status.ERROR
            fields = {"error_type": error_type, **fields}
            if "status" in fields:
                fields["status"] = status
        if self._over:
            recorder.count_outside(
                f"{step_label(step.kind, _MASKED if recorder.masks else step.name)} ended after its run."
            )
        of_every_step = (step.started_at, step.step_id, parent, step.kind, step.name, status)
        if recorder.masks:
            self._step_over_masked(at, {**dict(zip(OF_EVERY_STEP, of_every_step, strict=True)), **fields})
            return
        self._expect(step.kind, step.name)
        try:
            pen = self._pens.get(emitter.emitter_id) or self._new_pen(emitter)
            if pen.sampled is not None and is_always_kept(EventType.STEP_FINISHED, {"status": status, **fields}):
                pen.sampled.keep()
            seq = next(pen.numbers)
            try:
                event_id, item = pen.writer.write_step(seq, at, of_every_step, fields)
            except Exception:  # noqa: BLE001 - a subclass of str or int may raise anything where it is encoded
                event_id, item = pen.mend_step(seq, at, of_every_step, fields)
        except Exception as error:  # noqa: BLE001 - whatever it is, the application goes on
            self._count(emitter, EventType.STEP_FINISHED, error)
        else:
            pen.emit(self.run_id, event_id, item)

    def _step_over_masked(self, at: int, fields: dict[str, Any]) -> None:
        """The end of a step as the masking hook lets it through; what the run's end says of it is no more than that."""
        kind, emitter = EventType.STEP_FINISHED, self._recorder.emitter
        masked = self._recorder.masked(kind, fields)
        self._expect(fields["step_kind"], _MASKED if masked is None else masked.get("step_name"))
        if emitter is None:
            return
        try:
            pen = self._pens.get(emitter.emitter_id) or self._new_pen(emitter)
            seq = next(pen.numbers)
            if masked is None:
                self.keep()
            else:
                pen.put(kind, seq, at, masked)
        except Exception as error:  # noqa: BLE001 - whatever it is, the application goes on
            self._count(emitter, kind, error)

    def _expect(self, kind: object, name: object) -> None:
        """Also a step whose event is dropped is expected: so the record can name what it lacks."""
        if len(self._finished_steps) < MAX_LIST:
            try:
                self._finished_steps.append(_STEP_LABELS[kind, name])
            except TypeError:  # it cannot be hashed
                self._finished_steps.append(step_label(kind, name))

    def _count(self, emitter: Emitter, kind: EventType, error: Exception) -> None:
        if not isinstance(error, InvalidEvent):
            error = InvalidEvent(f"{kind}: cannot be written ({type(error).__name__}).")
        self.keep()  # a run with a hole says so
        emitter.count_unpublished(error)

    def keep(self) -> None:
        """Put the run on record whatever the emitter's sample; without one every run is."""
        sampled = self._sampled()
        if sampled is not None:
            sampled.keep()

    def _sampled(self) -> SampledRun | None:
        emitter = self._recorder.emitter
        pen = None if emitter is None else self._pens.get(emitter.emitter_id)
        return None if pen is None else pen.sampled

    def _new_pen(self, emitter: Emitter) -> Pen:
        """For the first event of this process, which a fork makes another one; two threads get the same."""
        emitter_id = emitter.emitter_id
        # What this process does not end it cannot hold until the end.
        sampled = emitter.sampling.begin(self.run_id) if self._begun_in == PROCESS.number else None
        writer = RunWriter(
            run_id=self.run_id,
            project=self.project,
            workflow=self.workflow,
            emitter_id=self._recorder.writer_name(self.run_id, emitter_id, only_here=self._only_here),
            run_started_at=self.started_at,
        )
        emit = emitter.emit if sampled is None else sampled.emit
        return self._pens.setdefault(emitter_id, Pen(self.run_id, writer, itertools.count(), emitter, emit, sampled))


class _StepLabels(dict[tuple[object, object], str]):
    """kind:name of the steps met before."""

    def __missing__(self, step: tuple[object, object]) -> str:
        if len(self) >= _MAX_STEP_LABELS:
            self.clear()
        label = self[step] = step_label(*step)
        return label


_STEP_LABELS = _StepLabels()
