"""The diagnosis: from a run, its policy, the open drift alerts and its neighbours to what went wrong. Pure, no clock.

1. Rules look at the run alone: what failed, what contradicts itself, what is measured and low.
2. Neighbours say what of it is usual in the workflow, what is far off, and what came with a release.
3. Where nothing is a symptom, nothing went wrong: absence accuses nobody.
4. From the symptoms the record is walked upstream to the first cause; what follows hangs under it.
"""

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from causeline.diagnosis import contradictions, failures, quality
from causeline.diagnosis.answers import answers_of
from causeline.diagnosis.causes import Tracing
from causeline.diagnosis.cohort import Cohort
from causeline.diagnosis.duties import duties
from causeline.diagnosis.model import Diagnosis, DriftAlert, Finding, Proof, Role
from causeline.diagnosis.neighbours import Neighbours, speaks_beside
from causeline.diagnosis.record import Record
from causeline.diagnosis.traits import Row, moment, plain, traits_of
from causeline.diagnosis.unknown import unknown
from causeline.schemas.measures import MASKED
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.run import Run
from causeline.schemas.vocabulary import StepKind, Verdict

_STANDS_OUT = 0.35
"""From this strength on a finding is something before the answer that stands out."""
_USUAL_WORTH = 0.4
_LAST_RESORT = frozenset({"gave_the_answer", "least_known"})
"""Said where nothing on record stands out."""
_STAYS = _LAST_RESORT | {"masked_source"}
"""What stays what it is, however many runs have it."""
_BY_POLICY = 0.33
"""What only a policy of one's own objects to explains less than whoever gave the answer."""
_USUAL_SIGN = 0.12
"""A contradiction stays one, however many runs have it, up to the share at which it is what the workflow means."""


def diagnose(
    run: Run,
    policy: Policy = DEFAULT_POLICY,
    drift: Sequence[DriftAlert] | None = None,
    cohort: Cohort | None = None,
    *,
    without: Container[str] = (),
) -> Diagnosis:
    """What went wrong in a run, as far as its record tells; linear in its steps.

    `drift` are the alerts of its workflow; `cohort` are runs of the same workflow, this one among them or not.
    `without` are rules that are not heard: so it is measured what each is worth.
    """
    return diagnosis_of(Reading(run, policy), drift, cohort, without=without)


class Reading:
    """A run as the rules read it alone: its record, what they find in it, and its row of a cohort."""

    def __init__(self, run: Run, policy: Policy = DEFAULT_POLICY) -> None:
        self.record = Record(run, policy.rules(run.workflow))
        self.findings = judged(self.record, policy)

    @property
    def is_objected_to(self) -> bool:
        """Whether only a policy of one's own makes a symptom of something: its row does not say so."""
        return any(each.by_policy and each.role is not Role.HINT for each in self.findings)

    @cached_property
    def row(self) -> Row:
        """The run as a row of a cohort."""
        return _row(self.record.run, self.findings)


def diagnosis_of(
    reading: Reading,
    drift: Sequence[DriftAlert] | None = None,
    cohort: Cohort | None = None,
    *,
    without: Container[str] = (),
    with_nearest: bool = True,
) -> Diagnosis:
    """As `diagnose`, of a run that was read; `with_nearest` asks for the run most like it that went well."""
    record, run, findings = reading.record, reading.record.run, reading.findings
    beside: Neighbours | None = None
    if cohort is not None and cohort.can_tell:
        beside = Neighbours(record, cohort, cohort.beside(reading.row))
        findings = [_beside_others(each, cohort, beside) for each in findings] + list(beside.findings())
    findings = [each for each in findings if each.rule not in without]
    symptoms = _symptoms(findings)
    alerts = tuple(alert for alert in drift or () if _touches(alert, run))
    owed = tuple(duties(record))
    outcome = _outcome(run)
    if not symptoms:
        return Diagnosis(run.run_id, run.workflow, outcome, left_to_do=owed, alerts=alerts)
    untold: str | None = None
    if beside is not None:
        more, untold = beside.shared_by(symptoms[0])
        more += beside.began_with(symptoms[0])
        findings += [each for each in more if each.rule not in without]
    found_bad = symptoms[0].role is not Role.SIGN
    if not found_bad or any(each.rule not in _LAST_RESORT and each.strength >= _STANDS_OUT for each in findings):
        findings = [each for each in findings if each.rule != "gave_the_answer"]
    if not found_bad:
        findings = [each for each in findings if each.rule not in _LAST_RESORT]
    tracing = Tracing(record, symptoms)
    causes = tracing.causes(findings)
    return Diagnosis(
        run.run_id,
        run.workflow,
        outcome,
        symptoms=tuple(symptoms),
        causes=causes,
        left_to_do=owed,
        unknown=unknown(record, causes[0] if causes else None, untold),
        nearest=beside.nearest() if beside is not None and with_nearest else None,
        alerts=alerts,
    )


def may_speak(row: Row, cohort: Cohort) -> bool:
    """Whether anything may speak against a run, told from its row alone: where it says no, `diagnose` finds no symptom.

    What only a policy of one's own objects to is not in a row: of such a run this tells nothing.
    """
    if not row.well or not all(_is_let_pass(mark, cohort) for mark in row.marks):
        return True
    return cohort.can_tell and speaks_beside(row, cohort)


def _is_let_pass(mark: str, cohort: Cohort) -> bool:
    """Whether a finding that is more than a hint is none beside others, whatever its role: see `_beside_others`."""
    stays = mark.partition("|")[0] in _STAYS
    return cohort.can_tell and not stays and cohort.is_usual(mark, _USUAL_SIGN)


