"""What the reader of the embedded ClickHouse cannot do, each thing tried."""

import ctypes
import http.server
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from causeline.stack.waiting import wait_until
from tests.integration.clickhouse_fixture import ClickHouseEndpoint, ClickHouseProcess

_SECRET = "canary-in-a-file-outside-the-data-folder"


@dataclass(frozen=True)
class Lanes:
    """The two users of a running server, and a file that neither should be able to read through it."""

    owner: httpx.Client
    reader: httpx.Client
    process: ClickHouseProcess
    outside: Path

    @property
    def inside(self) -> Path:
        """A file in the data folder, which Landlock has to leave readable: the second fence has to hold."""
        return self.process.data / "causeline-config" / "users.xml"


def _landlock_version() -> int:
    return int(ctypes.CDLL(None).syscall(444, None, 0, 1))


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lanes]:
    """A server with a table `t` of one row and a table in another database."""
    folder = tmp_path_factory.mktemp("fences")
    outside = folder / "secret.txt"
    outside.write_text(_SECRET, "utf-8")
    with (
        ClickHouseProcess(folder / "server") as process,
        _client(process.endpoint) as owner,
        _client(process.reader) as reader,
    ):
        for statement in (
            "CREATE TABLE t (a UInt32, s String) ENGINE = MergeTree ORDER BY a",
            "INSERT INTO t VALUES (1, 'one')",
            "CREATE VIEW v AS SELECT s FROM t",
            "CREATE TABLE w (a UInt32) ENGINE = MergeTree ORDER BY a",
            "CREATE DATABASE other ENGINE = Atomic",
            "CREATE TABLE other.t (a UInt32) ENGINE = MergeTree ORDER BY a",
        ):
            assert owner.post("/", content=statement).status_code == 200
        yield Lanes(owner, reader, process, outside)


def _client(endpoint: ClickHouseEndpoint) -> httpx.Client:
    return httpx.Client(base_url=endpoint.url, auth=(endpoint.user, endpoint.password), timeout=30, trust_env=False)


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("SELECT s FROM t", "one\n"),
        ("SELECT s FROM v", "one\n"),
        ("WITH 1 AS x SELECT a + x FROM t", "2\n"),
        ("SELECT count() FROM t WHERE s IN (SELECT s FROM v)", "1\n"),
        ("SELECT 'file' AS file", "file\n"),
        ("SHOW TABLES LIKE 't'", "t\n"),
        ("EXISTS TABLE t", "1\n"),
        ("SELECT u.s FROM t JOIN t AS u ON t.a = u.a ORDER BY u.s LIMIT 1", "one\n"),
        ("SELECT sum(number) FROM numbers(4)", "6\n"),
    ],
)
def test_the_reader_reads(lanes: Lanes, sql: str, answer: str) -> None:
    assert lanes.reader.post("/", content=sql).text == answer


def test_the_reader_may_use_parameters_and_formats(lanes: Lanes) -> None:
    asked = {"param_x": "1", "output_format_json_quote_64bit_integers": "1", "max_result_rows": "5"}
    answer = lanes.reader.post("/", content="SELECT s FROM t WHERE a = {x:UInt32} FORMAT JSONEachRow", params=asked)
    assert answer.json() == {"s": "one"}


