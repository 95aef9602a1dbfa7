"""What a session leaves behind: references that lead somewhere, plausible times, versions, and a truth kept apart."""

import itertools
import random
import re
from collections import Counter
from typing import cast

import pytest

from causeline.demo import model, plan
from causeline.demo.plan import PlannedRun
from causeline.runtime.clock import system_clock
from causeline.schemas.events import Record
from tests.unit.demo.sessions import Session, events_of_type, hold, measures, refs_in, steps

RUNS = 160


@pytest.fixture(scope="module")
def planned() -> list[PlannedRun]:
    return list(plan(21, RUNS))


@pytest.fixture(scope="module")
def session(planned: list[PlannedRun], tmp_path_factory: pytest.TempPathFactory) -> Session:
    return hold(planned, tmp_path_factory.mktemp("demo"), label="s-1")


def test_documents_are_in_the_store_and_every_reference_leads_to_an_artifact(
    session: Session, planned: list[PlannedRun]
) -> None:
    for one, run in zip(planned, session.runs, strict=True):
        assert {session.text(step["input_ref"]) for step in steps(run, "parse")} == {
            source.text for source in one.case.sources
        }
    for ref in {ref for run in session.runs for event in run for ref in refs_in(list(event.values()))}:
        assert session.artifacts.exists(ref), ref


def test_a_runs_times_rise_and_lie_in_the_past(session: Session) -> None:
    now = system_clock()
    for run in session.runs:
        times = [cast("int", event["occurred_at"]) for event in run]
        assert times == sorted(times)
        assert times[0] == run[0]["run_started_at"]
        assert now - 600_000_000 < times[0] < times[-1] <= now
        for event in run:
            if event["event_type"] == "step_finished":
                assert cast("int", event["started_at"]) < cast("int", event["occurred_at"])


def test_model_calls_are_what_takes_time(session: Session) -> None:
    def duration(event: Record) -> int:
        return cast("int", event["occurred_at"]) - cast("int", event["started_at"])

    slowest = Counter(
        str(max(finished, key=duration)["step_kind"])
        for run in session.runs
        if (finished := events_of_type(run, "step_finished")) and steps(run, "model_call")
    )
    assert slowest.most_common(1)[0][0] == "model_call"


def test_every_run_carries_the_session_and_runs_interleave(session: Session) -> None:
    assert all(measures(run[0])["demo"] == "s-1" for run in session.runs)
    arrived = [str(event["run_id"]) for event in session.transport.events()]
    changes = sum(one != other for one, other in itertools.pairwise(arrived))
    assert changes > len(arrived) / 2


def test_the_truth_file_says_what_was_planted_in_which_run(session: Session, planned: list[PlannedRun]) -> None:
    assert [line["run_id"] for line in session.truth] == list(session.published.run_ids)
    assert [(line["workflow"], line["faults"]) for line in session.truth] == [
        (one.case.workflow, [{"layer": fault.layer.value, "fault": fault.name} for fault in one.faults])
        for one in planned
    ]
    assert [(line["route"], line["facts"], line["drifted"]) for line in session.truth] == [
        (one.case.route, one.case.truth, False) for one in planned
    ]
    assert session.published.faulty == sum(bool(one.faults) for one in planned)


def test_no_value_that_a_document_states_is_in_any_event(session: Session, planned: list[PlannedRun]) -> None:
    encoded = b"\n".join(value for _, value in session.transport.sent)
    stated = {
        value.strip()
        for one in planned
        for source in one.case.sources
        for value in re.findall(r": ([^\n\f]+)", source.text)
        if len(value) > 6
    }
    assert len(stated) > RUNS
    assert b"contract-extract" in encoded, "what is in the events can be found in their bytes"
    assert [value for value in stated if value.encode() in encoded] == []


def test_nothing_that_was_planted_is_named_in_an_event(session: Session, planned: list[PlannedRun]) -> None:
    encoded = b"\n".join(value for _, value in session.transport.sent)
    planted = {fault.name for one in planned for fault in one.faults}
    assert len(planted) > 10
    assert [name for name in planted if name.encode() in encoded] == []


def test_every_model_call_records_its_versions_except_in_the_legacy_service(
    session: Session, planned: list[PlannedRun]
) -> None:
    anchors = ("model_provider", "model_name", "model_policy", "prompt_id", "prompt_version", "system_fingerprint")
    for one, run in zip(planned, session.runs, strict=True):
        for call in steps(run, "model_call"):
            missing = {name for name in anchors if call.get(name) is None}
            assert missing == ({"prompt_version", "system_fingerprint"} if one.behaviour.legacy else set())
            assert None not in (call.get("temperature"), call.get("top_p"), call.get("seed"))


def test_tokens_and_cost_are_of_the_prompt_and_the_answer(session: Session) -> None:
    calls = [call for run in session.runs for call in steps(run, "model_call") if call["status"] == "ok"]
    assert len({call["input_tokens"] for call in calls}) > 10
    for call in calls:
        assert cast("int", call["input_tokens"]) > 0
        assert cast("int", call["output_tokens"]) > 0
        assert cast("float", call["cost_usd"]) > 0


def test_providers_fail_as_often_as_they_are_meant_to() -> None:
    chance, persona = random.Random(5), model.PERSONAS["policy"]
    failures = Counter(_failure(persona, chance) for _ in range(20_000))
    assert failures["RateLimited"] / 20_000 == pytest.approx(0.01, abs=0.003)
    assert failures["ProviderTimeout"] / 20_000 == pytest.approx(0.005, abs=0.002)


def _failure(persona: model.Persona, chance: random.Random) -> str | None:
    try:
        model.call(model.Asked({}, ()), persona, frozenset(), chance, attempt=0, stumbles=False)
    except (model.RateLimited, model.ProviderTimeout) as error:
        return type(error).__name__
    return None
