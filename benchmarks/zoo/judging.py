"""Whether an answer is right: the blamed step against the planted fault, and the fix against what is to be touched."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from benchmarks.zoo.protocol import Fault, Form
from benchmarks.zoo.recorded import Recorded
from causeline.diagnosis import Certainty, Cohort, Diagnosis, diagnose, row_of
from causeline.diagnosis.traits import Row
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.policy_file import parse_policy
from causeline.schemas.run import Run

_SAME = {
    "classify": {"classify", "route"}, "route": {"classify", "route"}, "embedding": {"embed", "embedding"},
    "reranker": {"rerank", "reranker"},
}  # fmt: skip
"""Words for one layer that a record and the protocol have besides each other."""
_UNNAMED = {"custom", "agent", "workflow", "chain"}
"""Kinds of step that say little: there the step's own name says whether it is the one."""
_FAULTY_SHARE = 0.05
"""Share of a cohort's runs that have a fault of their own, drawn over all faults but releases."""


@dataclass(slots=True)
class Tally:
    """What came of judging runs."""

    right: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    total: Counter[str] = field(default_factory=Counter)
    clean: int = 0
    clean_blamed: int = 0
    clean_failed: int = 0
    said: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    heads: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """By rule, of the runs that it heads: how many (`runs`), right `with` it, right `without` it."""

    def share(self) -> float:
        """Of faulty runs whose first cause is right."""
        return sum(self.right.values()) / max(1, self.total.total())


@dataclass(frozen=True, slots=True)
class Judged:
    """One run, the truth, and the answer."""

    recorded: Recorded
    run: Run
    fault: Fault | None
    found: Diagnosis
    else_found: Diagnosis
    """The answer, were the rule not there that heads it."""

    @property
    def is_right(self) -> bool:
        """Whether the blamed step is one that a right answer may blame."""
        return self.fault is not None and is_right(self.fault, self.found)

    @property
    def names_thing(self) -> bool:
        """Whether the fix names what a person would have to touch."""
        first = self.found.first_cause
        if self.fault is None or first is None:
            return False
        fix = first.finding.fix.lower()
        return any(thing.lower() in fix for thing in self.fault.things)


def is_right(fault: Fault, found: Diagnosis) -> bool:
    """By layer; a step of no telling kind by its name as the full form records it."""
    if found.first_cause is None:
        return False
    finding = found.first_cause.finding
    return is_blamed(fault, str(finding.boundary), finding.step)


def is_blamed(fault: Fault, boundary: str, step: str) -> bool:
    """Whether a layer and step, as an answer names them, are ones that a right answer may blame."""
    name = step.partition(":")[2]
    if boundary in _UNNAMED and name and name.lower() == fault.step.lower():
        return True
    return bool(_SAME.get(boundary, {boundary}) & set(fault.layers))


def judged(recorded: Recorded, *, own_policy: bool) -> Iterator[Judged]:
    """All runs of a form judged, each beside its neighbours."""
    policy = parse_policy(recorded.workflow.policy) if own_policy else DEFAULT_POLICY
    runs = recorded.runs(policy)
    for cohort, part in _cohorts(recorded, runs, policy):
        for run in part:
            found = diagnose(run, policy, None, cohort)
            first = found.first_cause
            otherwise = found
            if first is not None and recorded.faults[run.run_id] is not None and not own_policy:
                otherwise = diagnose(run, policy, None, cohort, without={first.finding.rule})
            yield Judged(recorded, run, recorded.faults[run.run_id], found, otherwise)


def _cohorts(recorded: Recorded, runs: Sequence[Run], policy: Policy) -> Iterator[tuple[Cohort, list[Run]]]:
    """Neighbours as a store would have them: clean runs and a few faulty ones; for a release, its own runs too."""
    by_fault: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        fault = recorded.faults[run.run_id]
        by_fault[fault.name if fault else ""].append(run)
    clean = [row_of(run, policy) for run in by_fault.pop("", [])]
    releases = {fault.name for fault in recorded.workflow.faults if fault.regression}
    others = [each[n % len(each)] for n, (name, each) in enumerate(by_fault.items()) if name not in releases]
    most = round(len(clean) * _FAULTY_SHARE)
    few = [row_of(run, policy) for run in others[:: max(1, len(others) // max(1, most))][:most]]
    usual = Cohort([*clean, *_spread(few, clean)])
    yield usual, [run for run in runs if recorded.faults[run.run_id] is None]
    for name, each in by_fault.items():
        if name in releases:
            yield Cohort([*clean, *(row_of(run, policy) for run in each)]), each
        else:
            yield usual, each


def _spread(few: list[Row], clean: list[Row]) -> list[Row]:
    """The faulty ones at times among the clean ones: what goes wrong now and then is no release."""
    step = max(1, len(clean) // max(1, len(few)))
    return [replace(row, started_at=clean[(n * step) % len(clean)].started_at) for n, row in enumerate(few)]


def tally(answers: Iterator[Judged], *, show: bool = False) -> Tally:
    """Count them; with `show` every miss is printed."""
    found = Tally()
    for each in answers:
        first = each.found.first_cause
        workflow = each.recorded.workflow.name
        if each.fault is None:
            found.clean += 1
            found.clean_blamed += first is not None
            found.clean_failed += first is not None and first.certainty is Certainty.CERTAIN
            if show and first is not None:
                symptoms = ", ".join(symptom.headline for symptom in each.found.symptoms[:2])
                print(
                    "CLEAN",
                    workflow,
                    each.recorded.form,
                    first.finding.rule,
                    "|",
                    first.finding.headline,
                    "|",
                    symptoms,
                )
            continue
        key = f"{workflow}/{each.fault.name}"
        found.total[key] += 1
        found.right[key] += each.is_right
        found.named[key] += each.is_right and each.names_thing
        if first is not None:
            counts = found.heads[first.finding.rule]
            counts.update({"runs": 1, "with": each.is_right, "without": is_right(each.fault, each.else_found)})
        found.said[key][f"{first.finding.boundary}/{first.finding.rule}" if first else "nothing"] += 1
        if show and not each.is_right:
            headline = first.finding.headline if first else each.found.outcome
            print("MISS", key, each.recorded.form, each.fault.layers, "said", headline)
        elif show and not each.names_thing and first is not None:
            print("FIX", key, each.recorded.form, each.fault.things, "said", first.finding.fix)
    return found


FIGURES = {Form.FULL: "full", Form.PARTIAL: "partial", Form.OTEL: "foreign"}
