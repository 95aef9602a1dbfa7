"""Proof by contradiction: two things on record that cannot both be as they should."""

from collections.abc import Iterator

from causeline.diagnosis.duties import ASKS
from causeline.diagnosis.finding import about_step, evidence_fact, listed, review_fact, run_fact, step_fact, who
from causeline.diagnosis.model import ROUTE_FIELDS, Finding, Proof, Role
from causeline.diagnosis.record import Record, base, items, makes, measure
from causeline.schemas import measures
from causeline.schemas.run import Review, Step
from causeline.schemas.vocabulary import FinalState, NextStep, ReviewOutcome, Status, StepKind, Verdict


def findings(record: Record) -> Iterator[Finding]:
    """What contradicts itself in the record."""
    yield from _routes(record)
    yield from _pages(record)
    yield from _shared_artifact(record)
    yield from _masked(record)
    yield from _found_and_not_passed_on(record)
    yield from _without_context(record)
    yield from _cited_unseen(record)
    yield from _asked(record)
    yield from _unchecked(record)
    yield from _left_out(record)
    yield from _corrected(record)
    yield from _corrected_again(record)
    yield from _decided_otherwise(record)


def _routes(record: Record) -> Iterator[Finding]:
    for step in record.last_of_each(*record.by_kind):
        if step.route is None:
            continue
        taken = step.labels.get(measures.BRANCH_TAKEN) or record.run.labels.get(measures.BRANCH_TAKEN)
        overridden = sorted(ROUTE_FIELDS & record.corrections.keys())
        if taken is not None and taken != step.route:
            yield about_step(
                step,
                rule="branch_differs",
                proof=Proof.CONTRADICTION,
                role=Role.SIGN,
                strength=0.93,
                headline=f"The workflow decided for the route {step.route} and went into {taken}.",
                fix="the branching after it must follow the decision",
                facts=(
                    step_fact(step, "route"),
                    step_fact(step, measures.BRANCH_TAKEN, taken),
                    *(review_fact(record.corrections[path], "outcome") for path in overridden),
                ),
                fields=ROUTE_FIELDS if overridden else (),
                mark=f"{step.route}→{taken}",
            )
        elif overridden:
            review = record.corrections[overridden[0]]
            yield about_step(
                step,
                rule="route_overridden",
                proof=Proof.CONTRADICTION,
                role=Role.FAILURE,
                strength=0.75,
                headline=f"A reviewer found the route {step.route} wrong.",
                fix=f"the rule for {step.route_reason or step.route}",
                facts=(step_fact(step, "route"), review_fact(review, "outcome"), review_fact(review, "override_ref")),
                fields=ROUTE_FIELDS,
            )
        if record.rules.routes and step.route not in record.rules.routes:
            yield about_step(
                step,
                rule="route_not_allowed",
                proof=Proof.CONTRADICTION,
                role=Role.SIGN,
                strength=0.66,
                headline=f"The policy does not allow the route {step.route} for workflow {record.run.workflow}.",
                fix=f"the rule for {step.route_reason or step.route}",
                facts=(step_fact(step, "route"),),
                mark=step.route,
            )


def _pages(record: Record) -> Iterator[Finding]:
    for step in record.last_of_each(StepKind.PARSE):
        pages, read = measure(step, measures.PARSE_PAGES), measure(step, measures.PARSE_PAGES_READ)
        if pages is not None and read is not None and read < pages:
            yield about_step(
                step,
                rule="pages_lost",
                proof=Proof.CONTRADICTION,
                role=Role.SIGN,
                strength=0.91,
                headline=f"The parser lost pages: {read:.0f} of {pages:.0f} were read.",
                fix="read every page",
                facts=(step_fact(step, measures.PARSE_PAGES), step_fact(step, measures.PARSE_PAGES_READ)),
            )


def _shared_artifact(record: Record) -> Iterator[Finding]:
    owners: dict[str, Step] = {}
    for step in record.of_kind(StepKind.PARSE, StepKind.MASK):
        made = step.parsed_artifact_ref
        if made is None or step.input_ref is None or "#" in made:
            continue
        first = owners.setdefault(f"{step.step_kind} {made}", step)
        if first.input_ref is not None and first.input_ref != step.input_ref:
            yield about_step(
                step,
                rule="shared_artifact",
                proof=Proof.CONTRADICTION,
                role=Role.SIGN,
                strength=0.9,
                headline=f"Two inputs have one parsed artifact: {first.step_name} and {step.step_name}.",
                fix="its cache key must depend on the whole input",
                facts=(step_fact(step, "input_ref"), step_fact(step, "parsed_artifact_ref")),
            )


