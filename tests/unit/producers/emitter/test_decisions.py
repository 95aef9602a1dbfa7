"""Reviews and evals go to a topic of their own, by an emitter beside the run's."""

from pathlib import Path

import pytest

from causeline.producers.emitter import emitter as module
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.tracer import Tracer
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.events import RunFinished
from tests.unit.producers.recording import RecordingTransport, events_of

QUICK = {"batch_age_s": 0.001, "close_timeout_s": 5}


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> dict[str, RecordingTransport]:
    """What was sent, by topic, where a broker is asked for."""
    sent: dict[str, RecordingTransport] = {}

    def transport(_kafka: KafkaConnection, _settings: EmitterSettings, topic: str) -> RecordingTransport:
        return sent.setdefault(topic, RecordingTransport())

    monkeypatch.setattr(module, "KafkaTransport", transport)
    return sent


def types(transport: RecordingTransport) -> list[str]:
    """What was sent, by time: batches of several partitions come in no order."""
    return [event.event_type.value for event in sorted(events_of(transport), key=lambda each: each.occurred_at)]


def test_what_is_decided_about_a_run_goes_by_its_own_topic_and_leaves_no_hole(
    topics: dict[str, RecordingTransport],
) -> None:
    seen: list[str] = []
    emitter = Emitter(EmitterSettings.model_validate(QUICK), kafka=KafkaConnection(), on_delivered=seen.extend)
    with Tracer("tests", emitter=emitter, enabled=True) as tracer:
        with tracer.run("invoice") as run:
            run.review("approved", reviewer_ref="reviewer:1")
            run.eval("case-1", "passed")
        assert tracer.record_review(run.run_id, "invoice", "rejected", reviewer_ref="reviewer:2")
        assert not tracer.flush(5)
        stats = tracer.stats()

    assert types(topics["causeline.events"]) == ["run_started", "run_finished"]
    assert types(topics["causeline.decisions"]) == ["review_recorded", "eval_recorded", "review_recorded"]
    mine, decisions = (events_of(topics[f"causeline.{name}"]) for name in ("events", "decisions"))
    assert {each.seq for each in mine} == {0, 1}
    assert [each.expected_events for each in mine if isinstance(each, RunFinished)] == [2]
    assert sorted(each.seq for each in decisions) == [0, 0, 1]
    assert not {each.emitter_id for each in mine} & {each.emitter_id for each in decisions}
    assert (stats.accepted, stats.delivered, len(seen)) == (5, 5, 5)


def test_a_decision_puts_its_run_on_record_whatever_the_sample(topics: dict[str, RecordingTransport]) -> None:
    emitter = Emitter(EmitterSettings.model_validate({**QUICK, "sample": 0}), kafka=KafkaConnection())
    with Tracer("tests", emitter=emitter, enabled=True) as tracer:
        with tracer.run("invoice") as run:
            run.review("approved", reviewer_ref="reviewer:1")
        with tracer.run("invoice"):
            pass
        assert not tracer.flush(5)

    assert types(topics["causeline.events"]) == ["run_started", "run_finished"]
    assert types(topics["causeline.decisions"]) == ["review_recorded"]


def test_what_a_process_left_in_the_spool_goes_to_the_topic_that_it_is_of(
    topics: dict[str, RecordingTransport], tmp_path: Path
) -> None:
    settings = EmitterSettings.model_validate({**QUICK, "spool": tmp_path, "spool_after_s": 0.01})
    topics["causeline.events"] = topics["causeline.decisions"] = away = RecordingTransport(partitions=None)
    left = Emitter(settings, kafka=KafkaConnection())
    with Tracer("tests", emitter=left, enabled=True) as tracer:
        with tracer.run("invoice") as run:
            run.review("approved", reviewer_ref="reviewer:1")
        tracer.close(0.1)
    assert not away.sent
    topics.clear()

    emitter = Emitter(settings, kafka=KafkaConnection())
    assert emitter.drain(10) == 0
    emitter.close()

    assert types(topics["causeline.events"]) == ["run_started", "run_finished"]
    assert types(topics["causeline.decisions"]) == ["review_recorded"]


def test_a_transport_of_the_callers_own_takes_them_as_all_else() -> None:
    transport = RecordingTransport()
    emitter = Emitter(EmitterSettings.model_validate(QUICK), transport=lambda: transport)

    assert emitter.decisions is emitter
    emitter.close()
