"""The console's questions, asked of a real engine."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from causeline.console import lookups, run_lists
from causeline.console.answers import Record, RowCounts
from causeline.console.run_filter import Order, RunFilter
from causeline.console.run_text import record_of
from causeline.console.store import ClickHouseStore, open_store
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import MalformedId, NotFound
from causeline.schemas.run import Run
from causeline.schemas.tables import RUNS
from tests.integration.console.conftest import insert_runs
from tests.unit.console.samples import START, clean_run, failed_run

_START_US = int(START.timestamp() * 1_000_000)
CLEAN, FAILED = clean_run(1), failed_run(2)
SAID = ", ".join(column.name for column in RUNS.columns())
"""What a run says by itself, of what the view shows of it."""
STORED = ("narrow_run_rows", "run_document_rows", "run_order_rows")


def ids(runs: list[Run]) -> set[str]:
    return {run.run_id for run in runs}


@pytest.mark.parametrize(
    "wanted",
    [
        RunFilter(workflows=("policy",)),
        RunFilter(projects=("demo",), verdicts=("partial", "unfinished")),
        RunFilter(statuses=("error",)),
        RunFilter(has_gap=True),
        RunFilter(gap_kinds=("source_conflict", "weak_provenance")),
        RunFilter(has_fallback=True),
        RunFilter(fallback_kinds=("retry",)),
        RunFilter(id_text=FAILED.run_id[-6:], projects=("demo",)),
        RunFilter(id_text=f"{FAILED.run_id[:8]}-{FAILED.run_id[8:].upper()}"),
        RunFilter(workflows=("policy",), states=("answered",), routes=("standard",), models=("acme-large",)),
        RunFilter(workflows=("policy",), prompt_versions=("7",), since_us=_START_US, until_us=_START_US + 1),
        RunFilter(workflows=("policy",), labels={"demo": "one", "tenant": "a"}),
    ],
)
def test_every_filter_finds_the_failed_run_alone(store: ClickHouseStore, wanted: RunFilter) -> None:
    assert ids(run_lists.find_runs(store, wanted)) == {FAILED.run_id}
    assert lookups.count_runs(store, wanted) == 1


@pytest.mark.parametrize(
    "wanted",
    [
        RunFilter(since_us=_START_US + 1),
        RunFilter(until_us=_START_US),
        RunFilter(routes=("standard' OR 1=1 --",)),
        RunFilter(workflows=("",)),
        RunFilter(labels={"tenant": "b"}),
        RunFilter(gap_kinds=("missing_citation",)),
        RunFilter(fallback_kinds=("stop",)),
    ],
)
def test_a_filter_that_nothing_meets_finds_nothing(store: ClickHouseStore, wanted: RunFilter) -> None:
    assert run_lists.find_runs(store, wanted) == []
    assert lookups.count_runs(store, wanted) == 0


def test_a_list_is_bounded_and_always_in_the_same_order(store: ClickHouseStore) -> None:
    first = run_lists.find_runs(store, RunFilter(), limit=10)
    assert len(first) == 10
    assert first == run_lists.find_runs(store, RunFilter(), limit=10)
    oldest = run_lists.find_runs(store, RunFilter(), order=Order.OLDEST)
    newest = run_lists.find_runs(store, RunFilter(), order=Order.NEWEST)
    assert [run.run_id for run in oldest] == [run.run_id for run in reversed(newest)]
    assert lookups.count_runs(store, RunFilter()) == 32


@pytest.mark.parametrize("order", list(Order))
def test_every_order_is_one_the_engine_knows(store: ClickHouseStore, order: Order) -> None:
    assert len(run_lists.find_runs(store, RunFilter(), order=order)) == 32


def test_a_run_comes_back_as_it_was_stored(store: ClickHouseStore) -> None:
    assert lookups.run_by_id(store, FAILED.run_id) == FAILED
    assert lookups.run_by_id(store, CLEAN.run_id.upper()) == CLEAN


def test_the_value_of_a_run_is_what_the_view_of_runs_shows(store: ClickHouseStore) -> None:
    one = {"run_id": FAILED.run_id}
    [shown] = store.ask(f"SELECT {SAID} FROM runs WHERE run_id = {{run_id:String}}", one)
    [value] = store.ask("SELECT run FROM run_documents WHERE run_id = {run_id:String}", one)
    assert value["run"] == shown
    [text] = store.ask("SELECT document FROM run_texts WHERE run_id = {run_id:String}", one)
    assert record_of(str(text["document"])) == shown


def test_the_text_of_any_run_is_read_as_the_view_shows_it(connection: ClickHouseConnection) -> None:
    odd = 'a "quoted" \\ line\nand\ttab \u2028 \U0001f600 \x01'
    extreme = replace(
        failed_run(910),
        project="passing",
        workflow=odd,
        labels={odd: odd, "": ""},
        missing=(odd, ""),
        input_tokens=2**62 + 1,
        seed=-(2**63),
        cost_usd=1e-12,
        temperature=1.7976931348623157e308,
        route_confidence=1 / 3,
        confidence=1.0,
        started_at=datetime(1970, 1, 1, tzinfo=UTC),
        finished_at=datetime(2262, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        refusal=True,
    )
    bare = Run(run_id=f"{911:032x}", project="passing")
    with open_store(connection) as store, clickhouse_client(connection) as client:
        insert_runs(connection, extreme, bare)
        try:
            for run in (extreme, bare):
                one = {"run_id": run.run_id}
                [shown] = store.ask(f"SELECT {SAID} FROM runs WHERE run_id = {{run_id:String}}", one)
                [text] = store.ask("SELECT document FROM run_texts WHERE run_id = {run_id:String}", one)
                assert record_of(str(text["document"])) == shown
            assert lookups.run_by_id(store, extreme.run_id) == extreme
        finally:
            for table in STORED:
                client.command(
                    f"ALTER TABLE {table} DELETE WHERE run_id IN {{ids:Array(String)}}",
                    {"ids": [extreme.run_id, bare.run_id]},
                    settings={"mutations_sync": 2},
                )


def test_a_run_is_told_as_it_stands_whatever_became_of_its_value(connection: ClickHouseConnection) -> None:
    old, erased, revised = (clean_run(number, workflow="passing", project="passing") for number in (901, 902, 903))
    with open_store(connection) as store, clickhouse_client(connection) as client:
        insert_runs(connection, old, erased, revised)
        assert lookups.run_by_id(store, revised.run_id) == revised
        newest = replace(revised, revision=9, workflow="again")
        insert_runs(connection, newest)
        insert_runs(connection, replace(revised, revision=8, workflow="late"))
        assert lookups.run_by_id(store, revised.run_id) == newest

        wait = {"mutations_sync": 2}
        client.command(f"ALTER TABLE run_document_rows DELETE WHERE run_id = '{old.run_id}'", settings=wait)
        assert lookups.run_by_id(store, old.run_id) == old, "as one that was stored before there were values"
        client.command("ALTER TABLE run_document_rows DELETE WHERE revision = 9", settings=wait)
        assert lookups.run_by_id(store, revised.run_id) == newest
        client.command(f"ALTER TABLE narrow_run_rows DELETE WHERE run_id = '{erased.run_id}'", settings=wait)
        with pytest.raises(NotFound):
            lookups.run_by_id(store, erased.run_id)
        for table in STORED:
            ids_made = [old.run_id, erased.run_id, revised.run_id]
            client.command(
                f"ALTER TABLE {table} DELETE WHERE run_id IN {{ids:Array(String)}}", {"ids": ids_made}, settings=wait
            )


def test_a_run_is_found_by_how_its_id_begins(store: ClickHouseStore) -> None:
    assert lookups.run_by_id(store, FAILED.run_id[:16]).run_id == FAILED.run_id


def test_a_beginning_shared_by_several_names_some_of_them(store: ClickHouseStore) -> None:
    with pytest.raises(NotFound, match=r"Several runs begin with 0198c1: .*, …") as raised:
        lookups.run_by_id(store, "0198c1")
    assert raised.value.hint == "Give more of the id."


def test_an_unknown_run_and_a_malformed_id_are_different_errors(store: ClickHouseStore) -> None:
    with pytest.raises(NotFound, match="No run has the id"):
        lookups.run_by_id(store, "f" * 32)
    with pytest.raises(MalformedId, match="'nope' is no part of a run id"):
        lookups.run_by_id(store, "nope")


def test_many_runs_are_fetched_by_their_ids(store: ClickHouseStore) -> None:
    wanted = [CLEAN.run_id, FAILED.run_id, "f" * 32]
    assert lookups.runs_by_id(store, wanted) == {CLEAN.run_id: CLEAN, FAILED.run_id: FAILED}


def test_counts_are_of_every_view(store: ClickHouseStore) -> None:
    found = lookups.counts(store)
    assert found.runs == 32
    assert found.steps == sum(len(run.steps) for run in (CLEAN, FAILED)) + 30 * len(CLEAN.steps)
    assert replace(found, runs=0, steps=0) == RowCounts(0, 0, 0, 0, 0, 0, 0)


def test_the_runs_of_a_list_are_found_by_their_ids_alone(store: ClickHouseStore) -> None:
    """Once anything but the key narrows rows that replace each other, all are read that may have the same key."""
    asked: list[tuple[str, Mapping[str, object]]] = []

    class Noting(ClickHouseStore):
        def ask(
            self, sql: str, parameters: Mapping[str, object] | None = None, *, is_small: bool = False
        ) -> Sequence[Record]:
            asked.append((sql, parameters or {}))
            return store.ask(sql, parameters, is_small=is_small)

    run_lists.find_runs(Noting.__new__(Noting), RunFilter(since_us=_START_US - 1, statuses=("ok",)), limit=5)

    plan = "\n".join(str(row["explain"]) for row in store.ask(f"EXPLAIN indexes = 1 {asked[0][0]}", asked[0][1]))
    assert "run_id_filter" in plan
    assert "PrimaryKeyExpand" not in plan, plan


def test_a_list_has_each_run_once_and_as_it_stands_however_often_it_was_amended(
    connection: ClickHouseConnection,
) -> None:
    many = [clean_run(number, project="amended", status="error") for number in range(400, 440)]
    stand = [
        replace(run, revision=run.revision + 1, status="ok", started_at=START + timedelta(minutes=at))
        for at, run in enumerate(many)
    ]
    here = RunFilter(projects=("amended",))
    with open_store(connection) as store, clickhouse_client(connection) as client:
        insert_runs(connection, *many)
        insert_runs(connection, *stand)
        try:
            assert run_lists.find_runs(store, replace(here, statuses=("error",)), limit=5) == []
            newest = run_lists.find_runs(store, here, limit=100)
            assert [run.run_id for run in newest] == [run.run_id for run in reversed(stand)]
            assert [run.started_at for run in newest] == [run.started_at for run in reversed(stand)]
            paged = [newest[0]]
            while following := run_lists.find_runs(store, here, limit=7, after=paged[-1]):  # type: ignore[arg-type]
                paged += following
            assert paged == newest, "page by page it is the same list"
            oldest = run_lists.find_runs(store, here, order=Order.OLDEST, limit=3)
            assert oldest == newest[:-4:-1], "where forty earlier starts stand before the first that counts"
        finally:
            for table in STORED:
                of_these = f"ALTER TABLE {table} DELETE WHERE has({{ids:Array(String)}}, run_id)"
                client.command(of_these, {"ids": [run.run_id for run in many]}, settings={"mutations_sync": 2})