def test_a_setting_that_says_what_stands_anyway_is_taken(lanes: Lanes) -> None:
    """As a driver's defaults do."""
    asked = "SELECT name, value FROM system.settings WHERE name IN ('async_insert', 'mutations_sync')"
    stands = dict(line.split("\t") for line in lanes.owner.post("/", content=asked).text.splitlines())
    said = lanes.reader.post("/", content="SELECT 1", params=stands)
    assert stands.keys() == {"async_insert", "mutations_sync"}
    assert (said.status_code, said.text) == (200, "1\n")
    changed = lanes.reader.post("/", content="SELECT 1", params={"async_insert": "1"})
    assert changed.headers["X-ClickHouse-Exception-Code"] == "164"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (2, 'two')",
        "INSERT INTO t SELECT 2, 'two'",
        "CREATE TABLE u (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE u (a Int8)",
        "ALTER TABLE t DELETE WHERE 1",
        "TRUNCATE TABLE t",
        "DROP TABLE t",
        "OPTIMIZE TABLE t",
        "SYSTEM STOP MERGES",
        "KILL QUERY WHERE 1",
        "SET readonly = 0",
        "SET ROLE ALL",
        "SET ROLE causeline_owner",
        "USE other",
        "GRANT causeline_owner TO default",
        "CREATE USER x",
        "BACKUP DATABASE causeline TO File('/tmp/x')",
        "EXPLAIN SELECT 1",
        "SELECT 1; DROP TABLE t",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "SELECT * FROM other.t",
        "SELECT * FROM system.parts_columns SETTINGS allow_introspection_functions = 1",
    ],
)
def test_the_reader_changes_nothing(lanes: Lanes, sql: str) -> None:
    answer = lanes.reader.post("/", content=sql)
    assert answer.status_code >= 400, answer.text
    assert lanes.owner.post("/", content="SELECT count(), any(s) FROM t").text == "1\tone\n"


@pytest.mark.parametrize(
    "setting",
    [
        "max_execution_time=0&max_memory_usage=0&max_result_rows=0",
        "allow_ddl=1",
        "dialect=prql",
        "role=causeline_owner",
        "log_queries=0",
    ],
)
def test_the_readers_settings_open_no_door(lanes: Lanes, setting: str) -> None:
    ask = "SELECT getSetting('max_result_rows') > 0 AND getSetting('max_execution_time') > 0, currentRoles()"
    answer = lanes.reader.post(f"/?{setting}", content=ask)
    assert answer.status_code >= 400 or answer.text == "1\t['causeline_reader']\n"


def _file_readers(path: Path) -> list[str]:
    return [
        f"SELECT file('{path}')",
        f"SELECT FiLe('{path}')",
        f"SELECT `file`('{path}')",
        f"SELECT length(file('{path}')) FROM t",
        f"SELECT arrayMap(x -> file(x), ['{path}'])",
        f"SELECT * APPLY (x -> file(x)) FROM (SELECT '{path}')",
        f"SELECT * APPLY file FROM (SELECT '{path}' AS p)",
        f"WITH file('{path}') AS x SELECT x",
        f"WITH (SELECT file('{path}')) AS x SELECT x",
        f"SELECT a FROM t WHERE s IN (SELECT file('{path}'))",
        f"SELECT 1 UNION ALL SELECT length(file('{path}'))",
        f"(SELECT file('{path}'))",
        f"SELECT * FROM file('{path}', 'LineAsString')",
        f"SELECT * FROM file('{path}', LineAsString, 'line String') LIMIT 1",
        f"DESCRIBE file('{path}')",
        f"DESCRIBE (SELECT file('{path}'))",
        f"SHOW TABLES WHERE length(file('{path}')) > 0",
        f"SELECT s FROM t ORDER BY length(file('{path}'))",
        f"SELECT a FROM t GROUP BY a HAVING length(file('{path}')) > 0",
        f"SELECT * FROM numbers(length(file('{path}')))",
        f"SELECT 1 LIMIT length(file('{path}'))",
        f"SELECT t.a FROM t JOIN t AS u ON t.s = u.s AND length(file('{path}')) > 0",
        f"SELECT t.a FROM t JOIN t AS u ON t.s = u.s AND (WITH file('{path}') AS x SELECT length(x)) > 0",
        f"SELECT a FROM t ARRAY JOIN [file('{path}')] AS x",
        f"SELECT a FROM t PREWHERE length(file('{path}')) > 0",
        f"SELECT a FROM t LIMIT 1 BY file('{path}')",
        f"SELECT a FROM t ORDER BY a WITH FILL INTERPOLATE (a AS length(file('{path}')))",
        f"SELECT sum(a) OVER (PARTITION BY file('{path}')) FROM t",
        f"SELECT * REPLACE (file('{path}') AS s) FROM t",
        f"SELECT * FROM view(SELECT file('{path}'))",
        f"SELECT * FROM (EXPLAIN SELECT file('{path}'))",
        f"SELECT * FROM format(LineAsString, file('{path}'))",
        f"SELECT b FROM values('a String, b String DEFAULT file(\\'{path}\\')', ('x', 'y'))",
        f"SELECT * FROM sqlite('{path}', 't')",
        f"SELECT 1 FORMAT Template SETTINGS format_template_row = '{path}'",
        f"SELECT * FROM executable('cat {path}', 'TSV', 'a String')",
    ]


