"""Rows that ClickHouse has lost, unseen by counts of what is left: told, and brought back by one command."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from causeline.cli.app import app
from causeline.console.store import open_store
from causeline.ops import stored
from causeline.ops.stored import Held, Stretch
from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas import catalogue, topics, wire
from tests.integration.clickhouse_fixture import ClickHouseProcess
from tests.integration.sinks.rig import Rig, batch, event

pytestmark = [pytest.mark.stack, pytest.mark.slow]

RUNS = 10
NOW_US = int(time.time() * 1e6)
STRETCH = Stretch(NOW_US - 3_600_000_000, NOW_US + 60_000_000)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ClickHouseProcess]:
    """An engine of the test's own, which may be broken."""
    with ClickHouseProcess(tmp_path / "clickhouse") as process:
        yield process


@pytest.fixture
def filled(kafka: KafkaConnection, engine: ClickHouseProcess, tmp_path: Path) -> Iterator[Rig]:
    """Ten runs of three events, each event batch loaded as a part of its own, all of it in the tables."""
    connection = ClickHouseConnection(url=engine.endpoint.connection_url, password=SecretStr(engine.endpoint.password))
    rig = Rig(kafka, connection, tmp_path)
    rig.set_up()
    loader = rig.start_loader(max_block_rows=1)
    try:
        for partition in range(2):
            numbers = range(partition, RUNS, 2)
            rig.publish(topics.EVENTS, [batch(events(number)) for number in numbers], partition)
            rig.publish(topics.RUNS, [run(number) for number in numbers], partition)
        rig.publish(topics.EVENTS, [b"no batch at all"], 0)  # a dead letter: nothing that was lost
        rig.visible("events", 3 * RUNS)
        rig.visible("runs", RUNS)
        rig.visible("dead_letters", 1)
        assert loader.end() == 0
        yield rig
    finally:
        rig.tear_down()


def events(number: int) -> list[dict[str, object]]:
    step = {"step_id": f"{number + 1:016x}", "step_kind": "model_call", "step_name": "answer", "started_at": NOW_US}
    said: Mapping[str, Mapping[str, object]] = {
        "run_started": {},
        "step_finished": {**step, "status": "ok"},
        "run_finished": {"final_state": "answered", "status": "ok"},
    }
    return [
        event(10 * number + place + 1, run=number + 1, seq=place, event_type=kind, run_started_at=NOW_US, **fields)
        for place, (kind, fields) in enumerate(said.items())
    ]


def run(number: int) -> bytes:
    record = {
        "run_id": f"{number + 1:032x}",
        "project": "shop",
        "workflow": "invoice",
        "revision": 3,
        "verdict": "complete",
        "started_at": NOW_US,
        "finished_at": NOW_US,
        "closed_at": NOW_US,
        "events": 3,
    }
    schema = catalogue.latest("run-batch")
    return wire.frame(schema.schema_id, wire.encode_datum(schema, {"source_partition": 0, "runs": [record]}))


def asking(rig: Rig) -> stored.Ask:
    def ask(sql: str, parameters: Mapping[str, object]) -> Sequence[Mapping[str, Any]]:
        with open_store(rig.clickhouse) as store:
            return store.ask(sql, parameters)

    return ask


def found(rig: Rig) -> tuple[Held, Held, Held]:
    """Runs against events, ends against runs, topics against tables."""
    ask = asking(rig)
    return (
        stored.runs_against_events(ask, STRETCH),
        stored.ends_against_runs(ask, STRETCH),
        stored.topics_against_tables(ask, rig.kafka, rig.prefix, STRETCH.since_us),
    )


def causeline(rig: Rig, *words: str, **more: str) -> tuple[int, list[dict[str, Any]]]:
    environment = {
        "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": rig.kafka.bootstrap_servers,
        "CAUSELINE_CLICKHOUSE_URL": rig.clickhouse.url,
        "CAUSELINE_CLICKHOUSE_PASSWORD": rig.clickhouse.password.get_secret_value(),
        "CAUSELINE_TOPIC_PREFIX": rig.prefix,
        **more,
    }
    done = CliRunner().invoke(app, [*words, "--json"], env=environment)
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()]


