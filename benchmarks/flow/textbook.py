"""The same way by the textbook of the same packages: a message an event, a table of lists, rows inserted by a client.

Each of the three parts is what its package's own guide shows, on the same events: confluent-kafka's AvroSerializer and
idempotent producer; a Faust table; fastavro's reader and clickhouse-connect's `insert`, its insert context made once,
10,000 rows an insert. The Faust table reads JSON, which costs it less than Avro would; the run's row is not inserted
at all, so the textbook is spared what a second table would cost. CPU is that of every process of ours that takes part,
the broker apart, and of the engine.
"""

import io
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import fastavro
import psutil
from clickhouse_connect.driver.client import Client
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from benchmarks.joining.broker import Bench
from benchmarks.joining.contenders import faust_table
from benchmarks.joining.runs import EVENTS_A_RUN, PARTITIONS, SCHEMA
from causeline.schemas import wire
from causeline.schemas.events import Record
from causeline.schemas.partition import partition_of
from causeline.schemas.tables import EVENTS

_ROWS_AN_INSERT = 10_000
_WIRE_HEADER = 5
_UP = 20
"""Runs that the table's process joins to come up."""


def textbook(bench: Bench, client: Client, server_pid: int, runs: Sequence[list[Record]], round_: int) -> float:
    """CPU microseconds an event of the three parts together."""
    events = len(runs) * EVENTS_A_RUN
    values, emitting_s = _emitted(bench, runs, f"text{round_}")
    _, up_s, _, _ = faust_table(bench, runs[:_UP], round_)
    _, joining_s, _, _ = faust_table(bench, runs, round_)
    inserting_s = _inserted(client, psutil.Process(server_pid), values)
    joining_us = (joining_s - up_s) * 1e6 / (events - _UP * EVENTS_A_RUN)
    return (emitting_s + inserting_s) * 1e6 / events + joining_us


def _emitted(bench: Bench, runs: Sequence[list[Record]], prefix: str) -> tuple[list[bytes], float]:
    """The values as the topic has them, and CPU seconds of this process for producing them."""
    bench.topics(prefix, ["events"])
    text = wire.item_schema_text(SCHEMA)
    serializer = AvroSerializer(SchemaRegistryClient.new_client({"url": "mock://bench"}), text)
    topic = f"{prefix}.events"
    context = SerializationContext(topic, MessageField.VALUE)
    producer = bench.producer()
    values = []
    began = time.process_time()
    for run in runs:
        key = str(run[0]["run_id"])
        for event in run:
            value = serializer(event, context)
            producer.produce(topic, value, key=key, partition=partition_of(key, PARTITIONS))
            producer.poll(0)
            values.append(value)
    producer.flush(60)
    return values, time.process_time() - began


def _inserted(client: Client, server: psutil.Process, values: Sequence[bytes]) -> float:
    """CPU seconds of this process and of the engine for decoding the events and inserting their rows."""
    schema = fastavro.parse_schema(json.loads(wire.item_schema_text(SCHEMA)))
    names = [column.name for column in EVENTS.columns()]
    context = client.create_insert_context(EVENTS.rows, column_names=names)
    times, began = server.cpu_times(), time.process_time()
    for at in range(0, len(values), _ROWS_AN_INSERT):
        rows = []
        for value in values[at : at + _ROWS_AN_INSERT]:
            record = fastavro.schemaless_reader(io.BytesIO(value[_WIRE_HEADER:]), schema, None)
            assert isinstance(record, dict)
            rows.append(_row(record, names))
        context.data = rows
        client.insert(context=context)
    now = server.cpu_times()
    return time.process_time() - began + now.user + now.system - times.user - times.system


def _row(record: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return [_value(name, record[name]) for name in names]


def _value(name: str, value: Any) -> Any:
    """As the client wants it: labels as a dict, records as tuples."""
    if name == "labels":
        return {pair["key"]: pair["value"] for pair in value or ()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [tuple(each.values()) for each in value]
    return value
