"""Neither diagnosis nor stream knows the demo: a workflow's own words may be others, with the same answer."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, get_type_hints

import pytest

from benchmarks.joined import joined
from causeline.diagnosis import Diagnosis, diagnose
from causeline.producers.boundaries import Boundaries
from causeline.schemas import measures
from causeline.schemas.run import Run, Step
from causeline.schemas.vocabulary import StepKind
from causeline.streams.definition.events import Arrival
from tests.unit.diagnosis.demo_runs import EVENTS, POLICY, RUNS

MEASURES = {value for name, value in vars(measures).items() if name.isupper() and isinstance(value, str)}
OWN_WORDS = (
    "step_name", "error_type", "route_reason", "route_policy_version", "prompt_id", "prompt_version", "model_provider",
    "model_name", "model_policy", "system_fingerprint", "parser_version", "schema_version", "fallback_reason",
    "project", "reason", "reviewer_ref", "note_ref", "review_note_ref", "eval_case_id", "case_id",
)  # fmt: skip
"""What a workflow may call as it likes; routes, field paths and its own name are words of its policy as well."""


def is_measure(label: str) -> bool:
    return label in MEASURES or label.startswith(measures.MASKED)


def renamed(record: Any, *, keep_labels: bool) -> Any:
    """The same record in another's words, with none of the labels but measures."""
    said: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if field.name in OWN_WORDS and value is not None:
            said[field.name] = f"x{value[::-1]}"
        elif field.name in {"error_step", "slowest_step", "costliest_step"} and value is not None:
            kind, _, name = value.partition(":")
            said[field.name] = f"{kind}:x{name[::-1]}"
        elif field.name == "labels":
            said[field.name] = {key: text for key, text in value.items() if keep_labels or is_measure(key)}
        elif field.name in {"steps", "fallbacks", "reviews", "evals"}:
            said[field.name] = tuple(renamed(each, keep_labels=keep_labels) for each in value)
    return replace(record, **said)


def answers(found: Diagnosis) -> list[object]:
    """What a diagnosis blames, without its words."""
    return [
        [(cause.finding.rule, cause.finding.boundary, cause.certainty) for cause in found.causes],
        [duty.rule for duty in found.left_to_do],
    ]


@pytest.mark.parametrize("keep_labels", [True, False])
def test_other_words_and_no_labels_but_measures_give_the_same_answer(*, keep_labels: bool) -> None:
    blamed = 0
    for run in RUNS:
        told = diagnose(run, POLICY)
        assert answers(diagnose(renamed(run, keep_labels=keep_labels), POLICY)) == answers(told), run.run_id
        blamed += told.first_cause is not None
    assert blamed > len(RUNS) // 2


def test_the_renaming_leaves_no_word_of_a_workflow() -> None:
    words = {step.step_name for run in RUNS for step in run.steps} | {run.prompt_id for run in RUNS}
    other = [renamed(run, keep_labels=False) for run in RUNS]
    assert not words & {step.step_name for run in other for step in run.steps}
    assert not words & {run.prompt_id for run in other if run.prompt_id}
    assert {label for run in RUNS for step in run.steps for label in step.labels} & MEASURES


def in_other_words(arrival: Arrival) -> Arrival:
    """The same event in another workflow's words, with none of the labels but measures."""
    event = arrival.event
    words: dict[str, Any] = {
        name: f"x{value[::-1]}" for name, value in event._asdict().items() if name in OWN_WORDS and value is not None
    }
    steps = [step.partition(":") for step in event.expected_steps]
    other = event._replace(
        **words,
        expected_steps=[f"{kind}:x{name[::-1]}" for kind, _, name in steps],
        labels=[label for label in event.labels if is_measure(label["key"])],
    )
    return arrival._replace(event=other)


