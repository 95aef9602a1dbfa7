"""A stored run is read into the same object from Kafka and from ClickHouse."""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from causeline.schemas import catalogue
from causeline.schemas.run import Eval, Evidence, Fallback, Review, Run, RunGap, Step

ITEM = json.loads(catalogue.latest("run-batch").text)["fields"][-1]["type"]["items"]


def _nested(name: str) -> Mapping[str, Any]:
    kind = next(field["type"][1] for field in ITEM["fields"] if field["name"] == name)
    record: Mapping[str, Any] = kind["items"][1]
    return record


@pytest.mark.parametrize(
    ("model", "record"),
    [
        (Run, ITEM),
        (Step, _nested("steps")),
        (Evidence, _nested("evidence")),
        (RunGap, _nested("gaps")),
        (Fallback, _nested("fallbacks")),
        (Review, _nested("reviews")),
        (Eval, _nested("evals")),
    ],
)
def test_each_class_has_the_fields_of_its_avro_record(model: type[Any], record: Mapping[str, Any]) -> None:
    assert {item.name for item in fields(model)} == {item["name"] for item in record["fields"]}


def test_a_run_reads_alike_from_avro_and_from_a_row() -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=UTC)
    micros = int(moment.timestamp()) * 1_000_000 + 8
    nested = {"step_id": "a" * 16, "step_kind": "parse", "step_name": "pages", "route": None}
    common = {"run_id": "b" * 32, "revision": 3, "context_refs": ["r"], "unheard_of": 1}

    from_avro = Run.from_record(
        common
        | {"started_at": micros, "labels": [{"key": "k", "value": "v"}], "steps": [nested | {"started_at": micros}]}
    )
    from_row = Run.from_record(
        common | {"started_at": moment, "labels": {"k": "v"}, "steps": [nested | {"started_at": moment}]}
    )

    assert from_avro == from_row
    assert from_avro.started_at == moment
    assert from_avro.labels == {"k": "v"}
    assert from_avro.context_refs == ("r",)
    assert from_avro.steps[0].full_name == "parse:pages"
    assert from_avro.steps[0].started_at == moment
