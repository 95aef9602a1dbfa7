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
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from causeline.producers import otel_context, propagation
from causeline.producers.context import current_run
from causeline.producers.decorators import traced
from causeline.producers.emitter import Emitter
from causeline.producers.file_transport import FileTransport
from causeline.producers.runs import Run, review_fields
from causeline.producers.stats import Left, Stats
from causeline.producers.steps import Step
from causeline.schemas import ids
from causeline.schemas.clock import Clock, system_clock
from causeline.schemas.events import MAX_LABELS
from causeline.schemas.otel_names import OTEL_LINK_LABEL
from causeline.schemas.policy import DEFAULT_POLICY, Policy, Rules
from causeline.schemas.policy_file import read_policy
from causeline.schemas.vocabulary import EVAL_CASE_LABEL, RELEASE_LABEL, EvalOutcome, EventType, ReviewOutcome, StepKind

P = ParamSpec("P")
T = TypeVar("T")

Mask = Callable[[EventType, Mapping[str, Any]], Mapping[str, Any] | None]
"""Sees every event's fields before they are written; gives what may be published, or None for nothing."""

_LOG = logging.getLogger(__name__)
_TIMESTAMP_DIGITS = 12
_MAX_TAKEN_UP = 10_000


class Tracer:
    """Puts runs on record. One a process is enough; safe for threads, asyncio and fork.

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
        self.project = project or os.environ.get("CAUSELINE_PROJECT") or "default"
        if enabled is None:
            enabled = os.environ.get("CAUSELINE_DISABLED", "").lower() not in ("1", "true", "yes")
        self.emitter = (emitter or _default_emitter()) if enabled else None
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
        remote, labels = propagation.parse_traceparent(traceparent), self._labelled(labels)
        if remote is None and run_id is None and self._follows_otel and (span := otel_context.current_span()):
            if self._is_first_of(span[0]):
                remote = span
            else:
                labels = _with(labels, OTEL_LINK_LABEL.format(0), ":".join(span))
        given = remote[0] if remote else run_id
        return Run(
            self,
            run_id=given or ids.new_run_id(),
            workflow=workflow,
            project=self.project,
            clock=clock or self._clock,
            rules=self._rules(workflow),
            parent_step_id=remote[1] if remote else None,
            begins={"input_ref": input_ref, "labels": labels},
            only_here=given is None,
        )

    def _is_first_of(self, trace_id: str) -> bool:
        """Whether no run of this trace began here before; atomic, for threads that begin at once."""
        if len(self._traces) >= _MAX_TAKEN_UP:
            self._traces.clear()
        mine = object()
        return self._traces.setdefault(trace_id, mine) is mine

    def _labelled(self, labels: Mapping[str, str] | None) -> Mapping[str, str] | None:
        said = {RELEASE_LABEL: self.release, EVAL_CASE_LABEL: self.eval_case_id}
        ours = {name: value for name, value in said.items() if value is not None}
        if not ours or (labels is not None and not isinstance(labels, Mapping)):
            return labels
        return ours | dict(labels or {})

    def continue_run(
        self, headers: Mapping[str, str], *, workflow: str | None = None, clock: Clock | None = None
    ) -> Run:
        """The run that `headers` speak of, going on here; a new run when they speak of none.

        Its events belong to the same run; its end is said by the process that began it.
        """
        remote = propagation.extract(headers)
        if remote is None:
            return self.run(workflow or "unknown", clock=clock)
        name = remote.workflow or workflow or "unknown"
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
        """Say what a reviewer decided about a run that is over, from any process; False when it was not taken."""
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
        """Say that a run that is over answers an eval case, or became one; False when it was not taken."""
        said = {"eval_case_id": case_id, "eval_outcome": outcome}
        return self._record(EventType.EVAL_RECORDED, run_id, workflow, run_started_at, said)

    def _record(
        self, kind: EventType, run_id: str, workflow: str, run_started_at: int | None, said: dict[str, Any]
    ) -> bool:
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
        """Make each call of a function a run: sync, async, or a generator of either kind."""
        return traced(lambda: self.run(name))

    def step(self, kind: StepKind | str, name: str | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Make each call of a function a step of its run, whatever kind of function it is; outside a run it is not
        traced. Without a `name` the step has the function's."""

        def decorate(function: Callable[P, T]) -> Callable[P, T]:
            step_name = name or str(getattr(function, "__name__", kind))

            def begin() -> Step | None:
                run = current_run()
                return None if run is None else run.step(kind, step_name)

            return traced(begin)(function)

        return decorate

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
        """Flush and stop; gives what is left. The end of the process does it too.

        Runs that were begun and not ended are logged; in the record they will be `unfinished`.
        """
        if self.emitter is None:
            return Left()
        left = self.emitter.close(timeout_s)
        if open_runs := self.emitter.stats().open_runs:
            _LOG.warning("Runs begun and not ended when the tracer closed: %d.", open_runs)
        return left

    def __enter__(self) -> "Tracer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- for runs

    def masked(self, kind: EventType, said: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What the masking hook lets through; None, and counted, when it fails: no result, no event."""
        if self._mask is None:
            return said
        try:
            masked = self._mask(kind, said)
            reason = "the masking hook gave nothing to publish"
        except Exception as error:  # noqa: BLE001 - it fails closed, and the application goes on
            masked, reason = None, f"the masking hook raised {type(error).__name__}"
        if isinstance(masked, Mapping):
            return masked
        if self.emitter is not None:
            self.emitter.count_mask_failed(f"{kind}: {reason}.")
        return None

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

    def _rules(self, workflow: object) -> Rules:
        # A workflow that is no text breaks the contract, which shows with its first event; here it must not raise.
        return self.policy.rules(workflow if isinstance(workflow, str) else "")


def _with(labels: Mapping[str, str] | None, name: str, value: str) -> Mapping[str, str] | None:
    """`labels` and one more where there is room; what is no mapping breaks the contract, as the first event shows."""
    if labels is not None and (not isinstance(labels, Mapping) or len(labels) >= MAX_LABELS):
        return labels
    return {name: value} | dict(labels or {})


def _start_in_id(run_id: str) -> int | None:
    """The start that a UUIDv7 carries, microseconds; None for other ids."""
    if not isinstance(run_id, str) or not ids.is_run_id(run_id) or run_id[_TIMESTAMP_DIGITS] != "7":
        return None
    return int(run_id[:_TIMESTAMP_DIGITS], 16) * 1000


def _policy_from_environment() -> Policy:
    file = os.environ.get("CAUSELINE_POLICY")
    return read_policy(Path(file)) if file else DEFAULT_POLICY


def _default_emitter() -> Emitter:
    """To Kafka, or into the file that CAUSELINE_TRACE_FILE names: where a gate reads what its target traced."""
    file = os.environ.get("CAUSELINE_TRACE_FILE")
    return Emitter(transport=lambda: FileTransport(file)) if file else Emitter()
