"""What the rules ask of a run's record: the state of each field's evidence, its steps, and their attempts."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import accumulate

from causeline.schemas.judge import Judgement, judge
from causeline.schemas.policy import Rules
from causeline.schemas.run import Evidence, Review, Run, Step
from causeline.schemas.vocabulary import FinalState, ReviewOutcome, Status, StepKind

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FieldState:
    """How a field's evidence stood at its checks, the last of them last."""

    field_path: str
    checks: tuple[tuple[Evidence, Judgement | None], ...]

    @property
    def last(self) -> Evidence:
        """The last check."""
        return self.checks[-1][0]

    @property
    def gap(self) -> Judgement | None:
        """The gap that was left open, if one was."""
        return self.checks[-1][1]


class Record:
    """A run, and the rules of its workflow, made easy to ask. Every look-up is made once, so that asking is cheap."""

    def __init__(self, run: Run, rules: Rules) -> None:
        self.run = run
        self.rules = rules
        self.steps = run.steps
        self.by_kind: dict[str, list[int]] = {}
        self.attempts: dict[str, list[int]] = {}
        for place, step in enumerate(run.steps):
            self.by_kind.setdefault(step.step_kind, []).append(place)
            self.attempts.setdefault(step.full_name, []).append(place)

    def of_kind(self, *kinds: str) -> list[Step]:
        """The steps of these kinds, by start."""
        return [self.steps[place] for place in sorted(p for kind in kinds for p in self.by_kind.get(kind, ()))]

    def last_of_each(self, *kinds: str) -> list[Step]:
        """The last attempt at each step of these kinds: a step that is done again has the same kind and name."""
        return list({step.full_name: step for step in self.of_kind(*kinds)}.values())

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Where each step stands, by its id."""
        return {step.step_id: place for place, step in enumerate(self.steps)}

    @cached_property
    def around(self) -> frozenset[str]:
        """Ids of the steps that have steps within them."""
        return frozenset(step.parent_step_id for step in self.steps if step.parent_step_id) & self.place.keys()

    def last_attempt(self, step: Step) -> Step:
        """The last step of the same kind and name."""
        return self.steps[self.attempts[step.full_name][-1]]

    def is_mended(self, place: int) -> bool:
        """Whether the step was done again afterwards, and well; or by another model in its place."""
        step = self.steps[place]
        if self.well_after.get(step.full_name, -1) > place:
            return True
        return step.step_kind == StepKind.MODEL_CALL and self._other_model_after(place)

    @cached_property
    def well_after(self) -> Mapping[str, int]:
        """The place of the last attempt that went well, by kind and name."""
        return {
            step.full_name: place
            for place, step in enumerate(self.steps)
            if step.status == Status.OK and not step.refusal and not step.validation_errors
        }

    def _other_model_after(self, place: int) -> bool:
        failed = self.steps[place]
        following = place + 1
        while following < len(self.steps) and self.steps[following].step_kind != StepKind.MODEL_CALL:
            following += 1
        if following == len(self.steps):
            return False
        after = self.steps[following]
        return (
            after.status == Status.OK
            and after.parent_step_id == failed.parent_step_id
            and after.model_name != failed.model_name
            and (not failed.prompt_id or failed.prompt_id == after.prompt_id)
            and any(each.kind.endswith("_model") for each in self.run.fallbacks)
        )

    @property
    def answered(self) -> bool:
        """Whether the run gave an answer as if it were whole."""
        return self.run.final_state == FinalState.ANSWERED

    @cached_property
    def fields(self) -> Mapping[str, FieldState]:
        """The state of each field whose evidence was checked."""
        checks: dict[str, list[tuple[Evidence, Judgement | None]]] = {}
        for evidence in self.run.evidence:
            path = evidence.field_path or ""
            attempts = len(checks.get(path, ())) if evidence.retry_count is None else evidence.retry_count
            checks.setdefault(path, []).append((evidence, self._judge(evidence, attempts)))
        return {path: FieldState(path, tuple(made)) for path, made in checks.items()}

    def _judge(self, evidence: Evidence, attempts: int) -> Judgement | None:
        return judge(
            required=bool(evidence.evidence_required),
            score=evidence.provenance_score,
            evidence_refs=evidence.evidence_refs,
            conflicting_refs=evidence.conflicting_refs,
            attempts=attempts,
            standard=self.rules.standard(evidence.field_path),
        )

    def is_doubtful(self, evidence: Evidence) -> bool:
        """Whether a value's own source speaks against it: no support, or little where another source contradicts."""
        standard, score = self.rules.standard(evidence.field_path), evidence.provenance_score
        if score is None or not evidence.evidence_refs:
            return False
        return score < (standard.threshold if evidence.conflicting_refs else standard.support_floor)

    def call_before(self, at: datetime | None) -> Step | None:
        """The last model call that answered before a moment, or at all where there is none; None without any."""
        places, earliest = self._answering
        known = len(places) if at is None else bisect_right(earliest, at)
        return self.steps[places[known - 1]] if known else None

    def call_ahead_of(self, place: int) -> Step | None:
        """The last model call that answered before the step of a place; None where there is none."""
        places, _ = self._answering
        known = bisect_left(places, place)
        return self.steps[places[known - 1]] if known else None

    @cached_property
    def _answering(self) -> tuple[Sequence[int], Sequence[datetime]]:
        """Where the model calls that answered stand, and the earliest start of each and all after it.

        The last that began before a moment is the last whose earliest start is before it, in whatever order they began.
        """
        calls = self.by_kind.get(StepKind.MODEL_CALL, ())
        places = [place for place in calls if self.steps[place].status != Status.ERROR]
        starts = [self.steps[place].started_at or _LONG_AGO for place in places]
        return places, list(accumulate(reversed(starts), min))[::-1]

    @cached_property
    def open_gaps(self) -> Mapping[str, FieldState]:
        """The fields whose last check found a gap."""
        return {path: state for path, state in self.fields.items() if state.gap is not None}

    @cached_property
    def corrections(self) -> Mapping[str, Review]:
        """The reviews that overrode or rejected, by the field they are about; `` for the run as a whole."""
        return {
            review.field_path or "": review
            for review in self.run.reviews
            if review.outcome in (ReviewOutcome.OVERRIDDEN, ReviewOutcome.REJECTED)
        }

    @cached_property
    def shape_errors(self) -> Mapping[str, Step]:
        """Field paths with an error at the last validation, and the step that found it."""
        return {
            path: step
            for step in self.last_of_each(StepKind.VALIDATE)
            for error in step.validation_errors
            if (path := error_path(error))
        }

    @cached_property
    def troubled(self) -> frozenset[str]:
        """Fields with something wrong: a gap left open, a correction, or an error at the last validation."""
        return frozenset(self.open_gaps) | frozenset(filter(None, self.corrections)) | frozenset(self.shape_errors)