def _masked(record: Record) -> Iterator[Finding]:
    for step in record.of_kind(StepKind.MASK):
        taken = {
            name.removeprefix(measures.MASKED)
            for name, text in step.labels.items()
            if name.startswith(measures.MASKED) and text != "0"
        }
        hidden: dict[str, set[str]] = {}
        for path in record.troubled:
            rule = record.rules.evidence.get(path)
            for kind in taken.intersection(rule.masked_as if rule else ()):
                hidden.setdefault(kind, set()).add(path)
        for kind, paths in sorted(hidden.items()):
            yield about_step(
                step,
                rule="masked_source",
                proof=Proof.CONTRADICTION,
                role=Role.HINT,
                strength=0.92,
                headline=f"Masking removed the source of {listed(paths)}: entities of type {kind} were taken out.",
                fix=f"the rule for {kind} must let it through for workflow {record.run.workflow}",
                facts=(step_fact(step, f"{measures.MASKED}{kind}"),),
                fields=paths,
                mark=kind,
            )


def _found_and_not_passed_on(record: Record) -> Iterator[Finding]:
    """Sources that were found, and what came next was shown none of them, though this workflow says what it shows."""
    searches = record.by_kind.get(StepKind.RETRIEVE, [])
    if not any(record.steps[place].context_refs for kind in _SHOWN for place in record.by_kind.get(kind, ())):
        return
    for number, place in enumerate(searches):
        step = record.steps[place]
        found = {base(ref) for ref in step.context_refs}
        end = searches[number + 1] if number + 1 < len(searches) else len(record.steps)
        following = record.steps[place + 1 : end]
        shown = _asking_for(record, place, step) or [each for each in following if each.step_kind in _SHOWN]
        if not found or not shown or any(each.status == Status.ERROR for each in following):
            continue
        for each in record.steps[place + 1 :] if len(record.steps) < _FEW else following:
            if {base(ref) for ref in (*each.context_refs, each.input_ref or "")} & found:
                found |= makes(each)
        if not any({base(ref) for ref in (*each.context_refs, each.input_ref or "")} & found for each in shown):
            yield about_step(
                shown[0],
                rule="found_not_shown",
                proof=Proof.CONTRADICTION,
                role=Role.SIGN,
                strength=0.84,
                headline=f"{step.full_name} found {len(step.context_refs)} sources, "
                f"and {shown[0].full_name} was shown none.",
                fix=f"how what {step.step_name} finds gets into the prompt",
                facts=(step_fact(step, "context_refs"), step_fact(shown[0], "context_refs")),
                mark=step.full_name,
            )


def _asking_for(record: Record, place: int, search: Step) -> list[Step]:
    """The prompts and calls after a search that ask for the field that it was made for."""
    path = search.labels.get(measures.RETRIEVE_FIELD)
    if path is None:
        return []
    return [
        step
        for kind in _SHOWN
        for at in record.by_kind.get(kind, ())
        if at > place and path in (items(step := record.steps[at], measures.PROMPT_ASKS) or ())
    ]


_FEW = 200
_SHOWN = (StepKind.PROMPT, StepKind.MODEL_CALL)


def _without_context(record: Record) -> Iterator[Finding]:
    """Model calls that had no source, where the workflow's policy says that each has one."""
    if not record.rules.context_expected:
        return
    for step in record.last_of_each(StepKind.MODEL_CALL):
        if not step.context_refs and step.input_ref is None and step.status != Status.ERROR:
            yield about_step(
                step,
                rule="empty_context",
                proof=Proof.CONTRADICTION,
                role=Role.HINT,
                strength=0.72,
                headline=f"The model was asked without any source: {step.step_name} had no context.",
                fix="how its context is chosen",
                facts=(step_fact(step, "context_refs"),),
                boundary=StepKind.PROMPT,
            )


