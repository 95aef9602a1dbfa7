"""What the rules ask of a run's record: the state of each field's evidence, the steps, and what came from what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from causeline.schemas.judge import Judgement, judge
from causeline.schemas.policy import Rules
from causeline.schemas.run import Evidence, Review, Run, Step
from causeline.schemas.vocabulary import FinalState, Status, StepKind


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

    @property
    def mended(self) -> bool:
        """Whether an earlier check found a gap that the last one does not."""
        return self.gap is None and any(judgement is not None for _, judgement in self.checks[:-1])


class Record:
    """A run, and the rules of its workflow, made easy to ask."""

    def __init__(self, run: Run, rules: Rules) -> None:
        self.run = run
        self.rules = rules

    def steps(self, *kinds: StepKind) -> tuple[Step, ...]:
        """The steps of these kinds, by start."""
        return tuple(step for step in self.run.steps if step.step_kind in kinds)

    def last_of_each(self, *kinds: StepKind) -> tuple[Step, ...]:
        """The last attempt at each step of these kinds: a step that is done again has the same kind and name."""
        return tuple({step.full_name: step for step in self.steps(*kinds)}.values())

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

    def author_of(self, evidence: Evidence) -> Step | None:
        """The model call whose value was held against its sources: the last one that answered before."""
        held_at = evidence.occurred_at
        calls = [
            step
            for step in self.steps(StepKind.MODEL_CALL)
            if step.status != Status.ERROR
            and (held_at is None or step.started_at is None or step.started_at <= held_at)
        ]
        return calls[-1] if calls else None

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
            if review.outcome in ("overridden", "rejected")
        }

    @cached_property
    def troubled(self) -> frozenset[str]:
        """Fields with something wrong: a gap left open, a correction, or an error at the last validation."""
        return frozenset(self.open_gaps) | frozenset(filter(None, self.corrections)) | frozenset(self.shape_errors)

    @cached_property
    def shape_errors(self) -> Mapping[str, Step]:
        """Field paths with an error at the last validation, and the step that found it."""
        return {
            path: step
            for step in self.last_of_each(StepKind.VALIDATE)
            for error in step.validation_errors
            if (path := error_path(error))
        }

    def measure(self, step: Step, name: str) -> float | None:
        """A measure of a step as a number; None when it was not recorded or is none."""
        try:
            return float(step.labels[name])
        except (KeyError, ValueError):
            return None

    def items(self, step: Step, name: str) -> frozenset[str] | None:
        """A measure of a step as a list; None when it was not recorded."""
        said = step.labels.get(name)
        return None if said is None else frozenset(filter(None, (part.strip() for part in said.split(","))))


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
    """What a step made: a retrieval makes the context that it found."""
    refs = [step.parsed_artifact_ref or "", step.raw_output_ref or ""]
    if step.step_kind == StepKind.RETRIEVE:
        refs += step.context_refs
    return frozenset(base(ref) for ref in refs if ref)


def derived_from(made: frozenset[str], steps: Sequence[Step]) -> frozenset[str]:
    """Everything that was made from `made`, through any number of steps, itself included."""
    known = set(made)
    for step in steps:
        if known & reads(step):
            known |= makes(step)
    return frozenset(known)


def named(steps: Sequence[Step]) -> Iterator[str]:
    """kind and kind:name of each step, as a policy names steps."""
    for step in steps:
        yield step.step_kind
        yield step.full_name
