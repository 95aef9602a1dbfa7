"""Question 2: did the workflow choose the right route?"""

from collections.abc import Iterator

from causeline.console.diagnosis.finding import about_step, review_fact, step_fact
from causeline.console.diagnosis.model import Finding, Health, Question
from causeline.console.diagnosis.record import Record
from causeline.schemas import measures
from causeline.schemas.run import Step
from causeline.schemas.vocabulary import Status, StepKind

_Q = Question.ROUTE
ROUTE_FIELDS = frozenset({"$.route", "route"})
"""Field paths by which a reviewer says that the route itself was wrong."""


def findings(record: Record) -> Iterator[Finding]:
    """What the record says against the route."""
    for step in record.last_of_each(StepKind.CLASSIFY, StepKind.ROUTE):
        if step.status == Status.ERROR:
            yield about_step(
                step,
                rule="route_error",
                question=_Q,
                health=Health.FAILED,
                headline=f"No route was decided: {step.step_name} ended in {step.error_type or 'an error'}.",
                fix=_fix(step),
                facts=(step_fact(step, "error_type"),),
            )
        if step.route is not None:
            yield from _decision(record, step)


def _decision(record: Record, step: Step) -> Iterator[Finding]:
    taken = step.labels.get(measures.BRANCH_TAKEN) or record.run.labels.get(measures.BRANCH_TAKEN)
    overridden = sorted(ROUTE_FIELDS & record.corrections.keys())
    if taken is not None and taken != step.route:
        yield about_step(
            step,
            rule="branch_differs",
            question=_Q,
            health=Health.FAILED,
            headline=f"The workflow decided for the route {step.route} and went into {taken}.",
            fix=f"The branching after {step.full_name}: it must follow the decision.",
            facts=(
                step_fact(step, "route"),
                step_fact(step, measures.BRANCH_TAKEN, taken),
                *(review_fact(record.corrections[path], "outcome") for path in overridden),
            ),
            fields=ROUTE_FIELDS if overridden else (),
        )
        overridden = []  # a reviewer who found the route wrong saw where the run went: the rule may be right
    for path in overridden:
        review = record.corrections[path]
        yield about_step(
            step,
            rule="route_overridden",
            question=_Q,
            health=Health.FAILED,
            headline=f"A reviewer found the route {step.route} wrong.",
            fix=_fix(step),
            facts=(step_fact(step, "route"), review_fact(review, "outcome"), review_fact(review, "override_ref")),
            fields=ROUTE_FIELDS,
        )
    if record.rules.routes and step.route not in record.rules.routes:
        yield about_step(
            step,
            rule="route_not_allowed",
            question=_Q,
            health=Health.FAILED,
            headline=f"The policy does not allow the route {step.route} for workflow {record.run.workflow}.",
            fix=_fix(step),
            facts=(step_fact(step, "route"),),
        )
    if step.route_confidence is not None and step.route_confidence < record.rules.confidence_floor:
        yield about_step(
            step,
            rule="route_unsure",
            question=_Q,
            health=Health.SUSPECT,
            headline=(
                f"The route {step.route} was decided with little confidence: "
                f"{step.route_confidence:.2f}, and {record.rules.confidence_floor:g} is asked."
            ),
            fix=_fix(step),
            facts=(step_fact(step, "route_confidence"),),
        )
    if step.route_reason is None:
        yield about_step(
            step,
            rule="route_unexplained",
            question=_Q,
            health=Health.SUSPECT,
            headline=f"Nobody recorded why the route {step.route} was chosen.",
            fix=f"Record route_reason in step {step.full_name}.",
            facts=(step_fact(step, "route_reason"),),
        )


def _fix(step: Step) -> str:
    version = step.route_policy_version or "(version never recorded)"
    return (
        f"Route rule for {step.route_reason or step.route or step.step_name} in step {step.full_name}, rules {version}."
    )
