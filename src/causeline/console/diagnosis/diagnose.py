"""The diagnosis: six questions answered from the stored run alone, by fixed rules; no model is asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from causeline.console.diagnosis import review, route, shape, source, support
from causeline.console.diagnosis.causes import causes
from causeline.console.diagnosis.model import Answer, Diagnosis, DriftAlert, Fact, Finding, Health, Question
from causeline.console.diagnosis.record import Record
from causeline.console.diagnosis.recording import anchor_unrecorded, steps_unrecorded
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.run import Run
from causeline.schemas.vocabulary import StepKind, Verdict

_RULES: Mapping[Question, Callable[[Record], Iterator[Finding]]] = {
    Question.SOURCE: source.findings,
    Question.ROUTE: route.findings,
    Question.SHAPE: shape.findings,
    Question.SUPPORT: support.findings,
    Question.REVIEW: review.findings,
}
_ANCHORS: Mapping[Question, tuple[str, ...]] = {
    Question.SOURCE: ("parse.", "mask.", "retrieve."),
    Question.ROUTE: ("route.", "classify."),
    Question.SHAPE: ("model_call.", "validate.", "prompt."),
}
_SPEAKS_FOR: Mapping[Question, tuple[StepKind, ...]] = {
    Question.SOURCE: (StepKind.PARSE, StepKind.MASK, StepKind.RETRIEVE, StepKind.INPUT),
    Question.ROUTE: (StepKind.ROUTE, StepKind.CLASSIFY),
    Question.SHAPE: (StepKind.VALIDATE,),
}


def diagnose(run: Run, policy: Policy = DEFAULT_POLICY, drift: Sequence[DriftAlert] | None = None) -> Diagnosis:
    """What went wrong in a run, as far as its record tells.

    `drift` are the alerts of the run's workflow; None says that nobody watches, and question 6 is unknown then.
    """
    record = Record(run, policy.rules(run.workflow))
    found = {question: tuple(rule(record)) for question, rule in _RULES.items()}
    answers = [_answer(record, question, findings) for question, findings in found.items()]
    answers.append(_drift(run, drift))
    everything = [finding for findings in found.values() for finding in findings]
    return Diagnosis(run.run_id, run.workflow, tuple(answers), causes(everything, run))


def _answer(record: Record, question: Question, findings: tuple[Finding, ...]) -> Answer:
    unknown = tuple(_unknown(record, question))
    healths = {finding.health for finding in findings}
    if Health.FAILED in healths:
        return Answer(question, Health.FAILED, findings, unknown)
    if Health.SUSPECT in healths:
        return Answer(question, Health.SUSPECT, findings, unknown)
    because = tuple(_because(record, question))
    return Answer(question, Health.OK if because else Health.UNKNOWN, (), unknown, because)


def _because(record: Record, question: Question) -> Iterator[Fact]:
    """The facts that speak for an `ok`; without any, nothing is known."""
    run = record.run
    for step in record.last_of_each(*_SPEAKS_FOR.get(question, ())):
        yield Fact(step.full_name, "status", step.status or "never recorded", step.step_id)
    if question is Question.SUPPORT:
        for path, state in record.fields.items():
            score = state.last.provenance_score
            yield Fact(f"evidence for {path}", "provenance_score", "not scored" if score is None else f"{score:.2f}")
    if question is Question.REVIEW:
        if run.reviews:
            yield Fact("review", "outcome", run.reviews[-1].outcome, run.reviews[-1].event_id)
        elif run.evidence and not record.open_gaps:
            yield Fact("run", "gaps", "none that asks for a person", run.run_id)


def _unknown(record: Record, question: Question) -> Iterator[str]:
    run = record.run
    if run.verdict != Verdict.COMPLETE:
        lost = f"{run.events_lost} events were lost" if run.events_lost else f"the record is {run.verdict}"
        yield f"{lost}: what they said is not known."
    for anchor in run.missing_anchors:
        kind, _, field = anchor.partition(".")
        if anchor.startswith(_ANCHORS.get(question, ())) and _ANCHORS.get(question):
            yield anchor_unrecorded(run, kind, field)
    unsaid = not run.evidence if question is Question.SUPPORT else not record.steps(*_SPEAKS_FOR.get(question, ()))
    if unsaid and question in (Question.SOURCE, Question.ROUTE, Question.SHAPE, Question.SUPPORT):
        yield steps_unrecorded(run, question)
    if question is Question.REVIEW and not run.reviews and (record.open_gaps or not run.evidence):
        yield "no review was recorded: tracer.record_review(run_id, workflow, outcome, run_started_at=…)."


def _drift(run: Run, drift: Sequence[DriftAlert] | None) -> Answer:
    if drift is None:
        return Answer(
            Question.DRIFT, Health.UNKNOWN, (), ("nobody watches this workflow for drift yet: causeline watch.",)
        )
    hits = [alert for alert in drift if all(_value(run, name) == value for name, value in alert.slice.items())]
    findings = tuple(
        Finding(
            rule="drift",
            question=Question.DRIFT,
            health=Health.FAILED if alert.open else Health.SUSPECT,
            boundary=StepKind.CUSTOM,
            headline=alert.headline or f"{alert.dimension} is drifting in the slice that this run lies in.",
            fix=f"Alert {alert.alert_id}: compare the runs on both sides of it.",
            facts=tuple(Fact("run", name, value, run.run_id) for name, value in alert.slice.items()),
        )
        for alert in hits
    )
    if not findings:
        return Answer(Question.DRIFT, Health.OK, (), (), (Fact("drift", "open alerts for this run", "0"),))
    worst = Health.FAILED if any(alert.open for alert in hits) else Health.SUSPECT
    return Answer(Question.DRIFT, worst, findings)


def _value(run: Run, name: str) -> str | None:
    value = getattr(run, name, None)
    return run.labels.get(name) if value is None else str(value)
