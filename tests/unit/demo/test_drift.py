"""The drift scenario: one provider's backend changes, what it decides moves, and every shape stays as it was."""

from collections import Counter, defaultdict
from pathlib import Path
from statistics import mean

import pytest

from causeline.demo import plan, work
from causeline.demo.cases import ROUTES
from causeline.demo.plan import PlannedRun
from tests.unit.demo.sessions import hold, steps

MOVED = ("policy", "invoice")
"""The workflows that ask the provider whose backend changes."""
USUAL = {"policy": "motor", "invoice": "purchase"}


def decided(one: PlannedRun) -> work.Routed:
    persona = one.behaviour.persona
    text = "\n".join(source.text for source in one.case.sources)
    return work.route(
        one.case.workflow, text, one.behaviour.twist, late_weight=persona.late_weight, doubt=persona.doubt
    )


def decisions(*, drift_at: float | None) -> dict[str, list[work.Routed]]:
    made: dict[str, list[work.Routed]] = defaultdict(list)
    for one in plan(31, 2_500, faulty_share=0, drift_at=drift_at):
        made[one.case.workflow].append(decided(one))
    return made


@pytest.fixture(scope="module")
def before() -> dict[str, list[work.Routed]]:
    return decisions(drift_at=None)


@pytest.fixture(scope="module")
def after() -> dict[str, list[work.Routed]]:
    return decisions(drift_at=0)


@pytest.mark.parametrize("workflow", MOVED)
def test_six_in_a_hundred_go_another_way(
    workflow: str, before: dict[str, list[work.Routed]], after: dict[str, list[work.Routed]]
) -> None:
    def share(made: list[work.Routed]) -> float:
        routes = Counter(decision.route for decision in made)
        assert set(routes) == set(ROUTES[workflow])
        return routes[USUAL[workflow]] / routes.total()

    assert share(after[workflow]) - share(before[workflow]) == pytest.approx(0.06, abs=0.025)


@pytest.mark.parametrize("workflow", MOVED)
def test_confidence_falls_a_little(
    workflow: str, before: dict[str, list[work.Routed]], after: dict[str, list[work.Routed]]
) -> None:
    was, is_now = (mean(decision.confidence for decision in made[workflow]) for made in (before, after))

    assert is_now - was == pytest.approx(-0.05, abs=0.02)


def test_the_other_providers_workflow_is_as_it_was(
    before: dict[str, list[work.Routed]], after: dict[str, list[work.Routed]]
) -> None:
    assert after["contract"] == before["contract"]


def test_every_answer_keeps_its_shape_and_only_the_fingerprint_tells(tmp_path: Path) -> None:
    """A first answer may stumble over its shape, as ever, and is asked for again."""
    session = hold(list(plan(32, 150, faulty_share=0, drift_at=0.5)), tmp_path)

    for run, truth in zip(session.runs, session.truth, strict=True):
        validations = steps(run, "validate")
        assert not validations or not validations[-1].get("validation_errors")
        for call in steps(run, "model_call"):
            if (fingerprint := call.get("system_fingerprint")) and call["model_policy"] == "default":
                assert str(fingerprint).endswith("_r2") == truth["drifted"]
    drifted = [place for place, truth in enumerate(session.truth) if truth["drifted"]]
    assert min(drifted) >= 75
    assert {session.truth[place]["workflow"] for place in drifted} == set(MOVED)
