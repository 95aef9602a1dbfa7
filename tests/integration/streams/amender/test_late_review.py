"""A review that comes three hours after its run: the next revision, once, whatever is read again."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from causeline.cli.app import app
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.tracer import Tracer
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.clock import system_clock
from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas import catalogue, wire
from causeline.schemas.events import ReviewRecorded
from causeline.schemas.ids import derived_id
from causeline.schemas.topics import DECISIONS, EVENTS, REVIEWS, RUNS
from causeline.schemas.vocabulary import ReviewOutcome
from causeline.stack.waiting import wait_until
from tests.integration.streams.amender.site import Site

pytestmark = pytest.mark.stack

THREE_HOURS_US = 3 * 3600 * 1_000_000
RUN_SQL = "SELECT revision, amended, verdict, review_outcome, started_at, source_partition, last_offset FROM runs"


@pytest.fixture(scope="module")
def site(
    kafka: KafkaConnection, clickhouse: ClickHouseConnection, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Everything running, on topics and a database of this module's own."""
    found = Site(kafka, clickhouse, tmp_path_factory.mktemp("site"))
    with found.running("worker", "load", "amend"):
        yield found


def emitter_of(site: Site) -> Emitter:
    settings = EmitterSettings.model_validate({"topic_prefix": site.prefix})
    return Emitter(settings, kafka=site.kafka)


def causeline(site: Site, *words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={**site.environment(), "CAUSELINE_CLICKHOUSE_PASSWORD_FILE": None})


def publish_run(site: Site, started_at_us: int, name: str = "extract") -> str:
    """A run of three steps with one checked field."""
    times = iter(range(started_at_us, started_at_us + 1_000_000, 1000))
    with (
        Tracer("late", emitter=emitter_of(site), enabled=True) as tracer,
        tracer.run("invoice", clock=lambda: next(times)) as run,
    ):
        with run.parse(name, parser_version="1") as step:
            step.set(parsed_artifact_ref="artifact:a")
        run.evidence("$.total", refs=["artifact:a#page=1"], score=0.4)
        run.finish("answered", raw_output_ref="artifact:b")
    return run.run_id


def ask_for_review(site: Site, run_id: str, started_at_us: int) -> str:
    """A review item as a router publishes it."""
    schema = catalogue.latest(REVIEWS.subject)
    item_id = derived_id(run_id, "weak total")
    record = {
        "item_id": item_id,
        "run_id": run_id,
        "project": "late",
        "workflow": "invoice",
        "run_started_at": started_at_us,
        "reason": "weak total",
        "question": "Is the total right?",
        "field_path": "$.total",
        "priority": 2,
        "created_at": started_at_us + 1_000_000,
    }
    site.publish(REVIEWS, wire.frame(schema.schema_id, wire.encode_datum(schema, {"links": [], **record})))
    return item_id


def until_joined(site: Site, run_id: str) -> dict[str, object]:
    rows = wait_until(
        lambda: site.ask(f"{RUN_SQL} WHERE run_id = {{run:String}}", run=run_id), timeout_s=60, what="the run"
    )
    return dict(rows[0])


