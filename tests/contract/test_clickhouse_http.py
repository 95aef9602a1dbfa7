"""The contract of ClickHouse's HTTP interface, as our clients use it.

It runs against the embedded server, or against the one that CAUSELINE_TEST_CLICKHOUSE_URL names
(`http://user:password@host:port/database`), so that the two can be held to the same words.
"""

import asyncio
import datetime as dt
import gzip
import io
import json
import os
import socket
import subprocess
import uuid
import zlib
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import fastavro
import httpx
import lz4.frame
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from clickhouse_connect.driver.external import ExternalData

from causeline.stack.waiting import wait_until
from tests.integration.clickhouse_fixture import ClickHouseEndpoint, running_clickhouse


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseEndpoint]:
    """The server under test."""
    if url := os.environ.get("CAUSELINE_TEST_CLICKHOUSE_URL"):
        parts = urlsplit(url)
        yield ClickHouseEndpoint(
            f"{parts.scheme}://{parts.hostname}:{parts.port or 8123}",
            unquote(parts.username or "default"),
            unquote(parts.password or ""),
            parts.path.strip("/") or "default",
        )
        return
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as endpoint:
        yield endpoint


@pytest.fixture
def client(server: ClickHouseEndpoint) -> Iterator[Client]:
    """clickhouse-connect, synchronous."""
    with clickhouse_connect.get_client(
        host=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        database=server.database,
    ) as client:
        yield client


@pytest.fixture
def http(server: ClickHouseEndpoint) -> Iterator[httpx.Client]:
    """Plain HTTP, authorised, on the test's database."""
    with httpx.Client(
        base_url=server.url,
        auth=(server.user, server.password),
        params={"database": server.database},
        timeout=60,
        trust_env=False,
    ) as http:
        yield http


@pytest.fixture
def table(client: Client) -> Iterator[str]:
    """A table (a UInt32, s String) of the test's own."""
    name = f"t_{uuid.uuid4().hex}"
    client.command(f"CREATE TABLE {name} (a UInt32, s String) ENGINE = MergeTree ORDER BY a")
    yield name
    client.command(f"DROP TABLE {name}")


# clickhouse-connect


def test_rows_inserted_by_clickhouse_connect_come_back_as_they_were(client: Client) -> None:
    name = f"t_{uuid.uuid4().hex}"
    client.command(
        f"CREATE TABLE {name} (id UInt64, at DateTime64(6, 'UTC'), kind LowCardinality(String),"
        " labels Map(String, String), refs Array(Nullable(String)), cost Nullable(Float64))"
        " ENGINE = MergeTree ORDER BY id"
    )
    at = dt.datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)
    rows = [[1, at, "parse", {"a": "b"}, ["x", None], None], [2, at, "route", {}, [], 0.25]]
    summary = client.insert(name, rows, column_names=["id", "at", "kind", "labels", "refs", "cost"])
    assert summary.written_rows == 2
    found = client.query(f"SELECT * FROM {name} ORDER BY id", tz_mode="aware")
    assert [list(row) for row in found.result_rows] == rows
    client.command(f"DROP TABLE {name}")


def test_an_empty_result_still_names_its_columns(client: Client, table: str) -> None:
    assert client.query(f"SELECT * FROM {table}").column_names == ("a", "s")
    assert client.query("SELECT toLowCardinality('x') AS x, [1] AS y WHERE 0").column_names == ("x", "y")


def test_parameters_are_values_and_never_sql(client: Client) -> None:
    nasty = "it's \\ a\ttab\n'; DROP TABLE x --"
    found = client.query(
        "SELECT {x:String}, {n:Int32}, {l:Array(String)}", parameters={"x": nasty, "n": -5, "l": ["a'", "b"]}
    )
    assert found.result_rows == [(nasty, -5, ["a'", "b"])]


def test_settings_hold_for_their_request_only(client: Client) -> None:
    ask = "SELECT getSetting('max_result_rows')"
    before = client.query(ask).result_rows
    assert client.query(ask, settings={"max_result_rows": 77}).result_rows == [(77,)]
    assert client.query(ask).result_rows == before


