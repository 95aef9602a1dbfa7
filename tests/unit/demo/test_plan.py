"""Each run of a plan stands by itself: its documents, its truth, and faults that fit its workflow."""

from itertools import islice

import pytest

from causeline.demo import demo_policy
from causeline.demo.cases import FIELDS, ROUTES
from causeline.demo.faults import ALL
from causeline.demo.plan import PlannedRun, plan


def contents(runs: list[PlannedRun]) -> list[object]:
    return [(one.index, one.case, one.faults, one.behaviour.twist, one.behaviour.persona) for one in runs]


def test_a_run_depends_on_seed_and_index_and_not_on_how_many_are_planned() -> None:
    assert contents(list(plan(7, 40))) == contents(list(islice(plan(7, 4_000), 40)))


def test_faults_are_planted_only_where_they_belong() -> None:
    for one in plan(12, 1_500, faulty_share=1.0):
        assert all(one.case.workflow in fault.workflows for fault in one.faults)
        assert one.behaviour.twist == {fault.name for fault in one.faults}


def test_two_faults_at_a_time_are_two_different_ones() -> None:
    for one in plan(13, 300, faulty_share=1.0, pairs=True):
        assert len({fault.name for fault in one.faults}) == 2


@pytest.mark.parametrize("workflow", ALL)
def test_the_policy_knows_every_field_and_route(workflow: str) -> None:
    rules = demo_policy().rules(workflow)
    assert set(rules.evidence) == {field.path for field in FIELDS[workflow]}
    assert set(rules.routes) == set(ROUTES[workflow])


def test_documents_hold_what_is_true_of_them() -> None:
    for one in plan(14, 200, faulty_share=0):
        everything = "\n".join(source.text for source in one.case.sources)
        special = FIELDS[one.case.workflow][-1]
        assert special.label(one.case.route), "the special field is that of the route"
        for field in FIELDS[one.case.workflow]:
            label = field.label(one.case.route)
            assert label is not None
            assert (f"{label}: " in everything) == (one.case.truth[field.path] is not None)