def break_a_part(engine: ClickHouseProcess, rig: Rig, table: str) -> int:
    """What a disk that was full leaves: a part whose file is empty, set aside at the next start; the rows it had."""
    mine = f"table = '{table}' AND database = currentDatabase()"
    rig.query(f"SYSTEM STOP MERGES {table}")
    [[path, rows]] = rig.query(
        f"SELECT path, rows FROM system.parts WHERE active AND {mine} ORDER BY rows DESC LIMIT 1"
    )
    merged = rig.query(f"SELECT path FROM system.parts WHERE NOT active AND {mine}")
    engine.stop()
    for [old] in merged:  # what it was merged of is removed after some minutes
        shutil.rmtree(old, ignore_errors=True)
    data = next(Path(path).glob("data*.bin"), None) or next(Path(path).glob("*.bin"))
    data.write_bytes(b"")
    engine.start()
    return int(rows)


@pytest.mark.parametrize("table", ["narrow_event_rows", "narrow_run_rows"])
def test_a_part_that_broke_is_told_and_its_rows_come_back_once(
    filled: Rig, engine: ClickHouseProcess, table: str
) -> None:
    assert [each.short for each in found(filled)] == [0, 0, 0]

    lost = break_a_part(engine, filled, table)
    whole = {"narrow_event_rows": 3 * RUNS, "narrow_run_rows": RUNS}[table]
    assert filled.count({"narrow_event_rows": "events", "narrow_run_rows": "runs"}[table]) == whole - lost

    events_held, runs_held, topics_held = found(filled)
    assert topics_held.missing > 0
    assert (events_held if table == "narrow_event_rows" else runs_held).missing == lost
    assert stored.set_aside(asking(filled))[0].table == table
    code, lines = causeline(filled, "doctor", "--since", "1h", "--settle", "0", "--within", "60")
    told = [line for line in lines if line["level"] == "failed" and "load --again" in str(line["way_out"])]
    assert code == 1
    assert len(told) >= 3, lines

    code, [again] = causeline(filled, "load", "--again", "1h")

    assert (code, again["messages"], again["unreadable"]) == (0, 2 * RUNS + 2, 1)
    assert (filled.count("events"), filled.count("runs")) == (3 * RUNS, RUNS)
    assert filled.count("dead_letters") == 1
    assert [each.short for each in found(filled)] == [0, 0, 0]
    code, lines = causeline(filled, "doctor", "--since", "1h", "--settle", "0", "--within", "60")
    aside = next(line for line in lines if line["name"] == "parts set aside")
    assert aside["level"] == "warning"
    assert "DROP DETACHED PART" in aside["way_out"]
    assert not [line for line in lines if "load --again" in str(line["way_out"])]


def test_only_what_loaders_have_committed_is_loaded_again(filled: Rig) -> None:
    """What lies behind that comes by the loaders: it would stand in both, and a run of this command never end."""
    filled.publish(topics.EVENTS, [batch([event(9_999, run=77, run_started_at=NOW_US)])], 0)

    code, [again] = causeline(filled, "load", "--again", "1h")

    assert (code, again["messages"]) == (0, 2 * RUNS + 2)
    assert filled.count("events") == 3 * RUNS


def test_a_moment_after_all_loads_nothing(filled: Rig) -> None:
    code, [again] = causeline(filled, "load", "--again", "now")

    assert (code, again["messages"], again["rows"]) == (0, 0, 0)


def test_runs_whose_events_are_whole_and_that_nobody_joined_are_named_with_the_command_that_joins_them(
    filled: Rig,
) -> None:
    loader = filled.start_loader()
    whole, short = f"{RUNS + 1:032x}", f"{RUNS + 2:032x}"
    filled.publish(topics.EVENTS, [batch(events(RUNS)), batch([events(RUNS + 1)[n] for n in (0, 2)])])
    filled.visible("events", 3 * RUNS + 5)

    code, lines = causeline(filled, "doctor", "--since", "1h", "--settle", "0", "--within", "60")
    [told] = [line for line in lines if line["name"] == "joined"]
    assert (code, told["level"]) == (1, "failed")
    assert (
        f"2 of {RUNS + 2} runs have ended and are no rows of runs. Of 1 every event is stored: {whole}." in told["says"]
    )
    assert told["way_out"].startswith(f"causeline amend {whole}; ")
    assert short not in told["says"] + told["way_out"]

    early = causeline(filled, "amend", "--unjoined", "1h", CAUSELINE_AMENDER_UNJOINED_WAIT_S="3600")
    assert early == (0, []), "a worker may have it open still"
    code, [amended] = causeline(filled, "amend", "--unjoined", "1h", CAUSELINE_AMENDER_UNJOINED_WAIT_S="0")
    assert (code, amended) == (0, {"run_id": whole, "answer": "amended", "before": 0, "after": 3})
    filled.visible("runs", RUNS + 1)
    assert stored.ends_against_runs(asking(filled), STRETCH).examples == (short,)
    assert loader.end() == 0