def test_a_session_keeps_temporary_tables(client: Client) -> None:
    client.command("CREATE TEMPORARY TABLE mine (a UInt8)")
    client.command("INSERT INTO mine VALUES (3)")
    assert client.query("SELECT * FROM mine").result_rows == [(3,)]


def test_arrow_comes_back_as_arrow(client: Client) -> None:
    table = client.query_arrow("SELECT number, toString(number) AS s FROM numbers(3)")
    assert table.to_pydict() == {"number": [0, 1, 2], "s": ["0", "1", "2"]}


def test_a_large_result_streams_whole(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(1500000)") as blocks:
        assert sum(row[0] for block in blocks for row in block) == 1500000 * 1499999 // 2


def test_external_data_is_a_table(client: Client) -> None:
    data = ExternalData(file_name="ext.csv", fmt="CSV", structure="id UInt32, n String", data=b'1,"a"\n2,"b"\n')
    assert client.query("SELECT n FROM ext ORDER BY id", external_data=data).result_rows == [("a",), ("b",)]


def test_parameters_may_come_in_a_form(server: ClickHouseEndpoint) -> None:
    with clickhouse_connect.get_client(
        host=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        form_encode_query_params=True,
    ) as client:
        assert client.query("SELECT {x:String}", parameters={"x": "abc"}).result_rows == [("abc",)]


def test_the_asynchronous_client_works_as_well(server: ClickHouseEndpoint, table: str) -> None:
    async def insert_and_read() -> object:
        client = await clickhouse_connect.get_async_client(
            host=server.host, port=server.port, username=server.user, password=server.password, database=server.database
        )
        try:
            await client.insert(table, [[1, "x"]], column_names=["a", "s"])
            return (await client.query(f"SELECT * FROM {table}")).result_rows
        finally:
            await client.close()

    assert asyncio.run(insert_and_read()) == [(1, "x")]


def test_the_engines_errors_reach_the_client(client: Client) -> None:
    with pytest.raises(DatabaseError, match="UNKNOWN_IDENTIFIER"):
        client.query("SELECT nope")


def test_a_late_error_is_an_error_and_not_a_short_result(client: Client) -> None:
    with pytest.raises(DatabaseError, match="FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"):
        client.query("SELECT number, throwIf(number = 900000) FROM numbers(1000000)")


def test_a_wrong_password_is_refused(server: ClickHouseEndpoint) -> None:
    with pytest.raises(ClickHouseError, match="516"):
        clickhouse_connect.get_client(host=server.host, port=server.port, username=server.user, password="wrong")


# The interface itself


def test_ping_needs_no_password(server: ClickHouseEndpoint) -> None:
    for path in ("/ping", "/"):
        assert httpx.get(server.url + path, trust_env=False).text == "Ok.\n"


@pytest.mark.parametrize("how", ["basic", "headers", "url"])
def test_credentials_may_come_in_three_ways(server: ClickHouseEndpoint, how: str) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        match how:
            case "basic":
                answer = http.post("/", content="SELECT 1", auth=(server.user, server.password))
            case "headers":
                headers = {"X-ClickHouse-User": server.user, "X-ClickHouse-Key": server.password}
                answer = http.post("/", content="SELECT 1", headers=headers)
            case _:
                answer = http.post("/", content="SELECT 1", params={"user": server.user, "password": server.password})
    assert (answer.status_code, answer.text) == (200, "1\n")


def test_bad_credentials_are_403_with_code_516(server: ClickHouseEndpoint) -> None:
    for user, password in ((server.user, "wrong"), ("nobody", server.password), ("nobody", "")):
        answer = httpx.post(server.url, content="SELECT 1", auth=(user, password), trust_env=False)
        assert answer.status_code in {401, 403}
        assert answer.headers["X-ClickHouse-Exception-Code"] == "516"


def test_an_answer_carries_clickhouses_headers(http: httpx.Client) -> None:
    answer = http.post("/", content="SELECT 1 AS x FORMAT JSONEachRow", params={"query_id": "my-query"})
    assert answer.headers["X-ClickHouse-Query-Id"] == "my-query"
    assert answer.headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert answer.headers["X-ClickHouse-Timezone"]
    assert answer.headers["X-ClickHouse-Server-Display-Name"]
    assert int(json.loads(answer.headers["X-ClickHouse-Summary"])["result_rows"]) == 1


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELECT * FROM no_such_table", 404, "60"),
        ("SELECT no_such_function(1)", 404, "46"),
        ("SELEC 1", 400, "62"),
        ("", 400, "62"),
        ("SELECT 1; SELECT 2", 400, "62"),
        ("\u00e9\u00e9", 400, "62"),
        ("SELECT throwIf(1)", 500, "395"),
        ("INSERT INTO no_such_table FORMAT JSONEachRow\n{}", 404, "60"),
        ("SELECT 1 FORMAT NoSuchFormat", 404, "73"),
    ],
)
def test_errors_have_clickhouses_codes_and_statuses(http: httpx.Client, sql: str, status: int, code: str) -> None:
    answer = http.post("/", content=sql)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (status, code)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")


