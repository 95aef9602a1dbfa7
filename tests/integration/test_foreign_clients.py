"""Clients that know nothing of us read the running stack: ClickHouse's, curl, and Confluent's with our registry."""

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from mcp import Client, StdioServerParameters, types

from causeline.console.store import open_store
from causeline.demo import publish
from causeline.kafka.offsets import watermarks
from causeline.mcp.bounds import MOST_BYTES
from causeline.mcp.tools import TOOLS
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.tracer import Tracer
from causeline.schemas import wire
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import EVENTS, RUNS, TOPICS, Topic
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until

pytestmark = pytest.mark.stack

RUN_COUNT = 20
NOTEBOOK = Path(__file__).parents[2] / "examples" / "runs.ipynb"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sample:
    """What this module published."""

    project: str
    run_ids: frozenset[str]


@pytest.fixture(scope="module")
def sample(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    project = f"foreign-{uuid.uuid4().hex[:8]}"
    with Tracer(project, emitter=Emitter(kafka=stack.kafka()), enabled=True) as tracer:
        done = publish(
            tracer=tracer,
            artifacts=ArtifactStore.open(stack.artifacts),
            seed=11,
            runs=RUN_COUNT,
            truth_file=tmp_path_factory.mktemp("foreign") / "truth.jsonl",
            session_label=project,
        )
        assert not tracer.flush(30)
    with open_store(stack.clickhouse()) as store:
        wait_until(
            lambda: len(store.ask("SELECT 1 FROM runs WHERE project = {p:String}", {"p": project})) == RUN_COUNT,
            timeout_s=60,
            what="the published runs are not visible",
        )
    return Sample(project, frozenset(done.run_ids))


def password(file: Path) -> str:
    return file.read_text("utf-8").strip()


def test_the_notebook_of_the_examples_runs_as_it_stands(
    stack: Endpoints, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cell by cell, in an environment from `causeline env`; a kernel adds nothing that the cells need."""
    for name, value in stack.reading().items():
        monkeypatch.setenv(name, value)
    names: dict[str, Any] = {}
    for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)  # noqa: S102 - our own cells

    assert names["by_workflow"]["runs"].sum() >= len(sample.run_ids)
    assert names["rows"] >= len(sample.run_ids)
    assert set(names["columns"]) == set(names["steps"].columns)


def test_an_agent_asks_every_tool_of_the_running_stack(stack: Endpoints, sample: Sample) -> None:
    """By the protocol's own client, over stdin and stdout, each answer of 8 KB at most."""
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "causeline.cli", "mcp", "--state-dir", str(stack.state_dir)]
    )

    async def session() -> dict[str, dict[str, Any]]:
        said: dict[str, dict[str, Any]] = {}
        async with Client(command, read_timeout_seconds=60) as client:

            async def ask(tool: str, **given: object) -> dict[str, Any]:
                result = await client.call_tool(tool, given)
                [block] = result.content
                assert isinstance(block, types.TextContent)
                assert not result.is_error, block.text
                assert len(block.text.encode()) <= MOST_BYTES
                said[tool] = json.loads(block.text)["data"]
                return said[tool]

            found = await ask("find_runs", since="1d", limit=20)
            run, other = (each["run_id"] for each in found["runs"][:2])
            await ask("explain_run", run=run)
            outline = await ask("run_outline", run=run)
            await ask("step", run=run, step_id=outline["steps"][0]["step_id"])
            await ask("compare_runs", left=run, right=other)
            await ask("causes", since="1d")
            await ask("drift")
            await ask("ask", question="cost-of-failures", parameters={"since": "1d"})
            await ask("sql", statement="SELECT * FROM runs")
        return said

    said = asyncio.run(session())

    assert set(said) == set(TOOLS)
    assert len(said["find_runs"]["runs"]) == 20
    assert said["explain_run"]["summary"]
    assert said["sql"]["rows"]