def _cited_unseen(record: Record) -> Iterator[Finding]:
    calls = record.of_kind(StepKind.MODEL_CALL)
    shown = {ref for step in calls for ref in step.context_refs}
    if not shown:
        return
    whole = {base(ref) for ref in shown if "#" not in ref}
    sources = {base(ref) for ref in shown}
    handed = {base(step.input_ref) for step in calls if step.input_ref}
    made = {base(ref) for step in record.steps if step.step_kind == StepKind.TOOL for ref in makes(step)}
    for path, state in record.fields.items():
        cited = state.last.evidence_refs
        strange = [
            ref
            for ref in cited
            if ref not in shown and base(ref) not in whole and base(ref) not in handed and base(ref) not in made
        ]
        alien = [ref for ref in strange if base(ref) not in sources]
        if cited and len(strange) == len(cited) and (alien or "#" in strange[0]):
            author = record.call_before(state.last.occurred_at) or calls[-1]
            yield about_step(
                author,
                rule="cited_unseen",
                proof=Proof.CONTRADICTION,
                role=Role.SIGN,
                strength=0.9 if alien else 0.7,
                headline=f"The source cited for {path} was never shown to the model.",
                fix="cite from the context only",
                facts=(evidence_fact(state.last, "evidence_refs"), step_fact(author, "context_refs")),
                fields=(path,),
                mark=path,
            )


def _by_policy(record: Record) -> set[str]:
    return {path for path, rule in record.rules.evidence.items() if rule.required}


def _required(record: Record) -> set[str]:
    return _by_policy(record) | {
        path for path, state in record.fields.items() if state.last.evidence_required and path in record.troubled
    }


def _asked(record: Record) -> Iterator[Finding]:
    for step in record.last_of_each(StepKind.PROMPT, StepKind.MODEL_CALL):
        asks = items(step, measures.PROMPT_ASKS)
        if asks is None:
            continue
        lacking = {path for path in _required(record) - asks if path in record.troubled or path in record.fields}
        if lacking and len(record.by_kind.get(StepKind.PROMPT, ())) <= 1:
            yield about_step(
                step,
                rule="prompt_omits",
                proof=Proof.CONTRADICTION,
                role=Role.SIGN,
                strength=0.91,
                headline=f"The prompt does not ask for {listed(lacking)}, which the run must answer.",
                fix=f"ask for {listed(lacking)}",
                facts=(step_fact(step, measures.PROMPT_ASKS), step_fact(step, "prompt_version")),
                fields=lacking,
                mark=",".join(sorted(lacking)),
            )


def _unchecked(record: Record) -> Iterator[Finding]:
    """Fields that the policy requires and that none of the validations looked at, taken together."""
    required = _by_policy(record)
    looking = [step for step in record.last_of_each(StepKind.VALIDATE) if measures.VALIDATED in step.labels]
    if not looking or not required:
        return
    checked = frozenset[str]().union(*(items(step, measures.VALIDATED) or frozenset() for step in looking))
    lacking = required - checked
    if lacking and lacking & set(record.fields):
        step = looking[-1]
        yield about_step(
            step,
            rule="not_validated",
            proof=Proof.CONTRADICTION,
            role=Role.SIGN,
            strength=0.82,
            headline=f"The validation does not look at {listed(lacking)}, which the policy requires.",
            fix=f"look at {listed(lacking)}, too",
            facts=(step_fact(step, measures.VALIDATED), step_fact(step, "schema_version")),
            fields=lacking,
            mark=",".join(sorted(lacking)),
        )


def _left_out(record: Record) -> Iterator[Finding]:
    run = record.run
    if run.verdict != Verdict.COMPLETE or run.final_state in (FinalState.STOPPED, FinalState.FAILED):
        return
    taken = set(record.by_kind) | set(record.attempts)
    taken |= {StepKind.EVIDENCE.value} if run.evidence else set()
    taken |= {StepKind.REVIEW.value} if run.reviews else set()
    for expected in record.rules.expect:
        if expected.step not in taken:
            kind = expected.step.partition(":")[0]
            yield Finding(
                rule="step_left_out",
                proof=Proof.CONTRADICTION,
                role=Role.SIGN,
                boundary=kind,
                headline=f"The step {expected.step} never ran, and every {run.workflow} run should take it.",
                fix=f"The workflow's call of {expected.step}, or the policy's list of expected steps.",
                thing=expected.step,
                strength=0.83,
                facts=(run_fact(run, "verdict"),),
                step=expected.step,
            )