def test_the_stream_joins_and_judges_other_words_alike() -> None:
    told = {run.run_id: run for run in RUNS}
    others = {run.run_id: run for run in joined(map(in_other_words, EVENTS), POLICY)}

    assert others.keys() == told.keys()
    assert not {run.steps[0].step_name for run in others.values()} & {run.steps[0].step_name for run in told.values()}
    for run_id, run in told.items():
        assert judged(others[run_id]) == judged(run)
        assert answers(diagnose(others[run_id], POLICY)) == answers(diagnose(run, POLICY))


def judged(run: Run) -> list[object]:
    """What the stream makes of a run, without its words."""
    fallbacks = [(each.kind, each.inferred) for each in run.fallbacks]
    return [run.verdict, run.close_reason, run.missing_anchors, run.gaps, run.conflict_sides, fallbacks, run.missing]


GIVEN_BY_EMITTER = {
    "step_id", "parent_step_id", "step_kind", "step_name", "full_name", "started_at", "finished_at", "duration_us",
}  # fmt: skip
"""What no workflow says of a step."""


class Watched(Mapping[str, str]):
    """Labels that remember what was asked of them; names that are gone through are remembered as read where they match
    a prefix only, so the rules must ask by name."""

    def __init__(self, labels: Mapping[str, str], asked: set[str]) -> None:
        self._labels, self._asked = labels, asked

    def __getitem__(self, name: str) -> str:
        self._asked.add(name)
        return self._labels[name]

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in self._labels if name.startswith(measures.MASKED)])

    def __len__(self) -> int:
        return len(self._labels)


def test_every_field_and_label_read_is_one_that_the_tracer_takes_at_that_step(monkeypatch: pytest.MonkeyPatch) -> None:
    labels: set[str] = set()
    read: dict[str, set[str]] = defaultdict(set)
    watched = [
        replace(run, steps=tuple(replace(step, labels=Watched(step.labels, labels)) for step in run.steps))
        for run in RUNS
    ]
    look = object.__getattribute__

    def noticed(step: Step, name: str) -> object:
        if not name.startswith("__"):
            read[look(step, "step_kind")].add(name)
        return look(step, name)

    told = [answers(diagnose(run, POLICY)) for run in RUNS]
    monkeypatch.setattr(Step, "__getattribute__", noticed)
    assert [answers(diagnose(run, POLICY)) for run in watched] == told
    monkeypatch.undo()

    takes = {name for kind in StepKind for name in taken_at(kind)}
    assert {name for name in labels if not is_measure(name)} == set()
    assert labels & MEASURES == MEASURES - {measures.MASKED}, "a measure that nothing reads is none"
    assert {name for names in read.values() for name in names} - GIVEN_BY_EMITTER <= takes
    assert {"status", "labels"} <= read[StepKind.PARSE]


def test_what_the_tracer_does_not_take_at_a_step_changes_no_answer() -> None:
    for run in RUNS:
        steps = [replace(step, **_untaken(step)) for step in run.steps]
        assert answers(diagnose(replace(run, steps=tuple(steps)), POLICY)) == answers(diagnose(run, POLICY))


def _untaken(step: Step) -> dict[str, Any]:
    """The fields of a step that its boundary's method does not take, as if nobody had said them."""
    taken = {*GIVEN_BY_EMITTER, *taken_at(StepKind(step.step_kind))}
    return {field.name: field.default for field in fields(Step) if field.name not in taken}


def taken_at(kind: StepKind) -> set[str]:
    """The fields that the tracer's method for this boundary documents."""
    method = getattr(Boundaries, kind.value, Boundaries.step)
    (packed,) = (hint for name, hint in get_type_hints(method).items() if name == "fields")
    return set(get_type_hints(packed.__args__[0]))


def test_every_measure_is_documented_for_any_producer(pytestconfig: pytest.Config) -> None:
    page = (pytestconfig.rootpath / "docs" / "trace-contract.md").read_text("utf-8")
    assert [name for name in sorted(MEASURES) if name not in page] == []