def test_the_reader_reads_no_file_in_any_way_known(lanes: Lanes) -> None:
    """Also not one in the data folder, where Landlock does not stand before it."""
    for path in (lanes.outside, lanes.inside):
        for sql in _file_readers(path):
            answer = lanes.reader.post("/", content=sql)
            assert answer.status_code >= 400, f"{sql}: {answer.text}"
            assert _SECRET not in answer.text
            assert "GRANT" not in answer.text


@pytest.mark.parametrize(
    "name", ["format_template_row", "format_template_resultset", "format_schema", "output_format_schema"]
)
def test_no_setting_of_the_readers_names_a_file(lanes: Lanes, name: str) -> None:
    answer = lanes.reader.post("/", content="SELECT 1", params={name: str(lanes.inside)})
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "164")


@pytest.mark.parametrize("sql", ["SELECT query FROM system.processes", "SELECT * FROM merge('system', 'processes')"])
def test_the_reader_does_not_see_what_others_ask(lanes: Lanes, sql: str) -> None:
    assert lanes.reader.post("/", content=sql).status_code >= 400


def test_the_reader_writes_no_file(lanes: Lanes) -> None:
    target = lanes.process.data / "out.tsv"
    for sql in (f"SELECT 1 INTO OUTFILE '{target}'", f"select 1 into /* */ outfile '{target}' format TSV"):
        assert lanes.reader.post("/", content=sql).status_code >= 400
    assert not target.exists()


def test_the_reader_reaches_no_address(lanes: Lanes) -> None:
    with _listening() as (address, requests):
        for sql in (
            f"SELECT * FROM url('{address}', 'LineAsString')",
            f"SELECT * FROM s3('{address}/b/k', 'LineAsString')",
            "SELECT * FROM remote('127.0.0.1:9', 'system', 'one')",
        ):
            assert lanes.reader.post("/", content=sql).status_code >= 400
        assert requests == []


def test_external_tables_are_not_for_the_reader(lanes: Lanes) -> None:
    answer = lanes.reader.post(
        "/", params={"query": "SELECT * FROM x", "x_structure": "a Int8"}, files={"x": ("x.tsv", b"1\n")}
    )
    assert answer.status_code >= 400


def test_landlock_keeps_the_whole_process_from_files_and_addresses(lanes: Lanes) -> None:
    """The owner may call file() and url(); the kernel says no. Where there is no Landlock, the log has to say that."""
    log = lanes.process.log.read_text("utf-8")
    if _landlock_version() < 4:
        assert "no Landlock" in log or "outgoing connections are not denied" in log
        return
    assert "fenced by Landlock" in log
    for path in (lanes.outside, Path("/etc/passwd"), lanes.process.folder / "owner.password"):
        answer = lanes.owner.post("/", content=f"SELECT file('{path}')")
        assert answer.status_code >= 400
        assert _SECRET not in answer.text
    assert lanes.owner.post("/", content=f"SELECT file('{lanes.inside}')").status_code == 200
    with _listening() as (address, requests):
        assert lanes.owner.post("/", content=f"SELECT * FROM url('{address}', 'LineAsString')").status_code >= 400
        assert requests == []


