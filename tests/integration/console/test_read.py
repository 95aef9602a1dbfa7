"""`causeline.read` and the formats of `causeline sql` for programs, over a real engine."""

import io
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars
import pyarrow
import pytest
from pyarrow import ipc, parquet
from typer.testing import CliRunner

from causeline import read
from causeline.cli.app import app
from causeline.read.stream import END_OF_STREAM, Answer
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import CheckFailed, Unreachable, UsageError
from tests.integration.clickhouse_fixture import ClickHouseProcess

MANY = "SELECT number, toString(number) AS text, [number] AS list FROM numbers(200000)"


@pytest.fixture
def site(clickhouse: ClickHouseProcess) -> read.Site:
    """The engine, as its reader."""
    reader = clickhouse.reader
    return read.Site(ClickHouseConnection.model_validate({"url": reader.connection_url, "password": reader.password}))


def test_runs_come_as_arrow_pandas_and_polars(site: read.Site) -> None:
    runs = site.runs(workflow=["contract"], since=datetime(2000, 1, 1, tzinfo=UTC))

    assert runs.count() == 30
    table = runs.arrow()
    assert (table.num_rows, table.schema.field("started_at").type) == (30, pyarrow.timestamp("us", "UTC"))
    assert runs.pandas()["workflow"].unique().tolist() == ["contract"]
    assert runs.polars().get_column("workflow").unique().to_list() == ["contract"]
    assert polars.DataFrame(runs).height == 30


def test_steps_and_events_are_those_of_the_runs_that_are_wanted(site: read.Site) -> None:
    steps = site.steps(workflow="policy", has_gap=True, columns=["run_id", "step_kind"]).arrow()
    [run_id] = site.runs(workflow="policy", has_gap=True, columns="run_id").arrow()["run_id"].to_pylist()

    assert set(steps["run_id"].to_pylist()) == {run_id}
    assert steps.column_names == ["run_id", "step_kind"]
    assert site.steps().count() > steps.num_rows
    assert site.events().arrow().num_rows == 0


def test_nothing_is_asked_before_rows_are_wanted() -> None:
    nowhere = read.site(url="http://reader@127.0.0.1:1/causeline", environment={})
    rows = nowhere.runs()
    with pytest.raises(Unreachable):
        rows.arrow()


def test_rows_come_block_by_block_and_say_how_many(site: read.Site) -> None:
    seen: list[int] = []
    batches = list(site.sql(MANY).batches(seen.append))

    assert [batch.num_rows for batch in batches] == [second - first for first, second in itertools.pairwise([0, *seen])]
    assert len(batches) > 2
    assert seen[-1] == 200_000
    table = pyarrow.Table.from_batches(batches)
    assert table["number"].to_pylist() == list(range(200_000))
    assert table["list"][199_999].as_py() == [199_999]


def test_more_than_may_be_in_memory_is_refused_and_goes_into_a_file(site: read.Site, tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="more than 1,000,000 bytes"):
        site.sql(MANY).arrow(most_bytes=1_000_000)

    file = tmp_path / "many.parquet"
    assert site.sql(MANY).parquet(file) == 200_000
    assert polars.read_parquet(file)["number"].sum() == sum(range(200_000))


def test_a_file_is_whole_or_is_not_there(site: read.Site, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="THROW_IF"):
        site.sql("SELECT number, throwIf(number = 190000) FROM numbers(200000)").parquet(tmp_path / "broken.parquet")
    assert list(tmp_path.iterdir()) == []


def test_what_fails_in_the_middle_is_no_short_answer(site: read.Site) -> None:
    rows = site.sql("SELECT number, repeat('x', 50), throwIf(number = 900000) FROM numbers(950000)")
    batches = rows.batches()
    assert next(batches).num_rows > 0
    with pytest.raises(UsageError, match="THROW_IF"):
        list(batches)


def test_an_answer_without_its_end_is_not_whole() -> None:
    def pieces() -> Iterator[bytes]:
        sink = io.BytesIO()
        with ipc.new_stream(sink, pyarrow.schema([("a", pyarrow.int64())])):
            pass
        yield sink.getvalue()
        yield sink.getvalue().removesuffix(END_OF_STREAM)

    assert [Answer(io.BytesIO(each)).is_whole() for each in pieces()] == [True, False]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"columns": "run_id; DROP TABLE runs"}, "no column"),
        ({"since": "soon"}, "not a time"),
        ({"workflows": "invoice"}, "no filter workflows"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(site: read.Site, wanted: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        site.runs(**wanted)  # type: ignore[arg-type]


def test_only_statements_that_read_are_taken(site: read.Site) -> None:
    with pytest.raises(UsageError, match="Only reading is allowed"):
        site.sql("DROP TABLE runs")
    with pytest.raises(UsageError, match="no parameter"):
        site.sql("SELECT 1", {"x": "1"})
    assert site.sql("SELECT {x:UInt8} AS x", {"x": "7"}).arrow()["x"].to_pylist() == [7]


@pytest.mark.parametrize("format_", ["arrow", "parquet"])
def test_sql_prints_what_programs_read(environment: dict[str, str | None], format_: str) -> None:
    asked = ["sql", "SELECT workflow, count() AS runs FROM runs GROUP BY 1 ORDER BY 1", "--format", format_]
    result = CliRunner().invoke(app, asked, env=environment)

    assert result.exit_code == 0, result.stderr
    source = io.BytesIO(result.stdout_bytes)
    table = parquet.read_table(source) if format_ == "parquet" else ipc.open_stream(source).read_all()
    counted = {row["workflow"]: row["runs"] for row in table.to_pylist()}
    assert counted == {"contract": 30, "invoice": 1, "policy": 1}
    assert result.stderr == ""


@pytest.mark.parametrize("limit", [1, 65_536, 199_999, 200_000])
def test_sql_says_when_there_are_more(environment: dict[str, str | None], limit: int) -> None:
    result = CliRunner().invoke(app, ["sql", MANY, "--format", "arrow", "--limit", str(limit)], env=environment)

    assert result.exit_code == 0, result.stderr
    assert ipc.open_stream(io.BytesIO(result.stdout_bytes)).read_all().num_rows == limit
    assert (f"Only the first {limit:,d} rows" in result.stderr) == (limit < 200_000)
