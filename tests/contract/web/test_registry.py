"""The schemas we serve, read by Confluent's own client over HTTP."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from causeline.schemas import catalogue, wire
from causeline.schemas.topics import TOPICS
from causeline.web.app import create_app
from causeline.web.health import Health
from causeline.web.registry_api import CONTENT_TYPE
from causeline.web.settings import ServeSettings


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    app = create_app(ServeSettings.from_environment(port=0), Health({}))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{_port(server)}"
    finally:
        server.should_exit = True
        thread.join(30)


def _port(server: uvicorn.Server) -> int:
    deadline = time.monotonic() + 30
    while not server.started:
        if time.monotonic() > deadline:
            raise TimeoutError("the service does not start")
        threading.Event().wait(0.01)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


@pytest.fixture
def client(url: str) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": url}) as opened:
        yield opened


def ask(url: str, method: str = "GET", body: object = None) -> tuple[int, Any, str]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": CONTENT_TYPE}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer), answer.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers["Content-Type"]


def test_every_topic_has_a_subject(client: SchemaRegistryClient) -> None:
    subjects = set(client.get_subjects())
    assert subjects == set(catalogue.subjects()) | {f"causeline.{topic.name}-value" for topic in TOPICS}


def test_every_version_can_be_had_by_subject_and_by_id(client: SchemaRegistryClient) -> None:
    for schema in catalogue.bundled().values():
        assert client.get_schema(schema.schema_id).schema_str == schema.text
        found = client.get_version(schema.subject, schema.version)
        assert (found.schema_id, found.version) == (schema.schema_id, schema.version)
    latest = client.get_latest_version("causeline.events-value")
    assert latest.schema_id == catalogue.latest("trace-batch").schema_id
    assert client.get_versions("causeline.runs-value") == [each.version for each in catalogue.versions("run-batch")]


def test_a_schema_is_looked_up_by_its_text(client: SchemaRegistryClient) -> None:
    gap = catalogue.latest("gap")
    respaced = json.dumps(json.loads(gap.text))
    assert client.lookup_schema("causeline.gaps-value", Schema(respaced, "AVRO")).schema_id == gap.schema_id
    with pytest.raises(SchemaRegistryError) as raised:
        client.lookup_schema("causeline.gaps-value", Schema('"string"', "AVRO"))
    assert raised.value.error_code == 40403


def test_confluents_deserializer_reads_what_we_write(client: SchemaRegistryClient) -> None:
    letter = {
        "dead_id": "d" * 32,
        "stage": "worker",
        "topic": "causeline.events",
        "partition": 3,
        "offset": 17,
        "reason": "corrupt",
        "detail": "The batch does not decode.",
        "schema_id": None,
        "key": None,
        "value": b"\x00\xff",
        "produced_at": None,
        "observed_at": 1_772_352_000_000_000,
    }
    schema = catalogue.latest("dead-letter")
    value = wire.frame(schema.schema_id, wire.encode_datum(schema, letter))
    context = SerializationContext("causeline.dead", MessageField.VALUE)
    read = AvroDeserializer(client)(value, context)
    assert isinstance(read, dict)
    assert {name: read[name] for name in letter if name != "observed_at"} == {
        name: value for name, value in letter.items() if name != "observed_at"
    }
    assert int(read["observed_at"].timestamp() * 1_000_000) == letter["observed_at"]
    again = AvroSerializer(client, schema.text)(read, context)
    assert again == value


def test_registering_what_is_registered_changes_nothing(client: SchemaRegistryClient) -> None:
    for topic in TOPICS:
        ours = catalogue.latest(topic.subject)
        assert client.register_schema(f"causeline.{topic.name}-value", Schema(ours.text, "AVRO")) == ours.schema_id


def test_registering_anything_else_is_refused(client: SchemaRegistryClient, url: str) -> None:
    with pytest.raises(SchemaRegistryError, match="read-only") as raised:
        client.register_schema("causeline.events-value", Schema('"string"', "AVRO"))
    assert raised.value.http_status_code == 403
    for method, path in (("DELETE", "/subjects/gap"), ("PUT", "/config"), ("DELETE", "/subjects/gap/versions/1")):
        status, answer, _ = ask(url + path, method)
        assert (status, answer["error_code"]) == (405, 405)
        assert "read-only" in answer["message"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/subjects/none/versions", 404, 40401),
        ("/subjects/gap/versions/99", 404, 40402),
        ("/subjects/gap/versions/0", 422, 42202),
        ("/subjects/gap/versions/two", 422, 42202),
        ("/schemas/ids/1", 404, 40403),
        ("/schemas/ids/x", 422, 422),
        ("/nothing", 404, 404),
    ],
)
def test_errors_are_a_registrys_own(url: str, path: str, status: int, code: int) -> None:
    found, answer, content_type = ask(url + path)
    assert (found, answer["error_code"], content_type) == (status, code, CONTENT_TYPE)
    assert answer["message"].endswith((".", "not found"))


def test_settings_of_the_registry_are_told(url: str) -> None:
    first = catalogue.latest("gap").schema_id
    assert ask(f"{url}/schemas/types")[1] == ["AVRO"]
    assert ask(f"{url}/config")[1] == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert ask(f"{url}/mode/gap")[1] == {"mode": "READONLY"}
    assert ask(f"{url}/schemas/ids/{first}/versions")[1] == [
        {"subject": "causeline.gaps-value", "version": 1},
        {"subject": "gap", "version": 1},
    ]
    assert ask(f"{url}/subjects?subjectPrefix=causeline.g")[1] == ["causeline.gaps-value"]
    assert ask(f"{url}/subjects/gap", "POST", {"schema": "{"})[0] == 422
