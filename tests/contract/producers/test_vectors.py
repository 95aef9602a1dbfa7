"""The vectors for other languages are what our writer writes now, and say the same to a reader that is none of ours."""

import io
import json
from typing import Any

import fastavro
import pytest

from causeline.schemas import catalogue
from tests.contract import vectors

DOCUMENT: dict[str, Any] = json.loads(vectors.FILE.read_text("utf-8"))
PARSED = fastavro.parse_schema(json.loads(catalogue.latest("trace-batch").text))


def test_the_vectors_are_what_our_writer_writes_now() -> None:
    assert vectors.FILE.read_text("utf-8") == vectors.text(), "python -m tests.contract.vectors"


@pytest.mark.parametrize("vector", DOCUMENT["vectors"], ids=lambda vector: str(vector["name"]))
def test_avros_own_library_reads_the_fields_that_the_vector_tells(vector: dict[str, Any]) -> None:
    for message in vector["messages"]:
        value = bytes.fromhex(message["value"])
        assert value[:5] == b"\0" + DOCUMENT["schema_id"].to_bytes(4, "big")
        body = io.BytesIO(value[5:])
        read: Any = fastavro.schemaless_reader(body, PARSED, None)
        assert body.read() == b""
        written = io.BytesIO()
        fastavro.schemaless_writer(
            written, PARSED, {"emitter_id": message["events"][0]["emitter_id"], "events": message["events"]}
        )
        assert written.getvalue() == value[5:]
        assert len(read["events"]) == len(message["events"])


def test_the_vectors_have_every_verdict_a_gap_and_refusals() -> None:
    runs = [vector["run"] for vector in DOCUMENT["vectors"] if vector["run"]]
    assert {run["verdict"] for run in runs} == {"complete", "partial", "unfinished"}
    assert any(run["gap_kinds"] for run in runs)
    assert [bool(vector["refused"]) for vector in DOCUMENT["vectors"]].count(True) == 2