@pytest.mark.slow
def test_a_review_three_hours_later_is_the_next_revision_and_all_is_there_once(site: Site) -> None:
    started_at_us = system_clock() - THREE_HOURS_US
    run_id = publish_run(site, started_at_us)
    item_id = ask_for_review(site, run_id, started_at_us)
    first = until_joined(site, run_id)
    wait_until(lambda: site.ask("SELECT 1 FROM reviews WHERE state = 'open'"), timeout_s=30, what="the item")
    leased = causeline(site, "reviews", "next", "--reviewer", "reviewer:17", "--json")
    assert json.loads(leased.stdout)["item_id"] == item_id

    resolved = causeline(
        site,
        *("reviews", "resolve", item_id, "--outcome", "overridden", "--reviewer", "reviewer:17"),
        *("--override-ref", "artifact:right", "--note-ref", "artifact:note", "--json"),
    )

    assert resolved.exit_code == 0, resolved.output
    answer = json.loads(resolved.stdout)
    assert (answer["state"], answer["outcome"], answer["override_ref"]) == ("resolved", "overridden", "artifact:right")
    wait_until(
        lambda: until_joined(site, run_id)["revision"] != first["revision"], timeout_s=60, what="the next revision"
    )
    [second] = site.ask(f"{RUN_SQL} WHERE run_id = {{run:String}}", run=run_id)
    assert (second["revision"], first["revision"]) == (5, 4)
    assert (second["amended"], second["verdict"], second["review_outcome"]) == (True, "complete", "overridden")
    assert (second["source_partition"], second["last_offset"]) == (first["source_partition"], first["last_offset"])
    [review] = site.ask("SELECT occurred_at, run_started_at FROM events WHERE event_type = 'review_recorded'")
    assert isinstance(review["occurred_at"], datetime)
    assert isinstance(review["run_started_at"], datetime)
    assert (review["occurred_at"] - review["run_started_at"]).total_seconds() >= 3 * 3600

    again = causeline(
        site, "reviews", "resolve", item_id, "--outcome", "approved", "--reviewer", "reviewer:3", "--no-wait"
    )
    assert (again.exit_code, "resolved already: overridden by reviewer:17" in again.stderr) == (1, True)

    before = {view: site.ask(f"SELECT count() AS n FROM {view}") for view in ("events", "runs", "reviews")}
    site.caught_up(f"{site.prefix}.amender", DECISIONS)
    runs_written = site.end(RUNS)
    with site.running("amend", group="replay-1"):
        site.caught_up("replay-1.amend", DECISIONS)
    assert site.end(RUNS) == runs_written
    with site.running("worker", "load", "amend", group="replay-2"):
        site.caught_up("replay-2.worker", EVENTS)
        site.caught_up("replay-2.amend", DECISIONS)
        for topic in (EVENTS, DECISIONS, RUNS, REVIEWS):
            site.caught_up("replay-2.load", topic)
    site.caught_up(f"{site.prefix}.loader", RUNS)
    assert {view: site.ask(f"SELECT count() AS n FROM {view}") for view in before} == before
    assert site.ask(f"{RUN_SQL} WHERE run_id = {{run:String}}", run=run_id) == [second]
    assert [dict(row) for row in site.ask("SELECT item_id, state FROM reviews")] == [
        {"item_id": item_id, "state": "resolved"}
    ]


def test_whoever_may_only_emit_approves_nothing(site: Site) -> None:
    started_at_us = system_clock() - THREE_HOURS_US
    run_id = publish_run(site, started_at_us, name="forged")
    first = until_joined(site, run_id)
    forged = ReviewRecorded(
        event_id=derived_id(run_id, "forged"),
        run_id=run_id,
        project="late",
        workflow="invoice",
        emitter_id="somebody",
        seq=0,
        run_started_at=started_at_us,
        occurred_at=started_at_us + 2_000_000,
        review_outcome=ReviewOutcome.APPROVED,
        reviewer_ref="reviewer:17",
    )
    emitter = emitter_of(site)
    assert emitter.emit_event(forged)  # to the events topic, as any emitter may
    assert not emitter.close(30)

    wait_until(
        lambda: until_joined(site, run_id)["revision"] != first["revision"], timeout_s=60, what="the next revision"
    )
    [run] = site.ask(
        "SELECT verdict, review_outcome, length(reviews) AS n, labels FROM runs WHERE run_id = {run:String}", run=run_id
    )
    assert (run["verdict"], run["review_outcome"], run["n"]) == ("complete", None, 0)
    assert run["labels"] == {"foreign.decisions": "1"}
    claims = site.ask(
        "SELECT event_type FROM events WHERE run_id = {run:String} AND emitter_id = 'somebody'", run=run_id
    )
    assert [row["event_type"] for row in claims] == ["review_claimed"]


def test_a_review_of_a_run_that_nobody_knows_becomes_a_partial_run_that_says_so(site: Site) -> None:
    run_id = "0af7651916cd43dd8448eb211c80319c"
    with Tracer("late", emitter=emitter_of(site), enabled=True) as tracer:
        assert tracer.record_review(run_id, "invoice", "approved", reviewer_ref="reviewer:17")
        assert not tracer.flush(30)
    wait_until(lambda: site.ask("SELECT 1 FROM runs WHERE run_id = {run:String}", run=run_id), timeout_s=60, what="it")
    [run] = site.ask("SELECT verdict, missing, events FROM runs WHERE run_id = {run:String}", run=run_id)
    assert dict(run) == {"verdict": "unfinished", "missing": ["start", "end"], "events": 1}