def test_an_unknown_setting_is_refused(http: httpx.Client) -> None:
    answer = http.post("/", content="SELECT 1", params={"no_such_setting": "1"})
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (404, "115")


def test_an_unknown_database_is_refused(http: httpx.Client) -> None:
    answer = http.post("/", content="SELECT * FROM t", params={"database": "no_such_database"})
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (404, "81")


def test_get_may_not_write(http: httpx.Client, table: str) -> None:
    answer = http.get("/", params={"query": f"INSERT INTO {table} VALUES (1, 'x')"})
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "164")
    assert http.get("/", params={"query": f"SELECT count() FROM {table}"}).text == "0\n"


def test_the_statement_may_stand_in_the_url_and_the_data_in_the_body(http: httpx.Client, table: str) -> None:
    insert = {"query": f"INSERT INTO {table} FORMAT TSV"}
    assert http.post("/", params=insert, content=b"1\tx\n2\ty\n").status_code == 200
    assert http.post("/", params={"query": f"SELECT s FROM {table}"}, content=b" ORDER BY a DESC").text == "y\nx\n"


def test_data_may_look_like_sql(http: httpx.Client, table: str) -> None:
    row = json.dumps({"a": 1, "s": "x'; INSERT INTO t FORMAT TSV -- /*"})
    assert http.post("/", content=f"INSERT INTO {table} (a, s) FORMAT JSONEachRow\n{row}").status_code == 200
    assert http.post("/", content=f"SELECT * FROM {table} FORMAT JSONEachRow").json() == json.loads(row)


def test_chunked_bodies_are_read_piece_by_piece(http: httpx.Client, table: str) -> None:
    def body() -> Iterator[bytes]:
        yield f"INSERT INTO {table} FORMAT CSV\n".encode()
        for number in range(200000):
            yield b'%d,"x"\n' % number

    assert http.post("/", content=body()).status_code == 200
    assert http.post("/", content=f"SELECT count(), uniqExact(a) FROM {table}").text == "200000\t200000\n"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4"])
def test_compressed_bodies_are_read(http: httpx.Client, encoding: str) -> None:
    compress = {"gzip": gzip.compress, "deflate": zlib.compress, "lz4": lz4.frame.compress}[encoding]
    answer = http.post("/", content=compress(b"SELECT 40 + 2"), headers={"Content-Encoding": encoding})
    assert answer.text == "42\n"


