"""The tracer: what an application holds to put its workflows on record.

    tracer = Tracer(project="claims")                        # settings from CAUSELINE_…; nothing is opened yet

    with tracer.run("invoice", input_ref=ref) as run:
        with run.parse("pages", parser_version="2.1") as step:
            step.set(parsed_artifact_ref=parsed)
        decision = run.evidence("$.total", refs=[ref + "#page=1"], score=0.62)
        if decision.next_step == "search":
            ...
        run.finish("answered", raw_output_ref=answer)

    tracer.close()

Nothing here waits for the network, and nothing raises into the application: an event that breaks the contract is
counted, logged at most once a minute and visible in `tracer.stats()`.
"""

import itertools
import logging
import os
import secrets
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from causeline.producers import otel_context, propagation
from causeline.producers.context import current_run
from causeline.producers.decorators import name_of as name_of_function
from causeline.producers.decorators import traced
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.shared import SHARED
from causeline.producers.emitter.stats import Left, Stats
from causeline.producers.mending.event import is_sayable, marked, name_of, run_id_of, step_label, usable
from causeline.producers.mending.fields import Faults
from causeline.producers.runs import Run, review_fields
from causeline.producers.steps import Step
from causeline.runtime.clock import Clock, system_clock
from causeline.schemas import ids
from causeline.schemas.errors import InvalidEvent
from causeline.schemas.events import MAX_LABELS
from causeline.schemas.otel_names import OTEL_LINK_LABEL
from causeline.schemas.policy import DEFAULT_POLICY, Policy, Rules
from causeline.schemas.policy_file import read_policy
from causeline.schemas.vocabulary import EVAL_CASE_LABEL, RELEASE_LABEL, EvalOutcome, EventType, ReviewOutcome, StepKind

P = ParamSpec("P")
T = TypeVar("T")

Mask = Callable[[EventType, Mapping[str, Any]], Mapping[str, Any] | None]
"""Sees every event's fields before they are written; gives what may be published, or None for nothing."""

log = logging.getLogger(__name__)
_TIMESTAMP_DIGITS = 12
_MAX_TAKEN_UP = 10_000