def measure(step: Step, name: str) -> float | None:
    """A measure of a step as a number; None when it was not recorded or is none."""
    try:
        return float(step.labels[name])
    except (KeyError, ValueError):
        return None


def items(step: Step, name: str) -> frozenset[str] | None:
    """A measure of a step as a list; None when it was not recorded."""
    text = step.labels.get(name)
    return None if text is None else frozenset(filter(None, (part.strip() for part in text.split(","))))


def errors_of(step: Step) -> tuple[str, ...]:
    """The errors that a check found; of a foreign check their number."""
    if step.validation_errors:
        return step.validation_errors
    return tuple(
        f"{text} {key.removesuffix('.items')}"
        for key, text in step.labels.items()
        if key.endswith("errors.items") and text not in ("0", "0.0")
    )


def asked_in_vain(record: Record, check: Step) -> list[Step]:
    """The attempts at a check that were all turned down, several of them and for the same; none otherwise.

    An answer that is no JSON at all is not meant: what a model was given has no part in that.
    """
    attempts = [record.steps[place] for place in record.attempts[check.full_name]]
    if len(attempts) < _SEVERAL:
        return []
    same = frozenset[str].intersection(*(frozenset(errors_of(step)) for step in attempts))
    return attempts if any(error_path(error) != "$" for error in same) else []


_SEVERAL = 2


def says_nothing(step: Step) -> bool:
    """Whether a step went well, and nothing on record says what went in or came out."""
    return step.status == Status.OK and not (
        step.input_ref or step.raw_output_ref or step.parsed_artifact_ref or step.context_refs or step.labels
    )


def error_path(error: str) -> str | None:
    """The JSON path in a validation error such as `type:$.total`."""
    at = error.find("$")
    return error[at:] if at >= 0 else None


def base(ref: str) -> str:
    """A reference without its fragment."""
    return ref.partition("#")[0]


def reads(step: Step) -> frozenset[str]:
    """What a step read."""
    refs = [step.input_ref or "", *step.context_refs, *step.evidence_refs]
    return frozenset(base(ref) for ref in refs if ref)


def makes(step: Step) -> frozenset[str]:
    """What a step made: whatever finds or chooses sources makes the context that it gives."""
    refs = [step.parsed_artifact_ref or "", step.raw_output_ref or ""]
    if step.step_kind not in (StepKind.MODEL_CALL, StepKind.PROMPT, StepKind.VALIDATE, StepKind.EVIDENCE):
        refs += step.context_refs
    return frozenset(base(ref) for ref in refs if ref)