def by_rules(record: Record) -> Iterator[Finding]:
    """What rules find in a run alone, each once."""
    seen: set[str] = set()
    for rules in (failures.findings, contradictions.findings, quality.findings):
        for finding in rules(record):
            key = f"{finding.key}|{','.join(sorted(finding.fields))}"
            if key not in seen:
                seen.add(key)
                yield finding


def judged(record: Record, policy: Policy) -> list[Finding]:
    """What rules find in a run. A policy adds symptoms, and takes no cause away.

    What only its floors and thresholds object to explains less than whatever is found without them; what they let pass
    stays a hint, and is no symptom any more.
    """
    findings = list(by_rules(record))
    if policy.content_hash == DEFAULT_POLICY.content_hash:
        return findings
    without = {_same(each): each for each in by_rules(Record(record.run, DEFAULT_POLICY.rules(record.run.workflow)))}
    held = [
        each if each.proof is not Proof.MEASURE or _same(each) in without else _by_policy_alone(each)
        for each in findings
    ]
    objected = {_same(each) for each in findings}
    return held + [_as_hint(each, 1.0) for key, each in without.items() if key not in objected]


def _same(finding: Finding) -> tuple[str, tuple[str, ...]]:
    return finding.key, tuple(sorted(finding.fields))


def _by_policy_alone(finding: Finding) -> Finding:
    return replace(finding, strength=min(finding.strength, _BY_POLICY), by_policy=True)


def row_of(run: Run, policy: Policy = DEFAULT_POLICY) -> Row:
    """A run as a row of a cohort."""
    return Reading(run, policy).row


def _row(run: Run, findings: Sequence[Finding]) -> Row:
    return Row(
        run.run_id,
        moment(run.started_at),
        traits_of(run),
        frozenset(each.key for each in findings if each.role is not Role.HINT and not each.by_policy),
        frozenset(each.key for each in findings if each.role is Role.HINT or each.by_policy),
        well=not any(each.role is Role.FAILURE for each in findings),
        answers=answers_of(run, {step.full_name: plain(step.full_name) for step in run.steps}),
    )


def _beside_others(finding: Finding, cohort: Cohort, beside: Neighbours) -> Finding:
    """What is usual in the workflow explains nothing by itself."""
    if finding.rule in _LAST_RESORT:
        return finding
    if finding.rule in _LESS_BESIDE_OTHERS:
        finding = replace(finding, strength=min(finding.strength, _LESS_BESIDE_OTHERS[finding.rule]))
    if finding.rule == "loop" and not beside.is_off(f"{plain(finding.mark)}|times"):
        return _as_hint(finding, 0.4)
    if finding.rule == "masked_source" and not beside.is_off(f"{plain(finding.step)}|label {MASKED}{finding.mark}"):
        return replace(finding, strength=finding.strength * 0.6)
    spoken = finding.rule == "evaluation_failed"  # somebody's verdict
    if spoken or finding.role is Role.SIGN:
        usual = cohort.is_usual(finding.key, _USUAL_SIGN) or cohort.is_usual_at(finding.place, _USUAL_SIGN)
        return _as_hint(finding, 0.6 if spoken else 0.4) if usual else finding
    weighs = finding.role in (Role.HINT, Role.TROUBLE)
    if weighs and cohort.is_usual(finding.key):
        return _as_hint(finding, _USUAL_WORTH)
    may_be_usual = weighs or (finding.rule in _OF_FIELDS and not beside.has_failed)
    return (
        _as_hint(finding, _USUAL_WORTH) if may_be_usual and cohort.is_usual_at(finding.place, _USUAL_SIGN) else finding
    )


def _as_hint(finding: Finding, share: float) -> Finding:
    return replace(finding, role=Role.HINT, strength=finding.strength * share)


_OF_FIELDS = frozenset({"wrong_shape"})
"""What is said of one field of an answer, each time of another one: where a workflow lives with that, and the run goes
its usual way, it is no failure of this run."""
_LESS_BESIDE_OTHERS = {"corrected_value": 0.45, "decision_given_up": 0.3}
"""Where neighbours can tell better: who gave a value for lack of anybody else, a search that was not made again."""


def _symptoms(findings: Sequence[Finding]) -> list[Finding]:
    grave = {Role.FAILURE: 0, Role.TROUBLE: 1, Role.SIGN: 2}
    found = [each for each in findings if each.role in grave]
    return sorted(found, key=lambda each: (grave[each.role], -each.strength))


def _outcome(run: Run) -> str:
    counts = Counter(step.step_kind for step in run.steps)
    parts = [f"{counts[kind]:,d} {word}{'' if counts[kind] == 1 else 's'}" for kind, word in _COUNTED if counts[kind]]
    if not parts:
        parts = [f"{len(run.steps):,d} step{'' if len(run.steps) == 1 else 's'}"]
    ended = "still open" if run.verdict == Verdict.UNFINISHED else (run.final_state or "ended").replace("_", " ")
    took = f" in {run.duration_us / 1e6:,.1f} s" if run.duration_us is not None else ""
    return f"{', '.join(parts)}, {ended}{took}"


_COUNTED = ((StepKind.MODEL_CALL, "model call"), (StepKind.TOOL, "tool"), (StepKind.RETRIEVE, "retrieval"))


def _touches(alert: DriftAlert, run: Run) -> bool:
    return all(_value(run, name) == value for name, value in alert.slice.items())


def _value(run: Run, name: str) -> str | None:
    value = getattr(run, name, None)
    return run.labels.get(name) if value is None else str(value)