class Tracer:
    """Puts runs on record. Safe for threads, asyncio and fork; a process may make as many as it likes, for all that are
    made without an emitter share one.

    `project` falls back to CAUSELINE_PROJECT, `policy` to the file CAUSELINE_POLICY and then to the built-in one. A
    disabled tracer (`enabled=False`, or CAUSELINE_DISABLED=1) has the same face and no network. Where an OpenTelemetry
    span is current, a run is that of its trace, unless `follow_otel=False`.
    """

    def __init__(
        self,
        project: str | None = None,
        *,
        emitter: Emitter | None = None,
        policy: Policy | None = None,
        clock: Clock = system_clock,
        mask: Mask | None = None,
        enabled: bool | None = None,
        release: str | None = None,
        follow_otel: bool = True,
    ) -> None:
        self.project = name_of(project or os.environ.get("CAUSELINE_PROJECT") or "default", "project", Faults())
        if enabled is None:
            enabled = os.environ.get("CAUSELINE_DISABLED", "").lower() not in ("1", "true", "yes")
        self._shares = enabled and emitter is None
        self.emitter = (emitter or SHARED.join(self)) if enabled else None
        self.policy = policy or _policy_from_environment()
        self._clock = clock
        self._mask = mask
        self.masks = mask is not None
        self.release = release or os.environ.get("CAUSELINE_RELEASE") or None
        """Release of the application: the label `release` of every run that begins here."""
        self.eval_case_id = os.environ.get("CAUSELINE_EVAL_CASE_ID") or None
        """The eval case that this process answers: the label `eval.case` of every run that begins here."""
        self._taken_up: dict[str, itertools.count[int]] = {}
        self._follows_otel = follow_otel
        self._traces: dict[str, object] = {}
        self._key = secrets.token_hex(8)
        _tracers[self._key] = self

    @classmethod
    def disabled(cls) -> "Tracer":
        """A tracer that records nothing."""
        return cls(enabled=False)

    # --- runs

    def run(
        self,
        workflow: str,
        *,
        input_ref: str | None = None,
        labels: Mapping[str, str] | None = None,
        traceparent: str | None = None,
        run_id: str | None = None,
        clock: Clock | None = None,
    ) -> Run:
        """A new run, with `run_id` or an id of its own; with a `traceparent` it is the run of that trace.

        Without either it is the run of the OpenTelemetry trace that is current here. Only the first run of a trace can
        be that: every other one has an id of its own, and the label `otel.link.0` names the span it began under.
        """
        faults = Faults()
        given = None if run_id is None else run_id_of(run_id, faults)
        workflow = name_of(workflow, "workflow", faults)
        if labels is not None and not isinstance(labels, Mapping):
            faults.drop("labels", "pairs of texts")
            labels = None
        labels = self._labelled(labels)
        remote = propagation.parse_traceparent(traceparent)
        if remote is None and run_id is None and self._follows_otel and (span := otel_context.current_span()):
            if self._is_first_of(span[0]):
                remote = span
            else:
                labels = _with(labels, OTEL_LINK_LABEL.format(0), ":".join(span))
        given = remote[0] if remote else given
        return Run(
            self,
            run_id=given or ids.new_run_id(),
            workflow=workflow,
            project=self.project,
            clock=clock or self._clock,
            rules=self._rules(workflow),
            parent_step_id=remote[1] if remote else None,
            begins={"input_ref": input_ref, "labels": self._noting(faults, labels)},
            only_here=given is None,
        )

    def _noting(self, faults: Faults, labels: Any) -> Any:
        """Labels of a run's start, with the names of what of the run itself could not be used."""
        if not faults:
            return labels
        if self.emitter is not None:
            self.emitter.count_mended(faults.sentences(EventType.RUN_STARTED))
        said, more = usable(EventType.RUN_STARTED, {"labels": labels})
        for name, should_be in more.dropped.items():
            faults.drop(name, should_be)
        return marked(said.get("labels"), faults)

    def _is_first_of(self, trace_id: str) -> bool:
        """Whether no run of this trace began here before; atomic, for threads that begin at once."""
        if len(self._traces) >= _MAX_TAKEN_UP:
            self._traces.clear()
        mine = object()
        return self._traces.setdefault(trace_id, mine) is mine

    def _labelled(self, labels: Mapping[str, str] | None) -> Mapping[str, str] | None:
        said = {RELEASE_LABEL: self.release, EVAL_CASE_LABEL: self.eval_case_id}
        ours = {name: value for name, value in said.items() if value is not None}
        return ours | dict(labels or {}) if ours else labels

    def continue_run(
        self, headers: Mapping[str, str], *, workflow: str | None = None, clock: Clock | None = None
    ) -> Run:
        """The run that `headers` speak of, going on here; a new run when they speak of none.

        Its events belong to the same run; its end is said by the process that began it.
        """
        remote = propagation.extract(headers)
        if remote is None:
            return self.run(workflow or "unknown", clock=clock)
        name = remote.workflow or name_of(workflow or "unknown", "workflow", Faults())
        return Run(
            self,
            run_id=remote.run_id,
            workflow=name,
            project=remote.project or self.project,
            clock=clock or self._clock,
            rules=self._rules(name),
            run_started_at=remote.run_started_at or _start_in_id(remote.run_id),
            parent_step_id=None
            if remote.parent_step_id == propagation.root_of(remote.run_id)
            else remote.parent_step_id,
            only_here=False,
        )

    def record_review(
        self,
        run_id: str,
        workflow: str,
        outcome: ReviewOutcome | str,
        *,
        run_started_at: int | None = None,
        field: str | None = None,
        reviewer_ref: str | None = None,
        override_ref: str | None = None,
        note_ref: str | None = None,
    ) -> bool:
        """Say what a reviewer decided about a run that is over, from any process; False when it was not taken. It is
        published to the topic of decisions, which this process needs the right to write to."""
        said = review_fields(outcome, field, reviewer_ref, override_ref, note_ref)
        return self._record(EventType.REVIEW_RECORDED, run_id, workflow, run_started_at, said)

    def record_eval(
        self,
        run_id: str,
        workflow: str,
        case_id: str,
        outcome: EvalOutcome | str | None = None,
        *,
        run_started_at: int | None = None,
    ) -> bool:
        """Say that a run that is over answers an eval case, or became one; False when it was not taken. Published as a
        review is."""
        said = {"eval_case_id": case_id, "eval_outcome": outcome}
        return self._record(EventType.EVAL_RECORDED, run_id, workflow, run_started_at, said)

    def _record(
        self, kind: EventType, run_id: str, workflow: str, run_started_at: int | None, said: dict[str, Any]
    ) -> bool:
        faults = Faults()
        run_id, workflow = run_id_of(run_id, faults) or "", name_of(workflow, "workflow", faults)
        if not run_id or not is_sayable(kind, said):
            if self.emitter is not None:
                what = "run_id: should be 32 hex digits" if not run_id else "it does not say what was decided"
                self.emitter.count_unpublished(InvalidEvent(f"{kind}: {what}."))
            return False
        run = Run(
            self,
            run_id=run_id,
            workflow=workflow,
            project=self.project,
            clock=self._clock,
            rules=self._rules(workflow),
            run_started_at=run_started_at or _start_in_id(run_id) or self._clock(),
            only_here=False,
        )
        return run.say(kind, self._clock(), said)

    # --- decorators

    def workflow(self, name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Make each call of a function a run, whatever kind of function it is; what it returns to be asked or awaited
        later, a generator or coroutine, belongs to it."""
        return traced(lambda _function: lambda: self.run(name))

    def step(self, kind: StepKind | str, name: str | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Make each call of a function a step of its run, whatever kind of function it is. Outside a run it is counted
        and not traced. Without a `name` the step has the function's."""

        def begin_of(function: Callable[..., Any]) -> Callable[[], Step | None]:
            step_name = name or name_of_function(function)

            def begin() -> Step | None:
                run = current_run()
                if run is None:
                    self.count_outside(f"{step_label(kind, step_name)} was called where no run is current.")
                    return None
                return run.step(kind, step_name)

            return begin

        return traced(begin_of)

    # --- upkeep

    def inject(self, headers: MutableMapping[str, str]) -> None:
        """Write the current run into the headers of a call; without a run nothing is written."""
        if (run := current_run()) is not None:
            run.inject(headers)

    def stats(self) -> Stats:
        """What has become of the events so far."""
        return Stats() if self.emitter is None else self.emitter.stats()

    def flush(self, timeout_s: float | None = None) -> Left:
        """Wait until all is delivered, at most `timeout_s`; gives what is left."""
        return Left() if self.emitter is None else self.emitter.flush(timeout_s)

    def close(self, timeout_s: float | None = None) -> Left:
        """Flush, and stop with the last tracer that shares the emitter; gives what is left. The end of the process does
        it too.

        Runs that were begun and not ended are logged; in the record they will be `unfinished`.
        """
        if self.emitter is None:
            return Left()
        if self._shares and not SHARED.leave(self.emitter, self):
            return self.emitter.flush(timeout_s)  # other tracers go on
        left = self.emitter.close(timeout_s)
        if open_runs := self.emitter.stats().open_runs:
            log.warning("Runs begun and not ended when the tracer closed: %d.", open_runs)
        return left

    def __enter__(self) -> "Tracer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __copy__(self) -> "Tracer":
        return self

    def __deepcopy__(self, _: object) -> "Tracer":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """In this process, and in its forks, itself; in another one a tracer like it, which emits where that process's
        environment says. Its clock stays here."""
        options = {
            "project": self.project,
            "policy": self.policy,
            "mask": self._mask,
            "enabled": self.emitter is not None,
            "release": self.release,
            "follow_otel": self._follows_otel,
        }
        return _known_or_made, (self._key, options)

    # --- for runs

    def masked(self, kind: EventType, fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What the masking hook lets through; None, and counted, when it fails: no result, no event."""
        if self._mask is None:
            return fields
        try:
            masked = self._mask(kind, fields)
        except (KeyboardInterrupt, SystemExit) as error:  # the process is to end, and the event is not published either
            self._count_mask_failed(kind, error)
            raise
        except BaseException as error:  # noqa: BLE001 - it fails closed, and the application goes on
            self._count_mask_failed(kind, error)
            return None
        if isinstance(masked, Mapping):
            return masked
        self._count_mask_failed(kind, None)
        return None

    def _count_mask_failed(self, kind: EventType, error: BaseException | None) -> None:
        what = "gave nothing to publish" if error is None else f"raised {type(error).__name__}"
        if self.emitter is not None:
            self.emitter.count_mask_failed(f"{kind}: the masking hook {what}.")

    def count_outside(self, reason: str) -> None:
        """A step was not within its run."""
        if self.emitter is not None:
            self.emitter.count_outside(reason)

    def count_open_runs(self, change: int) -> None:
        """A run began (1) or ended (-1)."""
        if self.emitter is not None:
            self.emitter.count_open_runs(change)

    def writer_name(self, run_id: str, emitter_id: str, *, only_here: bool) -> str:
        """Under which emitter id the events of one `Run` object are numbered.

        A run that may be taken up more than once in a process has a name of its own each time, so that no two events
        of it have one number.
        """
        if only_here:
            return emitter_id
        if len(self._taken_up) >= _MAX_TAKEN_UP:
            self._taken_up.clear()
        return f"{emitter_id}+{next(self._taken_up.setdefault(run_id, itertools.count(1)))}"

    def _rules(self, workflow: str) -> Rules:
        return self.policy.rules(workflow)


def _with(labels: Mapping[str, str] | None, name: str, value: str) -> Mapping[str, str] | None:
    """`labels` and one more where there is room."""
    if labels is not None and len(labels) >= MAX_LABELS:
        return labels
    return {name: value} | dict(labels or {})


def _start_in_id(run_id: str) -> int | None:
    """The start that a UUIDv7 carries, microseconds; None for other ids."""
    if not isinstance(run_id, str) or not ids.is_run_id(run_id) or run_id[_TIMESTAMP_DIGITS] != "7":
        return None
    return int(run_id[:_TIMESTAMP_DIGITS], 16) * 1000


_tracers: WeakValueDictionary[str, Tracer] = WeakValueDictionary()


def _known_or_made(key: str, options: Mapping[str, Any]) -> Tracer:
    known = _tracers.get(key)
    if known is None:
        known = Tracer(**options)
        known._key = key  # noqa: SLF001 - our own
        _tracers[key] = known
    return known


def _policy_from_environment() -> Policy:
    file = os.environ.get("CAUSELINE_POLICY")
    return read_policy(Path(file)) if file else DEFAULT_POLICY