def messages(stack: Endpoints, topic: str) -> Iterator[tuple[int, int, bytes | None, bytes]]:
    """Partition, offset, key and value of all that a plain consumer finds on a topic now."""
    config = {**stack.kafka().client_config(), "group.id": f"foreign-{uuid.uuid4().hex}", "enable.auto.commit": False}
    with Consumer(config) as consumer:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        bounds = {each: watermarks(consumer, TopicPartition(topic, each), timeout_s=10) for each in partitions}
        waiting = {each: high for each, (low, high) in bounds.items() if high > low}
        consumer.assign([TopicPartition(topic, each, bounds[each][0]) for each in waiting])
        while waiting:
            message = consumer.poll(10)
            assert message is not None
            assert message.error() is None, message.error()
            partition, offset, value = message.partition(), message.offset(), message.value()
            assert partition is not None
            assert offset is not None
            assert value is not None
            key = message.key()
            yield partition, offset, key.encode() if isinstance(key, str) else key, bytes(value)
            if offset + 1 >= waiting.get(partition, offset + 2):
                del waiting[partition]


def plain(value: object) -> object:
    """A decoded value with its times as microseconds, as the wire has them."""
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(microseconds=1)
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def test_clickhouse_connect_queries_it(stack: Endpoints, sample: Sample) -> None:
    connection = stack.clickhouse()
    client = clickhouse_connect.get_client(
        host=connection.host,
        port=connection.port,
        username=connection.user,
        password=password(stack.clickhouse_password_file),
        database=connection.database,
    )
    try:
        rows = client.query("SELECT run_id FROM runs WHERE project = {p:String}", {"p": sample.project}).result_rows
    finally:
        client.close()

    assert sorted(run_id for [run_id] in rows) == sorted(sample.run_ids)


def test_curl_queries_it_as_the_reader(stack: Endpoints, sample: Sample) -> None:
    connection = stack.clickhouse()
    config = f'user = "reader:{password(stack.clickhouse_reader_password_file)}"\n'  # not for the list of processes
    sql = f"SELECT run_id FROM runs WHERE project = '{sample.project}' FORMAT JSONEachRow"
    url = f"http://{connection.host}:{connection.port}/?database={connection.database}"

    answer = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail-with-body", "--config", "-", "--data-binary", sql, url],
        input=config,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert {json.loads(line)["run_id"] for line in answer.stdout.splitlines()} == sample.run_ids


@pytest.mark.parametrize("topic", [EVENTS, RUNS], ids=["events", "runs"])
def test_confluents_deserializer_reads_what_we_read(stack: Endpoints, sample: Sample, topic: Topic) -> None:
    name = topic.full_name(stack.topic_prefix)
    found = set()
    with SchemaRegistryClient({"url": stack.console_url}) as registry:
        decode = AvroDeserializer(registry)
        for _, _, _, value in messages(stack, name):
            ours = wire.decode_items(wire.read_block(value, topic.subject, Schemas()))
            if not sample.run_ids & {str(each["run_id"]) for each in ours}:
                continue
            theirs = decode(value, SerializationContext(name, MessageField.VALUE))
            assert isinstance(theirs, dict)
            [items] = [each for each in theirs.values() if isinstance(each, list)]
            assert plain(items) == [plain(each) for each in ours]
            found |= {str(each["run_id"]) for each in items}

    assert found >= sample.run_ids


def test_a_plain_consumer_lists_topics_keys_and_offsets(stack: Endpoints, sample: Sample) -> None:
    with Consumer({**stack.kafka().client_config(), "group.id": "foreign-list"}) as consumer:
        known = consumer.list_topics(timeout=10).topics
    assert known.keys() >= {topic.full_name(stack.topic_prefix) for topic in TOPICS}

    offsets: dict[int, list[int]] = {}
    keys = set()
    for partition, offset, key, _ in messages(stack, f"{stack.topic_prefix}.gaps"):
        offsets.setdefault(partition, []).append(offset)
        assert key is not None
        keys.add(key.decode())

    assert all(seen == list(range(seen[0], seen[0] + len(seen))) for seen in offsets.values())
    assert keys & sample.run_ids
