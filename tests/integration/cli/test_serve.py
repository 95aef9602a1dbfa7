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

import pytest

from causeline.runtime.connections import KafkaConnection


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