def test_no_password_stands_in_the_process_or_its_folder(lanes: Lanes) -> None:
    environment = Path(f"/proc/{lanes.process.pid}/environ").read_bytes()
    written = [path for path in lanes.process.data.rglob("*") if path.is_file()]
    for password in (lanes.process.endpoint.password, lanes.process.reader.password):
        assert password.encode() not in environment
        assert not [path for path in written if password.encode() in path.read_bytes()]
        assert password not in lanes.process.log.read_text("utf-8")


class _listening:  # noqa: N801 - reads as a sentence after `with`
    """A web server on the loopback address that notes who comes."""

    def __enter__(self) -> tuple[str, list[str]]:
        requests: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Says nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}/", requests

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize(
    "sql",
    [
        "SHOW PROCESSLIST",
        "SHOW GRANTS",
        "SHOW USERS",
        "SHOW MERGES",
        "SELECT * FROM system.errors",
        "SELECT * FROM system.processes",
        "SELECT * FROM system.mutations",
        "SELECT command FROM system.`mutations`",
        "SELECT (SELECT any(last_error_message) FROM system.errors)",
        "SELECT 1 WHERE 1 IN (SELECT value FROM system.errors)",
        "WITH x AS (SELECT * FROM system.errors) SELECT * FROM x",
        "SELECT e.name FROM t JOIN system.errors AS e ON 1",
        "SELECT * FROM system.parts",
        "SELECT * FROM system.user_processes",
        "SELECT * FROM merge('system', 'errors')",
    ],
)
def test_the_reader_sees_nothing_of_what_others_ask(lanes: Lanes, sql: str) -> None:
    lanes.owner.post("/", content=f"SELECT '{_SECRET}' FROM no_such_table")

    answer = lanes.reader.post("/", content=sql)

    assert answer.status_code >= 400, answer.text
    assert "READONLY" in answer.text or "ACCESS_DENIED" in answer.text
    assert _SECRET not in answer.text


def test_another_database_in_the_address_opens_no_other_table(lanes: Lanes) -> None:
    answer = lanes.reader.post("/", content="SELECT * FROM errors", params={"database": "system"})

    assert answer.status_code >= 400, answer.text


@pytest.mark.parametrize("format_", ["Native", "TabSeparatedWithNames", "RowBinaryWithNamesAndTypes", "JSON", "CSV"])
@pytest.mark.parametrize("sql", ["SELECT s FROM t WHERE a = 99", "SELECT s, count() FROM t WHERE a = 99 GROUP BY s"])
def test_an_answer_without_rows_is_one_for_both(lanes: Lanes, sql: str, format_: str) -> None:
    answers = [lane.post("/", content=sql, params={"default_format": format_}) for lane in (lanes.owner, lanes.reader)]

    assert [answer.status_code for answer in answers] == [200, 200], answers[1].text
    if format_ != "JSON":  # which says how long it took
        assert answers[0].content == answers[1].content


@pytest.mark.slow
def test_slow_readers_keep_no_turn_from_who_writes(lanes: Lanes) -> None:
    """More of them than there are turns for anybody, each for as long as it may."""
    slow = "SELECT sum(sipHash64(number)) FROM numbers(100000000000)"
    with ThreadPoolExecutor(24) as pool:
        asked = [
            pool.submit(lanes.reader.post, "/", content=slow, params={"max_execution_time": "8"}) for _ in range(24)
        ]
        running = "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%numbers(100000000000)%'"
        wait_until(
            lambda: int(lanes.owner.post("/", content=running).text) >= 4, timeout_s=60, what="no reader is at work"
        )
        began = time.monotonic()
        answer = lanes.owner.post("/", content="INSERT INTO w VALUES (1)")
        took_s = time.monotonic() - began
        for each in asked:
            each.result(60)
    assert answer.status_code == 200, answer.text
    assert took_s < 5
