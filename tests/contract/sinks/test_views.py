"""The views show a thing once, and find a run without reading the rest."""

import hashlib
import re

import pytest
from clickhouse_connect.driver.client import Client

from causeline.schemas import catalogue, tables, wire
from causeline.schemas.registry import Schemas
from causeline.sinks.loader.encoding import Encoder
from causeline.sinks.loader.inserting import ClickHouseSender
from causeline.sinks.loader.units import Origin, Unit, read_unit
from causeline.stack.waiting import wait_until

pytestmark = pytest.mark.stack

RUN = f"{77:032x}"
AT = "toDateTime64('2026-11-01', 6, 'UTC')"


def insert_events(store: Client, columns: str, *rows: str) -> None:
    store.command(f"INSERT INTO event_rows ({columns}) VALUES {', '.join(rows)}")


def test_every_view_is_there(migrated: Client) -> None:
    rows = migrated.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View' ORDER BY name"
    ).result_rows
    assert [name for (name,) in rows] == sorted(tables.VIEWS)


def test_an_event_stored_twice_is_shown_once(store: Client) -> None:
    store.command("SYSTEM STOP MERGES narrow_event_rows")
    for delivery in range(3):  # not byte for byte the same, or ClickHouse would drop the block by its hash
        insert_events(store, "event_id, run_id, project, run_started_at, seq", f"('e', '{RUN}', 'p', {AT}, {delivery})")
    assert store.query("SELECT count() FROM narrow_event_rows").result_rows == [(3,)]
    assert store.query("SELECT count() FROM events").result_rows == [(1,)]
    store.command("SYSTEM START MERGES narrow_event_rows")


def test_the_newest_revision_of_a_run_is_shown_also_when_it_came_first(store: Client) -> None:
    schema = catalogue.latest("run-batch")
    for offset, (revision, steps) in enumerate(((5, 2), (3, 1), (4, 3))):
        run = {
            "run_id": RUN,
            "project": "p",
            "revision": revision,
            "started_at": 1_790_000_000_000_000 + revision,
            "steps": [{"step_name": f"s{place}"} for place in range(steps)],
        }
        payload = wire.encode_datum(schema, {"source_partition": 0, "runs": [run]})
        message = read_unit(Origin("t", 0, offset), wire.frame(schema.schema_id, payload), "run-batch", Schemas())
        assert isinstance(message, Unit)
        [insert] = Encoder(tables.RUNS).inserts([message])
        ClickHouseSender(store).send(insert)
    assert store.query("SELECT revision FROM runs").result_rows == [(5,)]
    steps_shown = store.query("SELECT position, step_name FROM steps ORDER BY position").result_rows
    assert steps_shown == [(1, "s0"), (2, "s1")]


NOT_BY_RUN = frozenset(
    {"dead_letters", "dead_messages", "emission_ledger", "policies", "rollups", "drift", "alerts", "neighbours"}
)
"""Views of things that belong to no single run."""


@pytest.mark.parametrize("view", [view for view in tables.VIEWS if view not in NOT_BY_RUN])
def test_a_run_is_found_through_the_primary_key(store: Client, view: str) -> None:
    ids = "leftPad(lower(hex(number)), 32, '0')"
    insert = "INSERT INTO {} (project, run_id, {}) SELECT 'p', " + ids + ", {} FROM numbers(100000)"
    store.command(
        insert.format("event_rows", "event_id, run_started_at, event_type", f"{ids}, {AT}, 'review_recorded'")
    )
    store.command(insert.format("run_rows", "started_at", AT))
    store.command(insert.format("gap_rows", "gap_id, run_started_at", f"{ids}, {AT}"))
    store.command(insert.format("cause_rows", "run_started_at", AT))
    store.command(insert.format("review_item_rows", "item_id, run_started_at", f"{ids}, {AT}"))
    plan = "\n".join(
        line
        for (line,) in store.query(
            f"EXPLAIN indexes = 1 SELECT * FROM {view} WHERE run_id = {{run:String}}", parameters={"run": RUN}
        ).result_rows
    )
    reads = plan.split("ReadFromMergeTree")[1:]
    assert reads
    for read in reads:
        ranges = [(int(kept), int(of)) for kept, of in re.findall(r"Granules: (\d+)/(\d+)", read)]
        assert ranges[-1][0] <= 2 < ranges[0][1], plan


def test_runs_of_a_time_span_are_found_without_reading_the_rest(store: Client) -> None:
    store.command(
        "INSERT INTO run_rows (project, run_id, started_at)"
        f" SELECT 'p', leftPad(lower(hex(number)), 32, '0'), {AT} + number FROM numbers(100000)"
    )
    plan = "\n".join(
        line
        for (line,) in store.query(
            f"EXPLAIN indexes = 1 SELECT count() FROM runs WHERE started_at BETWEEN {AT} + 500 AND {AT} + 900"
        ).result_rows
    )
    ranges = [(int(kept), int(of)) for kept, of in re.findall(r"Granules: (\d+)/(\d+)", plan)]
    assert min(kept for kept, _ in ranges) <= 2 < ranges[0][1], plan


