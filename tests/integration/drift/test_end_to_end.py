"""From runs in the store to a row of the view `alerts`: the watch, the broker and the loader, as they are deployed."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from causeline.cli.app import app
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.stack.waiting import wait_until
from tests.integration.drift.making import drifting, put_runs
from tests.integration.streams.amender.site import Site

pytestmark = pytest.mark.stack

HOURS = 9


@pytest.fixture
def site(
    kafka: KafkaConnection, clickhouse: ClickHouseConnection, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    found = Site(kafka, clickhouse, tmp_path_factory.mktemp("site"))
    with found.running("load"):
        yield found


def test_an_alert_goes_by_its_topic_to_the_view(site: Site) -> None:
    drifting(site.clickhouse, hours=HOURS)
    put_runs(site.clickhouse, 1, start=f"2026-11-02 {HOURS + 1:02d}:30:00", first=90_000)
    environment = {**site.environment(), "CAUSELINE_CLICKHOUSE_PASSWORD_FILE": None, "CAUSELINE_POLICY": ""}
    words = ["watch", "--once", "--prefix", site.prefix, "--json"]
    result = CliRunner().invoke(app, words, env=environment)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["judged"] == HOURS + 1
    with clickhouse_client(site.clickhouse) as client:

        def told() -> list[tuple[object, ...]]:
            rows = client.query("SELECT dimension, state, revision FROM alerts ORDER BY dimension").result_rows
            return [tuple(row) for row in rows]

        wait_until(lambda: len(told()) == 2, what="two alerts in the view", timeout_s=60)
        assert told() == [("confidence", "open", 1), ("route", "open", 1)]