def test_a_rejudged_run_replaces_its_record_at_the_same_revision_also_when_all_is_loaded_again(
    site: Site, tmp_path: Path
) -> None:
    run_id = publish_run(site, system_clock() - THREE_HOURS_US, name="judged")
    judged_sql = "SELECT revision, gap_kinds, policy_hash, amended FROM runs WHERE run_id = {run:String}"
    until_joined(site, run_id)
    [before] = site.ask(judged_sql, run=run_id)
    assert before["gap_kinds"] == ["weak_provenance"]
    policy = tmp_path / "lenient.toml"
    policy.write_text("version = 1\n[defaults]\nthreshold = 0.35\n", "utf-8")
    words = ("rejudge", "--since", "4h", "--workflow", "invoice", "--policy", str(policy), "--json")

    dry = json.loads(causeline(site, *words).stdout)
    assert dry["changed"] >= 1
    assert dry["applied"] == 0
    assert dry["gaps"]["weak_provenance"] == {"before": dry["changed"], "after": 0}
    assert site.ask(judged_sql, run=run_id) == [before]

    applied = json.loads(causeline(site, *words, "--apply").stdout)
    assert applied["applied"] == dry["changed"]
    wait_until(
        lambda: site.ask(judged_sql, run=run_id)[0]["policy_hash"] == dry["policy_hash"],
        timeout_s=30,
        what="the record",
    )
    [after] = site.ask(judged_sql, run=run_id)
    assert (after["revision"], after["gap_kinds"], after["amended"]) == (before["revision"], [], True)
    assert json.loads(causeline(site, *words).stdout)["changed"] == 0

    with clickhouse_client(site.clickhouse) as client:  # so that nothing is dropped as known
        client.command("ALTER TABLE narrow_run_rows MODIFY SETTING non_replicated_deduplication_window = 0")
    with site.running("load", group="replay-3"):
        site.caught_up("replay-3.load", RUNS)
    assert site.ask(judged_sql, run=run_id) == [after]


def test_a_run_is_amended_on_demand_and_twice_does_nothing(site: Site) -> None:
    run_id = publish_run(site, system_clock() - THREE_HOURS_US, name="again")
    revision = until_joined(site, run_id)["revision"]
    unknown = "f" * 31 + "e"
    answers = causeline(site, "amend", run_id, unknown, "--json")
    assert answers.exit_code == 1
    assert [json.loads(line) for line in answers.stdout.splitlines()] == [
        {"run_id": run_id, "answer": "nothing_new", "before": revision, "after": revision},
        {"run_id": unknown, "answer": "unknown", "before": 0, "after": 0},
    ]
    now = datetime.now(tz=UTC)
    row = {
        "event_id": f"{77:032x}",
        "run_id": run_id,
        "project": "late",
        "workflow": "invoice",
        "emitter_id": "eval",
        "event_type": "eval_recorded",
        "eval_case_id": "case-1",
        "run_started_at": f"{now:%Y-%m-%d %H:%M:%S}",
        "occurred_at": f"{now:%Y-%m-%d %H:%M:%S}",
    }
    with clickhouse_client(site.clickhouse) as client:  # an event whose way through causeline.late was lost
        client.raw_insert("event_rows", fmt="JSONEachRow", insert_block=json.dumps(row).encode())
    amended = causeline(site, "amend", run_id)
    assert amended.stdout == f"{run_id}: amended, revision {revision} to {int(str(revision)) + 1}\n"
    wait_until(
        lambda: site.ask("SELECT 1 FROM runs WHERE run_id = {run:String} AND eval_case_id = 'case-1'", run=run_id),
        timeout_s=30,
        what="the revision on demand",
    )
    assert causeline(site, "amend", run_id).stdout == f"{run_id}: nothing new\n"