ITEM = "item_id, run_id, project, workflow, run_started_at, field_path, created_at"
REVIEW = (
    "event_id, run_id, project, workflow, run_started_at, occurred_at, event_type, review_outcome, field_path,"
    " reviewer_ref"
)


def review(name: str, run: str, second: int, outcome: str, field_path: str | None) -> str:
    path = "NULL" if field_path is None else f"'{field_path}'"
    return f"('{name}', '{run}', 'p', 'w', {AT}, {AT} + {second}, 'review_recorded', '{outcome}', {path}, 'r-{name}')"


def test_a_review_answers_the_items_of_its_field_and_the_last_one_counts(store: Client) -> None:
    store.command(
        f"INSERT INTO review_item_rows ({ITEM}) VALUES ('total', 'a', 'p', 'w', {AT}, 'total', {AT}),"
        f" ('vat', 'a', 'p', 'w', {AT}, 'vat', {AT}), ('whole', 'b', 'p', 'w', {AT}, NULL, {AT}),"
        f" ('again', 'c', 'p', 'w', {AT}, NULL, {AT})"
    )
    for _ in range(2):  # delivered twice
        insert_events(
            store,
            REVIEW,
            review("e1", "a", 1, "rejected", "total"),
            review("e2", "a", 2, "approved", "total"),
            review("e3", "b", 1, "escalated", "iban"),
            review("e4", "d", 1, "overridden", "sum"),
        )
    rows = store.query(
        "SELECT item_id, run_id, field_path, state, outcome, reviewer_ref, review_event_id, resolved_at IS NULL"
        " FROM reviews ORDER BY run_id, item_id"
    ).result_rows
    assert rows == [
        ("total", "a", "total", "resolved", "approved", "r-e2", "e2", 0),
        ("vat", "a", "vat", "open", None, None, None, 1),
        ("whole", "b", None, "open", "escalated", "r-e3", "e3", 1),
        ("again", "c", None, "open", None, None, None, 1),
        (None, "d", "sum", "resolved", "overridden", "r-e4", "e4", 0),
    ]


def test_a_review_of_the_whole_run_answers_every_item(store: Client) -> None:
    store.command(
        f"INSERT INTO review_item_rows ({ITEM}) VALUES ('total', 'a', 'p', 'w', {AT}, 'total', {AT}),"
        f" ('vat', 'a', 'p', 'w', {AT}, 'vat', {AT})"
    )
    insert_events(store, REVIEW, review("e1", "a", 1, "approved", None))
    rows = store.query("SELECT item_id, state FROM reviews ORDER BY item_id").result_rows
    assert rows == [("total", "resolved"), ("vat", "resolved")]


def test_a_dead_message_is_known_by_its_bytes_and_its_replays_add_up(store: Client) -> None:
    def bury(dead_id: str, offset: int, stage: str = "loader", key: str = "'k'") -> None:
        store.command(
            "INSERT INTO dead_letter_rows (dead_id, stage, topic, partition, offset, reason, key, value, observed_at)"
            f" VALUES ('{dead_id}', '{stage}', 't.events', 1, {offset}, 'corrupt', {key}, 'v', now64(6))"
        )

    def note(attempt: int, sent_offset: int) -> None:
        store.command(
            "INSERT INTO dead_replay_rows (message_id, attempt, sent_offset) VALUES"
            f" ('{message_id}', {attempt}, {sent_offset})"
        )

    def standing() -> tuple[object, ...]:
        [row] = store.query(
            "SELECT state, replays, letters, offset, stages FROM dead_messages WHERE key = 'k'"
        ).result_rows
        return tuple(row)

    store.command("TRUNCATE TABLE dead_replay_rows")
    message_id = hashlib.sha256(b"t.events\x001\x00key:6B\x00v").hexdigest()[:32]
    bury("a", 5)
    bury("a", 5)
    bury("b", 5, "worker")
    bury("c", 6, key="NULL")
    assert store.query("SELECT message_id FROM dead_messages WHERE key = 'k'").result_rows == [(message_id,)]
    assert standing() == ("open", 0, 2, 5, ["loader", "worker"])
    note(1, -1)
    assert standing()[:2] == ("open", 1)
    note(1, 9)
    assert standing()[:2] == ("replayed", 1)
    bury("d", 9)
    assert standing() == ("returned", 1, 3, 9, ["loader", "worker"])
    note(2, -1)
    note(2, 12)
    assert standing()[:2] == ("replayed", 2)


