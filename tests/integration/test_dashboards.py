"""What `deploy/grafana` and `deploy/prometheus` ask is there: SQL on the stack's engine, metrics in real processes."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from causeline.console.store import open_store
from causeline.runtime.connections import ClickHouseConnection
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until
from tests import deployed

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("file", deployed.DASHBOARDS, ids=lambda file: str(file.stem))
def test_every_panels_sql_runs_as_the_reader(stack: Endpoints, file: Path) -> None:
    now = int(time.time())
    with open_store(ClickHouseConnection.from_environment(stack.reading())) as store:
        for title, text in deployed.statements(file, since_s=now - 86_400, until_s=now, workflows="'invoice', 'other'"):
            assert store.ask(text) is not None, title


@contextmanager
def _exporter(stack: Endpoints, log: Path) -> Iterator[None]:
    environment = {
        **stack.environment(),
        "CAUSELINE_HEALTH_PORT": "0",
        "CAUSELINE_EXPORT_ENDPOINT": "http://127.0.0.1:9",
    }
    with log.open("wb") as written:
        process = subprocess.Popen([sys.executable, "-m", "causeline.cli", "export"], env=environment, stderr=written)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def test_every_metric_is_told_by_a_real_process(stack: Endpoints, tmp_path: Path) -> None:
    exporter_log = tmp_path / "exporter.log"
    told = set[str]()

    with _exporter(stack, exporter_log):
        wait_until(lambda: deployed.health_pages([exporter_log]), timeout_s=60, what="no exporter is ready")
        for address in deployed.health_pages([*(stack.state_dir / "logs").iterdir(), exporter_log]).values():
            told.update(re.findall(r"^([a-z_]+)", httpx.get(f"{address}/metrics").text, re.MULTILINE))

    assert deployed.metrics() - told == set()
