"""A demo session on a real broker: every acknowledged event stands there once, and every run can be told whole."""

import itertools
import json
import secrets
from collections import defaultdict
from pathlib import Path
from typing import cast

import pytest

from causeline.demo import publish
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.tracer import Tracer
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.decisions import DECISIONS
from causeline.schemas.events import Record
from causeline.schemas.partition import partition_of
from tests.contract.producers.transport_contract import PARTITIONS
from tests.integration.producers.test_kafka import make_topic, read, settings_for

pytestmark = pytest.mark.stack

RUNS = 120


def test_a_session_stands_whole_on_the_broker(kafka: KafkaConnection, tmp_path: Path) -> None:
    topic = make_topic(kafka, f"t{secrets.token_hex(6)}.events")
    of_decisions = make_topic(kafka, topic.replace(".events", ".decisions"))
    delivered: list[str] = []
    emitter = Emitter(settings_for(topic), kafka=kafka, on_delivered=delivered.extend)
    tracer = Tracer("demo", emitter=emitter)
    published = publish(
        tracer=tracer,
        artifacts=ArtifactStore.open(tmp_path / "artifacts"),
        seed=7,
        runs=RUNS,
        truth_file=tmp_path / "truth.jsonl",
        session_label="kafka",
    )
    assert not tracer.close(30)
    stats = tracer.stats()
    assert (stats.invalid, stats.dropped, stats.lost) == (0, 0, 0)

    decided = emitter.decisions.stats().accepted
    seen, decisions = read(kafka, topic, stats.accepted - decided), read(kafka, of_decisions, decided)
    assert sorted(str(event["event_id"]) for _, event in [*seen, *decisions]) == sorted(delivered)
    assert {event["event_type"] for _, event in decisions} == DECISIONS
    assert not {event["event_type"] for _, event in seen} & DECISIONS
    assert {str(event["run_id"]) for _, event in decisions} <= set(published.run_ids)
    of_run: dict[str, list[tuple[int, Record]]] = defaultdict(list)
    for partition, event in seen:
        of_run[str(event["run_id"])].append((partition, event))
    assert set(of_run) == set(published.run_ids)
    for run_id, events in of_run.items():
        assert {partition for partition, _ in events} == {partition_of(run_id, PARTITIONS)}
        assert [event["seq"] for _, event in events] == list(range(len(events))), "in the order of the run"
        assert events[-1][1]["expected_events"] == len(events)

    in_one_partition = [str(event["run_id"]) for partition, event in seen if partition == 0]
    changes = sum(one != other for one, other in itertools.pairwise(in_one_partition))
    assert changes > 2 * len(set(in_one_partition)), "runs interleave"
    truth = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert [cast("str", line["run_id"]) for line in truth] == list(published.run_ids)
