"""A release at an hour that makes runs worse: `why` says it in numbers, `causes` shows it first, `drift` names it."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from causeline.causes.diagnoser import Diagnoser
from causeline.causes.settings import DiagnoserSettings
from causeline.cli.app import app
from causeline.console.neighbours import cohort_of
from causeline.console.store import open_store
from causeline.diagnosis import diagnose
from causeline.drift.alerts import alerts_for_diagnosis
from causeline.drift.store import open_drift_store
from causeline.drift.watch import Plan, watch_once
from causeline.drift.windows import Length
from causeline.ops.erasing import erase
from causeline.producers.artifacts import ArtifactStore
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas import wire
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.registry import Schemas
from causeline.schemas.run import Run
from causeline.schemas.tables import CAUSES
from causeline.sinks.migrate import migrate
from tests.integration.causes.plan import HOURS, RELEASE_HOUR, RELEASES, START, desk_runs
from tests.integration.console.conftest import insert_runs
from tests.unit.causes.build import message

pytestmark = [pytest.mark.stack, pytest.mark.slow]

CAME: Mapping[str, tuple[str, str, str]] = {
    "prompt": ("prompt_version", "13", "12"),
    "model": ("model_name", "acme-2", "acme-1"),
    "fingerprint": ("system_fingerprint", "fp-b", "fp-a"),
    "index": ("retrieve.index", "kb-2026-09", "kb-2026-08"),
    "classifier": ("route_policy_version", "rules-8", "rules-7"),
}
"""The anchor that changed, as a run has it, and its values after and before."""
RUNS = {release: list(desk_runs(release)) for release in RELEASES}
SINCE = f"{START:%Y-%m-%d}"


class IntoTheTable:
    """The topic and its loader in one: what is delivered is stored."""

    def __init__(self, connection: ClickHouseConnection) -> None:
        self._connection = connection
        self._pending: list[str] = []

    def publish(self, partition: int, key: bytes, value: bytes) -> None:
        record: dict[str, Any] = dict(wire.decode_datum(value, CAUSES.subject, Schemas()))
        for name in ("run_started_at", "diagnosed_at"):
            record[name] = f"{datetime.fromtimestamp(record[name] / 1e6, UTC):%Y-%m-%d %H:%M:%S.%f}"
        self._pending.append(json.dumps(record))

    def deliver(self) -> None:
        pending, self._pending = self._pending, []
        if pending:
            with clickhouse_client(self._connection) as client:
                client.raw_insert(CAUSES.rows, fmt="JSONEachRow", insert_block="\n".join(pending).encode())


def a_day(connection: ClickHouseConnection) -> None:
    """A morning of five desks in a migrated database, as workers, loaders, diagnoser and watch leave it."""
    insert_runs(connection, *(run for runs in RUNS.values() for run in runs))
    now = [START + timedelta(hours=HOURS + 2)]
    with open_store(connection) as store, open_drift_store(connection) as rows:
        # The alerts are known before the last words are told, as they are where both services run.
        watch_once(rows, Plan(lengths=(Length.HOUR,), lookback=timedelta(days=3), baseline_windows=6), now=now[0])
        diagnoser = Diagnoser(
            DiagnoserSettings(settle_s=0),
            store=store,
            publisher=IntoTheTable(connection),
            schemas=Schemas(),
            clock=lambda: round(now[0].timestamp() * 1e6),
            drift_of=alerts_for_diagnosis,
            partitions=1,
        )
        diagnoser.own({0})
        for offset in range(0, len(RUNS["prompt"]), 60):
            diagnoser.take([message(*(run for runs in RUNS.values() for run in runs[offset : offset + 60]))])
        now[0] += timedelta(minutes=1)
        while diagnoser.turn():
            now[0] += timedelta(seconds=2)


@pytest.fixture(scope="module")
def database(clickhouse: ClickHouseConnection) -> Iterator[ClickHouseConnection]:
    connection = clickhouse.model_copy(update={"url": clickhouse.url.rsplit("/", 1)[0] + "/releases"})
    migrate(connection)
    a_day(connection)
    yield connection
    with clickhouse_client(clickhouse) as client:
        client.command("DROP DATABASE releases")


def said(database: ClickHouseConnection, *words: str) -> str:
    environment = {
        "CAUSELINE_CLICKHOUSE_URL": database.url,
        "CAUSELINE_CLICKHOUSE_PASSWORD": database.password.get_secret_value(),
        "CAUSELINE_STATE_DIR": "/nonexistent/causeline",
    }
    result = CliRunner().invoke(app, list(words), env=environment)
    assert result.exit_code == 0, result.output
    return result.output


def bad_runs(release: str) -> list[Run]:
    """The runs after the release that went wrong."""
    since = START + timedelta(hours=RELEASE_HOUR)
    return [run for run in RUNS[release] if run.final_state == "partial" and (run.started_at or START) >= since]


@pytest.mark.parametrize("release", RELEASES)
def test_why_says_of_a_bad_run_what_came_with_the_release_in_numbers(
    database: ClickHouseConnection, release: str
) -> None:
    name, after, before = CAME[release]
    document = json.loads(said(database, "why", bad_runs(release)[-1].run_id, "--json"))

    first = document["causes"][0]["finding"]
    assert (first["rule"], document["causes"][0]["certainty"]) == ("release", "likely")
    assert f"{name} {after}" in first["headline"]
    assert f"replaced {before}" in first["headline"]
    told = re.search(rf"\((\d+) runs with it, (\d+) with {before}\)", first["headline"])
    assert told is not None
    assert int(told[1]) > 60
    assert int(told[2]) > 150
    assert any(re.search(r"^\d+ of \d+ → \d+ of \d+$", fact["value"]) for fact in first["facts"])
    assert any(release_of(alert) for alert in document["alerts"]), "the alert that it lies in is named with it"


def release_of(alert: Mapping[str, object]) -> bool:
    return str(alert["dimension"]) in {"final_state", "validation", "confidence"}


@pytest.mark.parametrize("release", RELEASES)
def test_causes_shows_the_release_first_and_as_new(database: ClickHouseConnection, release: str) -> None:
    name, after, _ = CAME[release]
    document = json.loads(said(database, "causes", "--since", SINCE, "-w", f"desk-{release}", "--json"))

    first = document["causes"][0]
    assert (first["kind"], first["is_new"]) == ("release", True)
    assert f"{name} {after}" in first["thing"]
    assert first["runs"] >= 0.8 * len(bad_runs(release))
    assert first["share_low"] < first["share"] == first["runs"] / 400 < first["share_high"]
    assert sum(first["trend"][:4]) == 0
    since = START + timedelta(hours=RELEASE_HOUR)
    assert set(first["examples"]) <= {run.run_id for run in RUNS[release] if (run.started_at or START) >= since}
    assert first["cost_usd"] == pytest.approx(sum(run.cost_usd or 0 for run in bad_runs(release)), rel=0.3)
    assert document["not_diagnosed"] == 0
    question = said(database, "sql", "@causes", "-p", f"workflow=desk-{release}", "-p", f"since={SINCE}", "--json")
    asked = [json.loads(line) for line in question.splitlines()]
    [same] = [each for each in asked if (each["kind"], each["thing"]) == (first["kind"], first["thing"])]
    assert (same["runs"], same["share"]) == (first["runs"], first["share"])


@pytest.mark.parametrize("release", RELEASES)
def test_drift_names_the_anchor_and_shows_the_window_that_opened_the_alert(
    database: ClickHouseConnection, release: str
) -> None:
    anchor = {"index": "index"}.get(release, CAME[release][0])
    listed = json.loads(said(database, "drift", "-w", f"desk-{release}", "--json"))["alerts"]

    alert = next(each for each in listed if each["dimension"] == "final_state")
    assert datetime.fromisoformat(alert["since"]).replace(tzinfo=UTC) == START + timedelta(hours=RELEASE_HOUR)
    assert (alert["anchors"][0]["anchor"], alert["anchors"][0]["value"]) == (anchor, CAME[release][1])
    assert (alert["before_runs"], alert["after_runs"]) == (300, 50)
    text = said(database, "drift", "show", alert["alert_id"])
    assert f"{anchor} {CAME[release][1]}" in text
    assert "What went wrong since then" in text
    assert CAME[release][1] in text.partition("What went wrong since")[2]
    examples = json.loads(said(database, "drift", "show", alert["alert_id"], "--json"))["runs_after"]
    opened = START + timedelta(hours=RELEASE_HOUR)
    at = {run.run_id: run.started_at or START for run in RUNS[release]}
    assert examples
    assert all(opened <= at[run_id] < opened + timedelta(hours=1) for run_id in examples)


def test_every_run_is_told_once_and_as_why_tells_it_beside_the_same_neighbours(database: ClickHouseConnection) -> None:
    lines = [json.loads(line) for line in said(database, "causes", "--since", SINCE, "--runs").splitlines()]
    assert {line["run_id"] for line in lines} == {run.run_id for runs in RUNS.values() for run in runs}
    assert len(lines) == 5 * 400
    assert all(line["settled"] for line in lines)

    told = {line["run_id"]: line for line in lines}
    with open_store(database) as store:
        for run in bad_runs("index")[-30::6]:
            found = diagnose(run, DEFAULT_POLICY, None, cohort_of(store, run, DEFAULT_POLICY))
            assert found.first_cause is not None
            assert told[run.run_id]["first_cause"]["thing"] == found.first_cause.finding.thing


def test_the_report_of_the_week_is_a_page_and_a_ticket(database: ClickHouseConnection, tmp_path: Path) -> None:
    page, ticket = (tmp_path / f"week.{form}" for form in ("html", "md"))
    said(database, "causes", "report", "--since", SINCE, "--format", "html", "-o", f"{page}")
    said(database, "causes", "report", "--since", SINCE, "-o", f"{ticket}")

    html, markdown = page.read_text("utf-8"), ticket.read_text("utf-8")
    for name, after, _ in CAME.values():
        assert f"NEW: Likely: Since {name} {after}" in html
        assert after in markdown.replace("\\", "")
    assert html.count("<tr class=new>") >= 5


def test_a_run_that_is_erased_is_no_cause_and_no_neighbour_any_more(
    database: ClickHouseConnection, tmp_path: Path
) -> None:
    gone = RUNS["model"][0].run_id
    with clickhouse_client(database) as client:
        erased = erase(client, ArtifactStore.open(f"{tmp_path}"), gone)
        assert {"cause_rows", "neighbour_rows"} <= erased.rows.keys()
        for view in ("causes", "neighbours"):
            [[left]] = client.query(f"SELECT countIf(run_id = '{gone}') FROM {view}").result_rows
            assert left == 0