def test_the_ledger_shows_every_loss_that_can_be_proved(store: Client) -> None:
    def emit(run: int, emitter: str, seqs: list[int], *, ends: bool = True, expected: int | None = None) -> None:
        for place, seq in enumerate(seqs):
            is_end = ends and place == len(seqs) - 1
            insert_events(
                store,
                "event_id, run_id, project, run_started_at, emitter_id, seq, event_type, expected_events",
                f"('{run:08x}{emitter}{seq}', '{run:032x}', 'p', {AT}, '{emitter}', {seq},"
                f" '{'run_finished' if is_end else 'step_finished'}', {expected if is_end and expected else 'NULL'})",
            )

    def ledger() -> dict[str, int]:
        [row] = store.query("SELECT * FROM emission_ledger WHERE project = 'p'").named_results()
        return {name: row[name] for name in ("runs", "unended_runs", "emitted", "visible", "lost")}

    emit(1, "a", [0, 1, 2], expected=3)
    emit(1, "a", [0, 1, 2], expected=3)  # delivered twice
    assert ledger() == {"runs": 1, "unended_runs": 0, "emitted": 3, "visible": 3, "lost": 0}
    emit(2, "a", [0, 3], expected=4)  # a hole
    emit(3, "a", [0, 1], ends=False)  # no end: nothing is proved
    emit(4, "a", [0, 1], expected=6)  # the end says more
    emit(5, "a", [0, 2], ends=False)
    emit(5, "b", [0], expected=1)  # of two emitters each is counted by itself
    assert ledger() == {"runs": 5, "unended_runs": 1, "emitted": 3 + 4 + 2 + 6 + 4, "visible": 12, "lost": 7}
    [[rate]] = store.query(
        "SELECT loss_rate FROM emission_ledger WHERE hour = toDateTime('2026-11-01', 'UTC')"
    ).result_rows
    assert rate == pytest.approx(7 / 19)


def test_a_month_of_runs_that_is_at_rest_becomes_one_part(store: Client) -> None:
    def parts() -> int:
        [[count]] = store.query(
            "SELECT count() FROM system.parts"
            " WHERE active AND database = currentDatabase() AND table = 'narrow_run_rows' AND partition = '202403'"
        ).result_rows
        return int(count)

    [[settings]] = store.query(
        "SELECT extract(create_table_query, 'SETTINGS.*') FROM system.tables"
        " WHERE database = currentDatabase() AND name = 'narrow_run_rows'"
    ).result_rows
    assert "min_age_to_force_merge_seconds = 10800" in settings
    assert "min_age_to_force_merge_on_partition_only = true" in settings or "_only = 1" in settings
    store.command("ALTER TABLE narrow_run_rows MODIFY SETTING min_age_to_force_merge_seconds = 1")
    try:
        for revision in (1, 2):
            store.command(
                "INSERT INTO run_rows (run_id, project, revision, started_at)"
                f" SELECT leftPad(hex(number), 32, '0'), 'p', {revision}, '2024-03-05' FROM numbers(100)"
            )
        wait_until(lambda: parts() == 1, timeout_s=60, what="the month to be merged")
    finally:
        store.command("ALTER TABLE narrow_run_rows MODIFY SETTING min_age_to_force_merge_seconds = 10800")
    assert store.query("SELECT count(), min(revision) FROM narrow_run_rows").result_rows == [(100, 2)]


@pytest.mark.parametrize("table", ["narrow_event_rows", "narrow_run_rows"])
def test_what_was_just_inserted_is_in_one_file_however_large_it_is(store: Client, table: str) -> None:
    started_at = "run_started_at" if table == "narrow_event_rows" else "started_at"
    store.command(f"SYSTEM STOP MERGES {table}")
    try:
        store.command(
            f"INSERT INTO {table} (run_id, project, {started_at}, rest)"
            f" SELECT leftPad(hex(number), 32, '0'), 'p', {AT}, repeat('x', 1000) FROM numbers(20000)"
        )
        parts = store.query(
            "SELECT part_type, data_uncompressed_bytes > 20000000 FROM system.parts"
            " WHERE active AND database = currentDatabase() AND table = {table:String}",
            parameters={"table": table},
        ).result_rows
        assert parts == [("Compact", 1)]
        store.command(f"SYSTEM START MERGES {table}")
        store.command(f"OPTIMIZE TABLE {table} FINAL")
        [[part_type]] = store.query(
            "SELECT part_type FROM system.parts"
            " WHERE active AND database = currentDatabase() AND table = {table:String}",
            parameters={"table": table},
        ).result_rows
        assert part_type == "Wide"
    finally:
        store.command(f"SYSTEM START MERGES {table}")
