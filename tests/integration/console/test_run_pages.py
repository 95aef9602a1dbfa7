"""How often a page of a run asks a real engine, whether or not its neighbours are stored as rows of their own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from causeline.console.answers import Record
from causeline.console.store import ClickHouseStore
from causeline.diagnosis import row_of
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.run import Run
from causeline.sinks.migrate import migrate
from causeline.web.reading import Reading
from tests.integration.console.conftest import insert_runs
from tests.unit.console.samples import START, clean_run
from tests.unit.web.test_remembered import Later

HOUR = timedelta(hours=1)
RUNS = [
    replace(
        clean_run(500 + 40 * hour + at, workflow=workflow, started_at=START + hour * HOUR + timedelta(seconds=at)),
        gap_kinds=("low_provenance",),
    )
    for hour, workflow in ((0, "told"), (2, "told"), (10, "untold"), (12, "untold"))
    for at in range(30)
]
"""Thirty at a time, two hours apart; those of one workflow are stored with their causes."""
TOLD = [run for run in RUNS if run.workflow == "told"]


class Counting(ClickHouseStore):
    """Notes what it is asked."""

    asked: list[str]

    def ask(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, is_small: bool = False
    ) -> Sequence[Record]:
        self.asked.append(sql)
        return super().ask(sql, parameters, is_small=is_small)


@pytest.fixture(scope="module")
def counting(connection: ClickHouseConnection) -> Iterator[Counting]:
    """A database of their own with these runs."""
    own = connection.model_copy(update={"url": connection.url.rpartition("/")[0] + "/pages"})
    migrate(own)
    insert_runs(own, *RUNS)
    rows = [[run.workflow, run.started_at, run.run_id, 1, 0, row_of(run).to_text()] for run in TOLD]
    with clickhouse_client(own) as client:
        client.insert(
            "neighbour_rows", rows, ["workflow", "run_started_at", "run_id", "version", "blemished", "traits"]
        )
        store = Counting(client, own)
        store.asked = []
        yield store


@pytest.mark.parametrize("workflow", ["told", "untold"])
def test_no_page_of_a_run_waits_for_more_than_three_questions(counting: Counting, workflow: str) -> None:
    reading = Reading(lambda: 0.0, Later())
    mine = [run for run in RUNS if run.workflow == workflow]
    first, near, later, last = mine[0], mine[29], mine[30], mine[59]

    def questions(run: Run) -> int:
        counting.asked.clear()
        assert reading.read(counting, run.run_id).run == run
        return len(counting.asked)

    assert [questions(run) for run in (first, near, later, last, last)] == [3, 2, 3, 2, 2]
    counting.asked.clear()
    Reading(lambda: 0.0, Later()).read(counting, first.run_id)
    reads_whole_runs = any(sql.startswith("SELECT * FROM runs") for sql in counting.asked)
    assert reads_whole_runs is (workflow == "untold")