def test_a_result_is_compressed_only_when_both_sides_say_so(http: httpx.Client) -> None:
    query = "SELECT number FROM numbers(100000)"
    plain = http.post("/", content=query, headers={"Accept-Encoding": "gzip"})
    packed = http.post("/", content=query, headers={"Accept-Encoding": "gzip"}, params={"enable_http_compression": "1"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.content == plain.content


def test_with_wait_end_of_query_a_late_error_is_a_status(http: httpx.Client) -> None:
    late = "SELECT number, throwIf(number = 2000000) FROM numbers(3000000) SETTINGS max_threads = 1"
    answer = http.post("/", content=late, params={"wait_end_of_query": "1"})
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "395")


def test_without_it_a_late_error_ends_the_result_with_the_tag(http: httpx.Client) -> None:
    late = "SELECT number, throwIf(number = 2000000) FROM numbers(3000000) SETTINGS max_threads = 1"
    answer = http.post("/", content=late)
    assert answer.status_code == 200
    tag = answer.headers["X-ClickHouse-Exception-Tag"]
    assert f"__exception__\r\n{tag}\r\nCode: 395." in answer.text
    assert answer.text.endswith(f"{tag}\r\n__exception__\r\n")


@pytest.mark.parametrize(
    ("output_format", "head"),
    [
        ("TSVWithNames", b"n\ts\n"),
        ("CSVWithNamesAndTypes", b'"n","s"\n"UInt64","String"\n'),
        ("RowBinaryWithNames", b"\x02\x01n\x01s"),
    ],
)
def test_a_long_result_has_one_header(http: httpx.Client, output_format: str, head: bytes) -> None:
    query = "SELECT number AS n, toString(number) AS s FROM numbers({})"
    long = http.post("/", content=f"{query.format(300000)} FORMAT {output_format}").content
    assert long.startswith(head)
    assert long.count(head) == 1
    assert http.post("/", content=f"{query.format(0)} FORMAT {output_format}").content == head


@pytest.mark.parametrize("sql", ["SELECT displayName(), version(), revision(), timezone()"])
def test_the_greeting_of_clickhouse_go_is_answered(http: httpx.Client, sql: str) -> None:
    name, version, _revision, timezone = http.post("/", content=sql).text.rstrip("\n").split("\t")
    assert name
    assert version
    assert timezone


def test_a_session_serves_one_request_at_a_time(http: httpx.Client, server: ClickHouseEndpoint) -> None:
    session = {"session_id": uuid.uuid4().hex}
    body = b"SELECT sum(sleepEachRow(0.1)) FROM numbers(20) SETTINGS max_block_size = 1"
    with _begun(server, body, session):

        def is_locked() -> bool:
            answer = http.post("/", content="SELECT 1", params=session)
            return bool(answer.headers.get("X-ClickHouse-Exception-Code") == "373")

        assert wait_until(is_locked, timeout_s=60, what="the session to be locked")


def test_a_session_that_has_to_exist_does_not_come_into_being(http: httpx.Client) -> None:
    answer = http.post("/", content="SELECT 1", params={"session_id": uuid.uuid4().hex, "session_check": "1"})
    assert answer.headers["X-ClickHouse-Exception-Code"] == "372"


def test_a_client_that_goes_away_takes_its_query_with_it(http: httpx.Client, server: ClickHouseEndpoint) -> None:
    marker = f"marker_{uuid.uuid4().hex}"
    running = f"SELECT count() FROM system.processes WHERE query LIKE '%{marker}%' AND query NOT LIKE '%processes%'"
    with _begun(server, f"SELECT count() AS {marker} FROM numbers(1e13) WHERE sipHash64(number) = 1".encode(), {}):
        wait_until(lambda: http.post("/", content=running).text == "1\n", timeout_s=60, what="the query to run")
    wait_until(lambda: http.post("/", content=running).text == "0\n", timeout_s=60, what="the query to be killed")


def test_curl_asks_and_inserts(server: ClickHouseEndpoint, table: str) -> None:
    def curl(*arguments: str, data: bytes = b"") -> bytes:
        command = [
            "curl",
            "-sS",
            "--fail-with-body",
            "--noproxy",
            "*",
            "-u",
            f"{server.user}:{server.password}",
            *arguments,
        ]
        return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True, timeout=60).stdout

    url = f"{server.url}/?database={server.database}"
    assert curl("-G", url, "--data-urlencode", "query=SELECT 6 * 7") == b"42\n"
    curl("--data-binary", "@-", url, data=f"INSERT INTO {table} FORMAT TSV\n7\tseven\n".encode())
    packed = gzip.compress(f"SELECT s FROM {table} WHERE a = {{a:UInt32}}".encode())
    assert curl("--data-binary", "@-", "-H", "Content-Encoding: gzip", f"{url}&param_a=7", data=packed) == b"seven\n"
    assert curl("--compressed", f"{url}&enable_http_compression=1", "--data-binary", "SELECT 1") == b"1\n"


