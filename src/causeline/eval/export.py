"""From a run that went wrong to a case: what must hold, and what must not come back. Pure."""

from causeline.diagnosis import Diagnosis, Finding
from causeline.diagnosis.model import ROUTE_FIELDS
from causeline.eval.case import MAX_RUNS, EvalCase, Expected, FirstCause, Reviewed, case_id
from causeline.schemas.run import Run
from causeline.schemas.vocabulary import FinalState, ReviewOutcome, StepKind

_ANCHORS = (
    "prompt_id", "prompt_version", "model_provider", "model_name", "model_policy", "system_fingerprint",
    "parser_version", "schema_version", "route_policy_version",
)  # fmt: skip


def case_of(run: Run, diagnosis: Diagnosis) -> EvalCase | None:
    """The case of a run's first cause; None where nothing is wrong, or its input was never recorded."""
    finding = _blamed(diagnosis)
    if finding is None or run.input_ref is None:
        return None
    field = min(finding.fields) if len(finding.fields) >= 1 else None
    boundary = StepKind.of(finding.boundary)
    return EvalCase(
        version=1,
        id=case_id(run.workflow, boundary.value, field),
        workflow=run.workflow,
        input_ref=run.input_ref,
        expect=_expected(run, finding),
        first_cause=FirstCause(boundary=boundary, rule=finding.rule, field=field, headline=finding.headline),
        review=tuple(
            Reviewed(outcome=ReviewOutcome(each.outcome), field=each.field_path, override_ref=each.override_ref)
            for each in run.reviews
            if each.outcome in set(ReviewOutcome)  # a word of a newer producer asks for nothing that we could check
        ),
        anchors={name: str(value) for name in _ANCHORS if (value := getattr(run, name)) is not None},
        runs=(run.run_id,),
        policy_hash=run.policy_hash,
    )


def merged(known: EvalCase, new: EvalCase) -> EvalCase:
    """The case that is there, with the runs of another of the same id; what people wrote into it stays."""
    runs = tuple(dict.fromkeys((*known.runs, *new.runs)))[:MAX_RUNS]
    return known.model_copy(update={"runs": runs})


def _blamed(diagnosis: Diagnosis) -> Finding | None:
    """What a fix must change: the first cause."""
    return None if diagnosis.first_cause is None else diagnosis.first_cause.finding


def _expected(run: Run, finding: Finding) -> Expected:
    overridden = {
        review.field_path: review.override_ref
        for review in run.reviews
        if review.outcome == ReviewOutcome.OVERRIDDEN and review.field_path is not None
    }
    route_is_wrong = bool(ROUTE_FIELDS & overridden.keys()) or finding.boundary in (StepKind.ROUTE, StepKind.CLASSIFY)
    blamed = {field for field in finding.fields if field not in ROUTE_FIELDS}
    gaps = {gap.field_path for gap in run.gaps}
    well = {each.field_path for each in run.evidence if each.evidence_required and each.field_path not in gaps}
    corrected = {path: ref for path, ref in overridden.items() if path is not None and ref is not None}
    if finding.boundary == StepKind.FALLBACK:
        blamed = set()  # the workflow has to heed the gap, and cannot be asked to close it
    # Of a run on the wrong route nothing else can be expected: on the right one it has other fields.
    return Expected(
        route=None if route_is_wrong else run.route,
        not_route=run.route if route_is_wrong else None,
        corrected=corrected,
        supported=() if route_is_wrong else tuple(sorted({path for path in well | blamed if path})),
        final_state=FinalState.ANSWERED if run.final_state == FinalState.ANSWERED and not run.gaps else None,
    )