def _corrected(record: Record) -> Iterator[Finding]:
    """Values that a reviewer put right: whoever gave them stands for them where nothing before explains it."""
    for path, review in record.corrections.items():
        if path in ROUTE_FIELDS or path in record.shape_errors:
            continue
        state = record.fields.get(path)
        author = _computed(record, path) or record.call_before(state.last.occurred_at if state else None)
        if author is None:
            continue
        what = f" for {path}" if path else ""
        given = state is None or bool(state.last.evidence_refs)
        verb = "rejected" if review.outcome == "rejected" else "found"
        yield about_step(
            author,
            rule="corrected_value",
            proof=Proof.CONTRADICTION,
            role=Role.FAILURE,
            strength=0.5,
            headline=f"{who(author)} gave {'a wrong' if given else 'no'} value{what}, as a reviewer {verb}.",
            fix="what it is asked and shown, or the model"
            if author.step_kind == StepKind.MODEL_CALL
            else "what it is given, and what it makes of it",
            facts=(review_fact(review, "outcome"), review_fact(review, "override_ref")),
            fields=(path,) if path else (),
            mark=path,
        )


def _computed(record: Record, path: str) -> Step | None:
    """The step after the last model call that gives a field which no model was asked for, no check looks at."""
    asked: set[str] = set(record.fields)
    for step in record.steps:
        for name in (measures.PROMPT_ASKS, measures.VALIDATED):
            asked |= items(step, name) or frozenset()
    if not path or not asked or path in asked:
        return None
    calls = record.by_kind.get(StepKind.MODEL_CALL, ())
    after = [step for step in record.steps[(calls[-1] + 1 if calls else 0) :] if step.step_kind in _COMPUTES]
    name = path.rpartition(".")[2].lower()
    named = [step for step in after if name in step.step_name.lower() or name in map(str.lower, step.labels)]
    return next(reversed(named or after), None)


_COMPUTES = (StepKind.CUSTOM, StepKind.TOOL, StepKind.OUTPUT)


def _corrected_again(record: Record) -> Iterator[Finding]:
    """A value that a reviewer put right and that had to be put right again: what was made of it kept the old one."""
    seen: dict[str, Review] = {}
    for review in record.run.reviews:
        path = review.field_path or ""
        if review.outcome != ReviewOutcome.OVERRIDDEN:
            continue
        if path in seen:
            last = record.last_of_each(StepKind.OUTPUT)
            facts = (review_fact(seen[path], "override_ref"), review_fact(review, "override_ref"))
            if last:
                yield about_step(
                    last[-1],
                    rule="correction_not_kept",
                    proof=Proof.CONTRADICTION,
                    role=Role.FAILURE,
                    strength=0.86,
                    headline=f"A reviewer corrected {path or 'the answer'}, and it had to be corrected again.",
                    fix="take the value that the review gave (override_ref), not the one from before it",
                    facts=facts,
                    fields=(path,) if path else (),
                    mark=path,
                )
        seen[path] = review


def _decided_otherwise(record: Record) -> Iterator[Finding]:
    """A gap about which the workflow says that it does something else than the policy that it asked.

    Read only where the policy that judges is the one that the workflow asked: what the emitter itself added for
    another policy is nobody's decision.
    """
    for path, state in record.fields.items():
        for evidence, gap in state.checks:
            if gap is None or evidence.policy_hash != record.rules.policy_hash:
                continue
            another = evidence.next_step not in (None, gap.next_step.value)
            gave_up = record.answered and state.gap is gap and gap.next_step in (NextStep.SEARCH, NextStep.RETRY)
            if another or gave_up:
                did = f"decided for {evidence.next_step}" if another else "answered all the same"
                yield Finding(
                    rule="decided_otherwise" if another else "decision_given_up",
                    proof=Proof.CONTRADICTION,
                    role=Role.HINT,
                    boundary=StepKind.FALLBACK,
                    headline=f"The policy asks for {ASKS[gap.next_step]} {path}, and the workflow {did}.",
                    fix=f"What the workflow does after the evidence for {path}: follow decision.next_step.",
                    thing=f"decision about {path}",
                    strength=0.84 if another else 0.54,
                    facts=(evidence_fact(evidence, "next_step"), evidence_fact(evidence, "provenance_score")),
                    fields=frozenset({path}),
                    mark=path,
                )
                break