# Avro, as the loader sends it

_MICROS = {"type": "long", "logicalType": "timestamp-micros"}
_STATUS = {"type": "enum", "name": "Status", "symbols": ["ok", "error"]}
_SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Event",
        "fields": [
            {"name": "run_id", "type": "string"},
            {"name": "at", "type": _MICROS},
            {
                "name": "ended_at",
                "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}],
                "default": None,
            },
            {
                "name": "status",
                "type": ["null", {"type": "enum", "name": "Status", "symbols": ["ok", "error"]}],
                "default": None,
            },
            {"name": "cost_usd", "type": ["null", "double"], "default": None},
            {"name": "refs", "type": ["null", {"type": "array", "items": "string"}], "default": None},
            {
                "name": "labels",
                "type": {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "Label",
                        "fields": [{"name": "key", "type": "string"}, {"name": "value", "type": "string"}],
                    },
                },
            },
        ],
    }
)
_AT = dt.datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)
_INPUT = (
    "run_id String, at DateTime64(6, 'UTC'), ended_at Nullable(DateTime64(6, 'UTC')), status Nullable(String),"
    " cost_usd Nullable(Float64), refs Array(String), labels Array(Tuple(key String, value String))"
)


def _avro(count: int) -> bytes:
    container = io.BytesIO()
    records = [
        {
            "run_id": uuid.UUID(int=number).hex,
            "at": _AT,
            "ended_at": _AT if number % 2 else None,
            "status": "error" if number % 2 else None,
            "cost_usd": 0.5 if number % 2 else None,
            "refs": ["a", "b"] if number % 2 else None,
            "labels": [{"key": "team", "value": "x"}],
        }
        for number in range(count)
    ]
    fastavro.writer(container, _SCHEMA, records)
    return container.getvalue()


@pytest.fixture
def events(client: Client) -> Iterator[str]:
    """A table for the events above, with deduplication."""
    name = f"e_{uuid.uuid4().hex}"
    client.command(
        f"CREATE TABLE {name} (run_id FixedString(16), at DateTime64(6, 'UTC'),"
        " ended_at Nullable(DateTime64(6, 'UTC')),"
        " status LowCardinality(Nullable(String)), cost_usd Nullable(Float64), refs Array(String),"
        " labels Map(LowCardinality(String), String))"
        " ENGINE = MergeTree ORDER BY run_id SETTINGS non_replicated_deduplication_window = 100"
    )
    yield name
    client.command(f"DROP TABLE {name}")


def _insert_avro(http: httpx.Client, table: str, data: bytes, **settings: str) -> httpx.Response:
    structure = _INPUT.replace("'", "\\'")
    statement = (
        f"INSERT INTO {table} SELECT unhex(run_id), at, ended_at, status, cost_usd, refs,"
        f" CAST(labels, 'Map(LowCardinality(String), String)') FROM input('{structure}') FORMAT Avro\n"
    )
    return http.post("/", content=statement.encode() + data, params=settings)


