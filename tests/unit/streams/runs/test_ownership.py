"""Who knows a run's id can tell of it under another name, and changes nothing of it; the run says that somebody did."""

from typing import Any

import pytest

from causeline.schemas.events import UNNUMBERED_EMITTER, Record
from tests.unit.streams.both import assemble
from tests.unit.streams.build import event, messages, whole_run

CLOSED = 1_700_000_100_000_000


def assembled(*events: Record) -> dict[int, dict[str, Any]]:
    return {int(run["run_id"], 16): run for run in assemble(messages(events), closed_at=CLOSED).runs}


def labels(run: dict[str, Any]) -> dict[str, str]:
    return {pair["key"]: pair["value"] for pair in run["labels"]}


@pytest.mark.parametrize("name", [{"project": "theirs"}, {"workflow": "theirs"}])
@pytest.mark.parametrize(
    "forged",
    [
        event("review_recorded", seq=0, emitter="x", review_outcome="approved", reviewer_ref="reviewer:1"),
        event("eval_recorded", seq=0, emitter="x", eval_outcome="passed"),
        event("evaluation_recorded", seq=0, emitter="x", evaluation_name="relevance"),
        event("step_finished", seq=70, emitter="x"),  # seventy events before it seem lost
        event("run_finished", seq=900, emitter="x", expected_events=1_000, expected_steps=["tool:never"]),
        event("run_started", seq=0, emitter="x", occurred_at=1, labels=[{"key": "owner", "value": "me"}]),
    ],
    ids=lambda record: str(record["event_type"]),
)
def test_an_event_of_another_name_changes_nothing_and_is_told(forged: Record, name: dict[str, str]) -> None:
    mine = assembled(*whole_run(1))[1]

    attacked = assembled(*whole_run(1), {**forged, **name})[1]

    assert mine["verdict"] == "complete"
    assert labels(attacked) == {**labels(mine), "foreign.events": "1"}
    assert attacked["revision"] == mine["revision"] + 1  # a word of its own, though it says the same
    assert {**attacked, "labels": [], "revision": 0} == {**mine, "labels": [], "revision": 0}


def test_neighbours_are_left_alone() -> None:
    runs = assembled(*whole_run(1), *whole_run(2), event("review_recorded", run=2, project="theirs"), *whole_run(3))

    assert [labels(runs[number]).get("foreign.events") for number in (1, 2, 3)] == [None, "1", None]
    assert [runs[number]["events"] for number in (1, 2, 3)] == [len(whole_run(9))] * 3


def test_a_label_of_that_name_from_outside_is_not_believed() -> None:
    start, *others = whole_run(1)
    start["labels"] = [{"key": "foreign.events", "value": "0"}]

    assert labels(assembled(start, *others, event("step_finished", seq=50, project="x"))[1])["foreign.events"] == "1"


def test_services_over_otlp_have_workflow_names_of_their_own() -> None:
    span = event("step_finished", seq=0, emitter=UNNUMBERED_EMITTER, workflow="a service", step_id="ab" * 8)

    run = assembled(*whole_run(1), span)[1]

    assert "foreign.events" not in labels(run)
    assert run["events"] == len(whole_run(1)) + 1


@pytest.mark.parametrize("scored_us", [1, CLOSED], ids=["before the run by its clock", "after it"])
def test_scores_over_otlp_know_the_id_alone_and_join_whose_run_it_is(scored_us: int) -> None:
    def score(number: int) -> Record:
        said: dict[str, Any] = {"evaluation_name": f"relevance {number}", "workflow_source": "span"}
        default: dict[str, Any] = {"project": "default", "workflow": "unknown", "occurred_at": scored_us}
        return event("evaluation_recorded", seq=0, emitter=UNNUMBERED_EMITTER, **said, **default)

    scores = [score(number) for number in range(9)]  # more than the run has events, and no vote among them

    run = assembled(*scores, *whole_run(1))[1]
    alone = assembled(*scores)[1]

    assert (run["project"], run["workflow"], run["verdict"]) == ("p", "w", "complete")
    assert sorted(each["name"] for each in run["evaluations"]) == [f"relevance {number}" for number in range(9)]
    assert "foreign.events" not in labels(run)
    assert (alone["project"], alone["workflow"]) == ("default", "unknown")


def test_other_events_over_otlp_of_another_project_are_set_aside() -> None:
    span = event("step_finished", seq=0, emitter=UNNUMBERED_EMITTER, project="theirs", step_id="ab" * 8)

    assert labels(assembled(*whole_run(1), span)[1])["foreign.events"] == "1"
