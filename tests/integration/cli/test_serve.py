"""`serve` as a process: it says when it is ready, stops in order when told to, and says why it cannot start."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.sinks.migrate import migrate
from tests.integration.clickhouse_fixture import ClickHouseProcess


@contextmanager
def serving(*words: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the address that it says it is ready at."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CAUSELINE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "causeline.cli", "serve", *words],
        env={**clean, "CAUSELINE_STATE_DIR": "/nonexistent", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = next((match for line in process.stderr if (match := re.search(r"ready at (http://\S+)", line))), None)
        assert said is not None
        yield process, said[1]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_stops_in_order(kafka: KafkaConnection, number: signal.Signals) -> None:
    environment = {
        "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "CAUSELINE_CLICKHOUSE_URL": "http://causeline@127.0.0.1:1/causeline",
    }
    with serving("--port", "0", **environment) as (process, url):
        with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:
            assert json.load(answer)["reachable"] == {"kafka": True, "clickhouse": False}
        with urllib.request.urlopen(f"{url}/subjects", timeout=10) as answer:
            assert "causeline.events-value" in json.load(answer)
        process.send_signal(number)
        assert process.wait(15) == 0


def test_a_port_in_use_is_a_sentence_and_4() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(
            [sys.executable, "-m", "causeline.cli", "serve", "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert result.returncode == 4
    assert f"error: The console cannot listen on 127.0.0.1 port {port}: Address already in use." in result.stderr
    assert "hint: Choose another --port, or 0 for a free one." in result.stderr


def test_an_absence_of_clickhouse_is_one_line_of_the_log_and_a_stop_lets_pages_go_that_follow(tmp_path: Path) -> None:
    with ClickHouseProcess(tmp_path / "clickhouse") as clickhouse:
        endpoint = clickhouse.endpoint
        migrate(ClickHouseConnection(url=endpoint.connection_url, password=SecretStr(endpoint.password)))
        environment = {
            "CAUSELINE_CLICKHOUSE_URL": endpoint.connection_url,
            "CAUSELINE_CLICKHOUSE_PASSWORD": endpoint.password,
        }
        with serving("--port", "0", **environment) as (process, url):
            for path in ("/runs", "/api/v1/runs", "/runs"):
                assert httpx.get(f"{url}{path}", timeout=60).status_code == 200
            with httpx.stream("GET", f"{url}/live/runs?since=all", timeout=60) as followed:
                lines = followed.iter_lines()
                assert "event: news" in lines
                clickhouse.kill()
                assert "event: away" in lines
                for path in ("/runs", "/api/v1/runs", "/pipeline"):
                    assert httpx.get(f"{url}{path}", timeout=60).status_code == 503
                process.send_signal(signal.SIGTERM)
                assert not [line for line in lines if line.startswith("event: news")]
            assert process.wait(15) == 0
            assert process.stderr is not None
            said = process.stderr.read()
    assert "Traceback" not in said
    complaints = [line for line in said.splitlines() if " INFO " not in line]
    where = f"{endpoint.host}:{endpoint.port}"
    assert [line.partition(": ")[2] for line in complaints] == [
        f"ClickHouse at {where} does not answer. Pages say so until it does."
    ]