def test_avro_goes_in_through_input_with_its_microseconds_unions_and_records(http: httpx.Client, events: str) -> None:
    answer = _insert_avro(http, events, _avro(2))
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    rows = http.post(
        "/",
        content=f"SELECT * EXCEPT run_id, lower(hex(run_id)) AS run_id FROM {events} ORDER BY run_id"
        " FORMAT JSONEachRow",
    )
    assert [json.loads(line) for line in rows.text.splitlines()] == [
        {
            "at": "2026-03-01 12:00:00.123456",
            "ended_at": None,
            "status": None,
            "cost_usd": None,
            "refs": [],
            "labels": {"team": "x"},
            "run_id": "0" * 32,
        },
        {
            "at": "2026-03-01 12:00:00.123456",
            "ended_at": "2026-03-01 12:00:00.123456",
            "status": "error",
            "cost_usd": 0.5,
            "refs": ["a", "b"],
            "labels": {"team": "x"},
            "run_id": "0" * 31 + "1",
        },
    ]


def test_a_token_that_was_used_drops_the_replay(http: httpx.Client, events: str) -> None:
    count = f"SELECT count() FROM {events}"
    for token, rows in (("one", 100), ("one", 100), ("two", 200)):
        assert _insert_avro(http, events, _avro(100), insert_deduplication_token=token).status_code == 200
        assert http.post("/", content=count).text == f"{rows}\n"


def test_an_insert_of_many_rows_is_one_part(http: httpx.Client, table: str) -> None:
    body = b"INSERT INTO %s FORMAT TSV\n" % table.encode() + b"1\tx\n" * 1_500_000
    assert http.post("/", content=body, params={"max_insert_threads": "1"}).status_code == 200
    parts = http.post("/", content=f"SELECT count(), sum(rows) FROM system.parts WHERE active AND table = '{table}'")
    assert parts.text == "1\t1500000\n"


def test_broken_avro_inserts_nothing(http: httpx.Client, events: str) -> None:
    assert _insert_avro(http, events, _avro(5000)[:-5000]).status_code >= 400
    assert http.post("/", content=f"SELECT count() FROM {events}").text == "0\n"


def test_a_body_that_breaks_off_inserts_nothing(http: httpx.Client, server: ClickHouseEndpoint, table: str) -> None:
    """Neither a short one nor one that the engine has begun to read."""
    running = (
        f"SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO {table}%' AND query NOT LIKE '%processes%'"
    )
    for rows, begins in ((1000, False), (2_000_000, True)):
        body = f"INSERT INTO {table} (a) FORMAT TSV\n".encode() + b"1\n" * rows  # valid wherever it breaks
        with _begun(server, body, {"database": server.database}, missing_bytes=100):
            if begins:
                wait_until(
                    lambda: http.post("/", content=running).text == "1\n", timeout_s=60, what="the insert to begin"
                )
        wait_until(
            lambda: http.post("/", content=running).text == "0\n", timeout_s=60, what="the insert to be given up"
        )
        assert http.post("/", content=f"SELECT count() FROM {table}").text == "0\n"


class _begun:  # noqa: N801 - reads as a sentence after `with`
    """A POST whose answer is not awaited: leaving the block closes the connection."""

    def __init__(self, server: ClickHouseEndpoint, body: bytes, params: dict[str, str], missing_bytes: int = 0) -> None:
        self._server, self._body, self._params, self._missing_bytes = server, body, params, missing_bytes

    def __enter__(self) -> None:
        self._socket = socket.create_connection((self._server.host, self._server.port), timeout=30)
        request = httpx.Request(
            "POST",
            self._server.url,
            params=self._params,
            headers={"X-ClickHouse-User": self._server.user, "X-ClickHouse-Key": self._server.password},
        )
        head = [f"POST {request.url.raw_path.decode()} HTTP/1.1", f"Host: {self._server.host}"]
        head += [f"{name}: {request.headers[name]}" for name in ("X-ClickHouse-User", "X-ClickHouse-Key")]
        head += [f"Content-Length: {len(self._body) + self._missing_bytes}", "", ""]
        self._socket.sendall("\r\n".join(head).encode() + self._body)

    def __exit__(self, *_: object) -> None:
        self._socket.close()
