"""The demo's account over a real engine: it agrees when all is there, and says what is not."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from causeline.console.store import ClickHouseStore, open_store
from causeline.demo import report
from causeline.demo.report import Published
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.run import Run
from causeline.schemas.tables import EVENTS
from causeline.sinks.migrate import migrate
from tests.integration.console.conftest import insert_runs
from tests.unit.console.samples import clean_run, failed_run

SESSION = "session-1"


def of_session(run: Run) -> Run:
    return replace(run, labels={"demo": SESSION}, project="demo")


RUNS = [of_session(clean_run(number, workflow="contract")) for number in (201, 202)] + [of_session(failed_run(203))]


def event_ids(run: Run) -> list[str]:
    return [f"{run.run_id[:30]}{number:02d}" for number in range(run.events)]


@pytest.fixture(scope="module")
def own_database(clickhouse: ClickHouseConnection) -> ClickHouseConnection:
    """A database without other tests' runs."""
    own = clickhouse.model_copy(update={"url": clickhouse.url.removesuffix("/causeline") + "/demo_report"})
    migrate(own)
    return own


@pytest.fixture(scope="module")
def store(own_database: ClickHouseConnection) -> Iterator[ClickHouseStore]:
    with open_store(own_database) as opened:
        yield opened


@pytest.fixture(scope="module")
def published(own_database: ClickHouseConnection) -> Published:
    rows = [
        {
            "event_id": event_id,
            "run_id": run.run_id,
            "project": run.project,
            "workflow": run.workflow,
            "emitter_id": "e",
            "seq": number,
            "event_type": "step_finished",
            "run_started_at": "2026-03-01 08:00:00.000000",
            "occurred_at": "2026-03-01 08:00:00.000000",
        }
        for run in RUNS
        for number, event_id in enumerate(event_ids(run))
    ]
    with clickhouse_client(own_database) as client:
        block = "\n".join(map(json.dumps, rows + rows[:5])).encode()
        client.raw_insert(EVENTS.rows, fmt="JSONEachRow", insert_block=block)
    insert_runs(own_database, *RUNS)
    insert_runs(own_database, RUNS[0])
    ids = frozenset(run.run_id for run in RUNS)
    return Published(SESSION, frozenset(each for run in RUNS for each in event_ids(run)), ids, ids)


def test_everything_is_there_once_however_often_it_was_stored(store: ClickHouseStore, published: Published) -> None:
    assert report.seen(store, published) == (18, 3)
    shown = report.visible(store, published)
    assert (shown.event_ids, shown.run_ids, shown.duplicates) == (published.event_ids, published.run_ids, 0)
    assert report.differences(published, shown) == []


def test_what_is_missing_or_too_much_is_named(store: ClickHouseStore, published: Published) -> None:
    shown = report.visible(store, published)
    lost = replace(published, event_ids=published.event_ids | {"x" * 32}, run_ids=published.run_ids | {"y" * 32})
    assert report.differences(lost, shown) == [
        f"1 event was published and cannot be asked for: {'x' * 32}.",
        f"1 run was published and cannot be asked for: {'y' * 32}.",
        f"1 run was published and is not in the truth file: {'y' * 32}.",
    ]
    twice = replace(shown, event_rows=shown.event_rows + 2)
    assert report.differences(published, twice) == ["2 rows show a thing a second time."]
    untrue = replace(published, true_run_ids=frozenset())
    [sentence] = report.differences(untrue, shown)
    assert sentence.startswith("3 runs were published and are not in the truth file: ")


def test_the_account_counts_this_session_only(store: ClickHouseStore, published: Published) -> None:
    account = report.account(store, published, report.visible(store, published), 1.23)
    assert account == report.Account(18, 18, 3, 3, 0, 2, 1, 0, 1, 1, 1.2)


def test_the_report_shows_runs_fallbacks_gaps_and_extremes(store: ClickHouseStore, published: Published) -> None:
    tables = {table.title: table for table in report.tables(store, published.session)}
    assert [row[:4] for row in tables["Runs by workflow and outcome"].rows] == [
        ("contract", "complete", "answered", 2),
        ("policy", "partial", "answered", 1),
    ]
    assert tables["Fallbacks"].rows == (("retry", 1, 1, "schema_error"),)
    assert tables["Evidence gaps"].rows == (("weak_provenance", 1, 1, "$.premium"),)
    assert tables["Slowest step"].rows[0][1:] == ("model_call:model_call_3", min(run.run_id for run in RUNS), 0.1)
    assert tables["Costliest step"].rows[0][-1] == 0.0123


def test_the_run_that_went_wrong_in_most_ways_is_shown(store: ClickHouseStore, published: Published) -> None:
    assert report.telling_run(store, published.session) == RUNS[2].run_id
    assert report.telling_run(store, "no such session") is None
    empty = replace(published, event_ids=frozenset(), run_ids=frozenset(), session="no such session")
    assert report.tables(store, "no such session")[0].rows == ()
    assert report.seen(store, empty) == (0, 0)
