"""The embedded ClickHouse as a process: crashes, restarts, limits, a second one on the same folder, a graceful end."""

import contextlib
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from causeline.stack.waiting import wait_until
from tests.integration.clickhouse_fixture import ClickHouseProcess


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ClickHouseProcess]:
    """A running server of the test's own."""
    with ClickHouseProcess(tmp_path / "server") as process:
        yield process


def ask(process: ClickHouseProcess, sql: str | bytes, **params: str) -> httpx.Response:
    """One request of the owner on a connection of its own."""
    auth = (process.endpoint.user, process.endpoint.password)
    return httpx.post(process.endpoint.url, content=sql, params=params, auth=auth, timeout=60, trust_env=False)


def create_table(process: ClickHouseProcess) -> None:
    """A table `t` that remembers tokens."""
    answer = ask(
        process,
        "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 1000",
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.slow
def test_killed_after_an_acknowledgement_it_has_lost_nothing_and_knows_the_tokens(process: ClickHouseProcess) -> None:
    create_table(process)
    acknowledged = 0
    for round_ in range(3):
        for number in range(20):
            token = f"{round_}-{number}"
            rows = "\n".join(str(number * 100 + i) for i in range(100))
            assert (
                ask(process, f"INSERT INTO t FORMAT TSV\n{rows}", insert_deduplication_token=token).status_code == 200
            )
            acknowledged += 100
        process.kill()
        process.start()
        assert ask(process, "SELECT count() FROM t").text == f"{acknowledged}\n"
        replay = "\n".join(str(i) for i in range(100))
        assert (
            ask(process, f"INSERT INTO t FORMAT TSV\n{replay}", insert_deduplication_token=f"{round_}-0").status_code
            == 200
        )
        assert ask(process, "SELECT count() FROM t").text == f"{acknowledged}\n"


def test_killed_while_inserting_a_batch_is_in_whole_or_not_at_all(process: ClickHouseProcess) -> None:
    create_table(process)
    acknowledged: list[int] = []
    stop = threading.Event()

    def insert() -> None:
        number = 0
        while not stop.is_set():
            body = "INSERT INTO t FORMAT TSV\n" + f"{number}\n" * 10000
            try:
                if ask(process, body).status_code == 200:
                    acknowledged.append(number)
            except httpx.HTTPError:
                return
            number += 1

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(insert)
        wait_until(lambda: len(acknowledged) >= 5, timeout_s=30, what="five inserts to be acknowledged")
        process.kill()
        stop.set()
        running.result(timeout=60)
    process.start()
    counts = dict(line.split("\t") for line in ask(process, "SELECT a, count() FROM t GROUP BY a").text.splitlines())
    assert set(counts.values()) == {"10000"}
    assert {str(number) for number in acknowledged} <= set(counts)


def test_a_second_process_on_the_folder_says_who_has_it(process: ClickHouseProcess) -> None:
    environment = {**process.environment, "CAUSELINE_ENGINE_PORT": "0"}
    second = subprocess.run(
        [sys.executable, "-m", "causeline.stack.clickhouse"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 4
    assert f"is in use by process {process.pid}." in second.stderr
    assert "Traceback" not in second.stderr
    assert ask(process, "SELECT 1").text == "1\n"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"CAUSELINE_ENGINE_PASSWORD_FILE": "/no/such/file"}, 2, "The password file /no/such/file cannot be read"),
        ({"CAUSELINE_ENGINE_PORT": "70000"}, 2, "CAUSELINE_ENGINE_PORT: "),
        ({"CAUSELINE_ENGINE_PATH": "/proc/nowhere"}, 4, "/proc/nowhere"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(tmp_path: Path, change: dict[str, str], code: int, words: str) -> None:
    process = ClickHouseProcess(tmp_path / "server")
    ended = subprocess.run(
        [sys.executable, "-m", "causeline.stack.clickhouse"],
        env={**process.environment, **change},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False)
    assert words in ended.stderr


def test_a_busy_port_is_one_sentence(process: ClickHouseProcess, tmp_path: Path) -> None:
    second = ClickHouseProcess(tmp_path / "second")
    environment = {**second.environment, "CAUSELINE_ENGINE_PORT": str(process.endpoint.port)}
    ended = subprocess.run(
        [sys.executable, "-m", "causeline.stack.clickhouse"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 4
    assert f"127.0.0.1:{process.endpoint.port} for ClickHouse is in use" in ended.stderr


def test_its_folder_is_private(process: ClickHouseProcess) -> None:
    assert stat.S_IMODE(process.data.stat().st_mode) == 0o700


def test_sigterm_lets_an_insert_end_and_exits_with_0(process: ClickHouseProcess) -> None:
    create_table(process)
    begun, go_on = threading.Event(), threading.Event()

    def body() -> Iterator[bytes]:
        yield b"INSERT INTO t FORMAT TSV\n" + b"1\n" * 200000
        begun.set()
        assert go_on.wait(30)
        yield b"2\n"

    auth = (process.endpoint.user, process.endpoint.password)
    with ThreadPoolExecutor(1) as pool:
        insert = pool.submit(
            lambda: httpx.post(process.endpoint.url, content=body(), auth=auth, timeout=60, trust_env=False)
        )
        assert begun.wait(30)
        psutil.Process(process.pid).terminate()
        wait_until(
            lambda: "stopping" in process.log.read_text("utf-8"), timeout_s=60, what="the server to begin its stop"
        )
        go_on.set()
        assert insert.result(timeout=60).status_code == 200
    assert process.ended() == 0
    process.start()
    assert ask(process, "SELECT count() FROM t").text == "200001\n"


def test_sigterm_ends_a_select_that_takes_too_long(tmp_path: Path) -> None:
    with (
        ClickHouseProcess(tmp_path / "server", {"CAUSELINE_ENGINE_STOP_TIMEOUT_S": "0.5"}) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        query = pool.submit(lambda: ask(process, "SELECT count() FROM numbers(1e13) WHERE sipHash64(number) = 1"))
        running = "SELECT count() FROM system.processes"
        wait_until(lambda: ask(process, running).text == "2\n", timeout_s=60, what="the query to run")
        assert process.stop(timeout_s=30) == 0
        assert query.result(timeout=30).headers["X-ClickHouse-Exception-Code"] == "394"


def test_a_client_that_leaves_after_an_error_leaves_no_traceback(process: ClickHouseProcess) -> None:
    endpoint = process.endpoint
    body = b"INSERT INTO nowhere FORMAT TSV\n" + b"1\n" * 1000
    head = [
        "POST / HTTP/1.1",
        "Host: localhost",
        f"X-ClickHouse-User: {endpoint.user}",
        f"X-ClickHouse-Key: {endpoint.password}",
        f"Content-Length: {len(body) + (2 << 20)}",
    ]
    with socket.create_connection((endpoint.host, endpoint.port), timeout=10) as client:
        client.sendall("\r\n".join([*head, "", ""]).encode() + body + b"1\n" * (1 << 19))
        wait_until(lambda: "code 60" in process.log.read_text("utf-8"), timeout_s=60, what="the insert to be refused")
    assert ask(process, "SELECT 1").text == "1\n"
    assert process.stop() == 0
    assert "Traceback" not in process.log.read_text("utf-8")


def test_small_questions_are_answered_without_delay(process: ClickHouseProcess) -> None:
    auth = (process.endpoint.user, process.endpoint.password)
    with httpx.Client(base_url=process.endpoint.url, auth=auth, trust_env=False) as client:
        seconds = []
        for _ in range(20):
            began = time.monotonic()
            assert client.post("/", content="SELECT 1").text == "1\n"
            seconds.append(time.monotonic() - began)
    assert min(seconds) < 0.03  # with a delayed acknowledgement each of them takes 0.04


@pytest.mark.slow
def test_more_requests_than_may_wait_are_told_to_come_again(tmp_path: Path) -> None:
    limits = {
        "CAUSELINE_ENGINE_MAX_QUERIES": "1",
        "CAUSELINE_ENGINE_MAX_WAITING": "1",
        "CAUSELINE_ENGINE_WAIT_TIMEOUT_S": "30",
    }
    with ClickHouseProcess(tmp_path / "server", limits) as process:
        slow = "SELECT sum(sleepEachRow(0.1)) FROM numbers(20) SETTINGS max_block_size = 1"
        seen = threading.Event()

        def hold() -> set[int]:
            """Keep a place taken, the one that runs or the one that waits."""
            held = set()
            while not seen.is_set():
                held.add(ask(process, slow).status_code)
            return held

        def refused() -> httpx.Response | None:
            answer = ask(process, "SELECT 1")
            return answer if answer.status_code == 503 else None

        with ThreadPoolExecutor(2) as pool:
            holders = [pool.submit(hold) for _ in range(2)]
            try:
                told = wait_until(refused, timeout_s=60, what="nothing is refused while one runs and one waits")
            finally:
                seen.set()
        assert told.headers["X-ClickHouse-Exception-Code"] == "202"
        answered = holders[0].result() | holders[1].result()
        assert 200 in answered
        assert answered <= {200, 503}  # whoever comes third is refused, a holder too
        assert ask(process, "SELECT 1").text == "1\n"


def test_bodies_are_limited_and_slow_ones_given_up(tmp_path: Path) -> None:
    limits = {"CAUSELINE_ENGINE_BODY_LIMIT_BYTES": str(1 << 20), "CAUSELINE_ENGINE_BODY_TIMEOUT_S": "0.5"}
    with ClickHouseProcess(tmp_path / "server", limits) as process:
        create_table(process)
        large = ask(process, b"INSERT INTO t FORMAT TSV\n" + b"1\n" * (1 << 20))
        assert (large.status_code, large.headers["X-ClickHouse-Exception-Code"]) == (413, "396")
        statement = ask(process, "SELECT '" + "x" * (2 << 20) + "'")
        assert statement.status_code == 413
        release = threading.Event()

        def slow() -> Iterator[bytes]:
            yield b"INSERT INTO t FORMAT TSV\n1\n"
            release.wait(20)
            yield b"2\n"

        auth = (process.endpoint.user, process.endpoint.password)
        with ThreadPoolExecutor(1) as pool:
            request = pool.submit(
                lambda: httpx.post(process.endpoint.url, content=slow(), auth=auth, timeout=60, trust_env=False)
            )
            wait_until(
                lambda: "code 159" in process.log.read_text("utf-8"), timeout_s=60, what="the slow body to be given up"
            )
            release.set()
            with contextlib.suppress(httpx.WriteError):  # the server may close the connection before the rest is sent
                assert request.result(timeout=30).status_code == 408
        assert ask(process, "SELECT count() FROM t").text == "0\n"


def test_memory_stays_within_bounds_while_inserting(process: ClickHouseProcess) -> None:
    create_table(process)
    body = b"INSERT INTO t FORMAT TSV\n" + b"".join(b"%d\n" % number for number in range(200000))
    for _ in range(30):
        assert ask(process, body).status_code == 200
    assert psutil.Process(process.pid).memory_info().rss < 450 << 20
