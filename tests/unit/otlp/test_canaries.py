"""No secret of a foreign span leaves the artifact store: one in every place that a client can write to, all at once and
one by one, is in no event, metric, log or answer. What the loader stores and what the worker publishes is made of the
events alone; tests/integration/otlp/test_canaries.py sweeps a whole stack.
"""

import itertools
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import generate_latest

from causeline.otlp.receiver import from_protobuf
from causeline.otlp.receiver.content_store import Keeper
from causeline.otlp.receiver.encoding import encoded, kept
from causeline.otlp.receiver.metrics import ReceiverMetrics
from causeline.otlp.receiver.rules import Rules
from causeline.producers.artifacts import ArtifactStore
from causeline.schemas.otel_names import KIND_ROWS, ROWS
from interop.recorder import Request, read_recording
from interop.run_clients import RECORDINGS
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.planting import SHAPES, dressed, mark, message_of, places, planted, recordings

_NAMES = sorted(folder.name for folder in RECORDINGS.iterdir())
_TYPED = {row.key.partition("#")[0] for row in ROWS if row.type not in {"content", "user"}}
_TYPED |= {row.key for row in KIND_ROWS}
"""Keys whose values are words by the conventions: under any other, not even a lone word may travel."""
_LONE: Callable[[int], str] = lambda n: f"Canary{n:05d}x"  # noqa: E731


def _all(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "requests"), recordings(), ids=lambda each: each if isinstance(each, str) else "")
def test_a_secret_everywhere_is_in_the_artifact_store_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, requests: list[Request], shape: str
) -> None:
    caplog.set_level(logging.DEBUG)
    requests, secrets = planted(requests, SHAPES[shape])
    door = Door(tmp_path)
    try:
        answers = [door.post(each.body, path=f"/v1/{each.signal}") for each in requests]
        told = b"".join(value for _, value in door.transport.sent)
        told += b"".join(answer.content + str(answer.headers).encode() for answer in answers)
        told += generate_latest(ReceiverMetrics(door.intake).registry) + caplog.text.encode()
        assert all(answer.status_code == 200 for answer in answers)
        assert len(door.runs) >= 1
    finally:
        door.close()
    stored = _all(tmp_path)
    leaked = [secret for secret in secrets if mark(secret) in told]
    lost = [secret for secret in secrets if mark(secret) not in stored]
    assert (leaked, lost) == ([], []), f"of {len(secrets)} secrets of {name}"


@pytest.mark.parametrize("name", _NAMES)
def test_with_content_dropped_a_secret_is_nowhere(tmp_path: Path, name: str) -> None:
    requests, secrets = planted(read_recording(RECORDINGS / name), SHAPES["address"])
    keeper = Keeper(None)
    wire = b""
    for request in requests:
        received = getattr(from_protobuf, request.signal)(request.body)
        wire += b"".join(item.data for item in encoded(kept(received, Rules(), keeper), received))
    assert [secret for secret in secrets if mark(secret) in wire] == []
    assert [key for key in keeper.dropped if any(mark(secret).decode() in key for secret in secrets)] == []
    assert wire


@pytest.mark.parametrize("name", _NAMES)
def test_a_lone_word_under_a_key_that_nobody_documents_does_not_travel(tmp_path: Path, name: str) -> None:
    """One place at a time, so that all else of the span stays what it was."""
    store = ArtifactStore.open(tmp_path)
    number = itertools.count()
    leaked = []
    for request in read_recording(RECORDINGS / name):
        count = sum(1 for _ in places(dressed(message_of(request))))
        for place in range(count):
            message = dressed(message_of(request))
            key, holder, field = next(itertools.islice(places(message), place, None))
            bare = key.rpartition(":")[2]
            if bare in _TYPED or key in {"name", "event", "key"}:
                continue
            secret = _LONE(next(number))
            setattr(holder, field, secret)
            received = getattr(from_protobuf, request.signal)(message.SerializeToString())
            items = encoded(kept(received, Rules(), Keeper(store)), received)
            if secret.encode() in b"".join(item.data for item in items):
                leaked.append(key)
    assert leaked == []


def test_the_sweep_sees_a_leak() -> None:
    """A request whose secret stands in a documented word: the sweep's own means find it."""
    message = ExportTraceServiceRequest()
    span = (
        message.resource_spans.add()
        .scope_spans.add()
        .spans.add(trace_id=b"1" * 16, span_id=b"2" * 8, start_time_unix_nano=10**18, name="chat")
    )
    span.attributes.add(key="gen_ai.request.model").value.string_value = _LONE(7)
    received = from_protobuf.traces(message.SerializeToString())
    wire = b"".join(item.data for item in encoded(kept(received, Rules(), Keeper(None)), received))
    assert _LONE(7).encode() in wire
    assert len(list(places(message))) == 4
    assert MessageToDict(message)
