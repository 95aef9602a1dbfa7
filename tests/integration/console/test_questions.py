"""Every question on the real engine, over runs of the demo: its figures are those of a plain count."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.why import joined_runs
from causeline.cli.app import app
from causeline.console.compare.version_lookup import versions_of
from causeline.console.neighbours import cohort_of
from causeline.console.questions import questions
from causeline.console.store import ClickHouseStore, open_store
from causeline.console.views.why_view import first_line
from causeline.demo.publish import demo_policy
from causeline.diagnosis import Certainty, diagnose
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.clock import system_clock
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.run import Run
from causeline.schemas.tables import REVIEW_ITEMS
from causeline.sinks.migrate import migrate
from tests.integration.console.conftest import insert_runs

RUNS = [run for run, _ in joined_runs(31, 250, faulty_share=0.5, pairs=False, policy=demo_policy())]
WRONG = next(
    run for run in RUNS if (cause := diagnose(run).first_cause) is not None and cause.certainty is Certainty.CERTAIN
)
ITEMS = [(run, number) for number, run in enumerate(run for run in RUNS if run.gap_kinds)]
SINCE = {"since": "2000-01-01"}
Row = Mapping[str, Any]


@pytest.fixture(scope="module")
def own_database(connection: ClickHouseConnection) -> ClickHouseConnection:
    own = connection.model_copy(update={"url": connection.url.removesuffix("/causeline") + "/questions"})
    migrate(own)
    insert_runs(own, *RUNS)
    insert_runs(own, *RUNS[:20])
    now = datetime.now(UTC)
    items = [
        {
            "item_id": f"{number:032x}", "run_id": run.run_id, "project": run.project, "workflow": run.workflow,
            "run_started_at": _text(now), "reason": "look", "question": "Is it right?", "priority": 3,
            "due_at": _text(now + timedelta(hours=1 if number % 3 else -1)),
            "created_at": _text(now - timedelta(hours=6)),
        }
        for run, number in ITEMS
    ]  # fmt: skip
    with clickhouse_client(own) as client:
        block = "\n".join(map(json.dumps, items)).encode()
        client.raw_insert(REVIEW_ITEMS.rows, fmt="JSONEachRow", insert_block=block)
    return own


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"


@pytest.fixture(scope="module")
def store(own_database: ClickHouseConnection) -> Iterator[ClickHouseStore]:
    with open_store(own_database) as opened:
        yield opened


def ask(store: ClickHouseStore, name: str, **given: str) -> Sequence[Row]:
    asked = questions()[name]
    fitting = {name: value for name, value in (SINCE | given).items() if name in {p.name for p in asked.parameters}}
    return store.ask(asked.sql, asked.values(fitting, now_us=system_clock()))


def grouped(runs: Iterable[Run], *names: str) -> dict[tuple[Any, ...], list[Run]]:
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(getattr(run, name) for name in names), []).append(run)
    return groups


def count(runs: Iterable[Run], says: Callable[[Run], object]) -> int:
    return sum(bool(says(run)) for run in runs)


def by(rows: Iterable[Row], *names: str) -> dict[tuple[Any, ...], Row]:
    return {tuple(row[name] for name in names): row for row in rows}


MENDED = {"retry", "simpler_model", "stronger_model", "other_model"}
COUNTED: Mapping[str, tuple[tuple[str, ...], Mapping[str, Callable[[Run], object]]]] = {
    "source": (
        ("workflow", "parser_version"),
        {
            "runs": lambda run: True,
            "parse_failed": lambda run: (run.error_step or "").startswith("parse:"),
            "without_context": lambda run: not run.context_refs,
            "missing_citation": lambda run: "missing_citation" in run.gap_kinds,
            "parser_not_recorded": lambda run: "parse.parser_version" in run.missing_anchors,
        },
    ),
    "route": (
        ("workflow", "route", "route_policy_version"),
        {
            "runs": lambda run: True,
            "under_floor": lambda run: run.route_confidence is not None and run.route_confidence < 0.6,
            "without_reason": lambda run: run.route is not None and run.route_reason is None,
            "overridden": lambda run: run.review_outcome == "overridden",
            "not_answered": lambda run: run.final_state != "answered",
        },
    ),
    "shape": (
        ("workflow", "model_name", "prompt_version", "schema_version"),
        {
            "runs": lambda run: True,
            "invalid": lambda run: run.validation_errors,
            "mended": lambda run: not run.validation_errors and run.fallback_taken in MENDED,
            "refused": lambda run: run.refusal,
        },
    ),
    "review": (
        ("workflow",),
        {
            "runs": lambda run: True,
            "reviewed": lambda run: run.review_outcome,
            "overridden": lambda run: run.review_outcome == "overridden",
            "corrected_without_case": lambda run: (
                run.review_outcome in {"overridden", "rejected"} and run.eval_case_id is None
            ),
        },
    ),
    "gap-rates": (
        ("workflow", "model_name", "prompt_version", "parser_version", "route"),
        {
            "runs": lambda run: True,
            "missing_citation": lambda run: "missing_citation" in run.gap_kinds,
            "weak_provenance": lambda run: "weak_provenance" in run.gap_kinds,
            "unsupported_field": lambda run: "unsupported_field" in run.gap_kinds,
            "source_conflict": lambda run: "source_conflict" in run.gap_kinds,
        },
    ),
}


@pytest.mark.parametrize("name", COUNTED)
def test_its_counts_are_those_of_a_plain_count(store: ClickHouseStore, name: str) -> None:
    keys, counts = COUNTED[name]
    rows = by(ask(store, name, min_runs="1"), *keys)
    groups = grouped(RUNS, *keys)
    assert rows.keys() == groups.keys()
    for key, runs in groups.items():
        assert {column: rows[key][column] for column in counts} == {
            column: count(runs, says) for column, says in counts.items()
        }
    assert len(groups) > 1


def test_support_counts_gaps_by_field_and_runs_that_answered_all_the_same(store: ClickHouseStore) -> None:
    told = [(run, gap) for run in RUNS for gap in run.gaps]
    gaps = Counter((run.workflow, gap.field_path, gap.kind, gap.next_step) for run, gap in told)
    answered = Counter(
        key
        for run in RUNS
        if run.final_state == "answered"
        for key in {(run.workflow, gap.field_path, gap.kind, gap.next_step) for gap in run.gaps}
    )
    rows = by(ask(store, "support"), "workflow", "field", "kind", "next_step")
    assert {key: row["times"] for key, row in rows.items()} == gaps
    assert {key: row["answered_all_the_same"] for key, row in rows.items()} == {key: answered[key] for key in gaps}


def test_drift_has_every_run_in_one_window(store: ClickHouseStore) -> None:
    rows = ask(store, "drift", hours="1")
    assert sum(row["runs"] for row in rows) == len(RUNS)
    for workflow, runs in grouped(RUNS, "workflow").items():
        mine = [row for row in rows if row["workflow"] == workflow[0]]
        gaps = sum(row["gap_share"] * row["runs"] for row in mine)
        assert gaps == pytest.approx(count(runs, lambda run: run.gap_kinds), abs=0.01 * len(runs))


def test_versions_compares_any_anchor(store: ClickHouseStore) -> None:
    for anchor in ("prompt_version", "model_name", "parser_version"):
        rows = by(ask(store, "versions", workflow="invoice", anchor=anchor), "version")
        groups = grouped((run for run in RUNS if run.workflow == "invoice"), anchor)
        assert {key: row["runs"] for key, row in rows.items()} == {key: len(runs) for key, runs in groups.items()}
        for key, runs in groups.items():
            share = count(runs, lambda run: run.final_state == "answered") / len(runs)
            assert rows[key]["answered_share"] == pytest.approx(share, abs=1e-4)


def test_the_cost_of_failures_is_the_sum_of_theirs(store: ClickHouseStore) -> None:
    failed = [run for run in RUNS if run.final_state != "answered" or run.status == "error"]
    rows = by(ask(store, "cost-of-failures"), "workflow", "final_state", "error_step")
    groups = grouped(failed, "workflow", "final_state", "error_step")
    assert rows.keys() == groups.keys()
    for key, runs in groups.items():
        assert rows[key]["runs"] == len(runs)
        assert rows[key]["cost_usd"] == pytest.approx(sum(run.cost_usd or 0 for run in runs), abs=1e-5)


def test_missing_anchors_are_counted_per_workflow(store: ClickHouseStore) -> None:
    lacking = Counter((run.workflow, anchor) for run in RUNS for anchor in run.missing_anchors)
    sizes = Counter(run.workflow for run in RUNS)
    rows = by(ask(store, "missing-anchors"), "workflow", "anchor")
    assert {key: row["runs"] for key, row in rows.items()} == lacking
    assert all(row["share"] == pytest.approx(row["runs"] / sizes[key[0]], abs=1e-4) for key, row in rows.items())


def test_queue_ages_are_of_open_items(store: ClickHouseStore) -> None:
    rows = by(ask(store, "queue-ages"), "workflow", "reason")
    assert {key[0]: row["open"] for key, row in rows.items()} == Counter(run.workflow for run, _ in ITEMS)
    assert sum(row["overdue"] for row in rows.values()) == sum(number % 3 == 0 for _, number in ITEMS)
    assert {round(row["p50_age_hours"]) for row in rows.values()} == {6}


def test_every_question_is_asked_here() -> None:
    asked = {*COUNTED, "support", "drift", "versions", "cost-of-failures", "missing-anchors", "queue-ages"}
    asked |= {"eval-chain", "causes"}  # in tests/integration/eval/test_walk.py and tests/integration/causes
    assert asked == set(questions())


def test_one_is_asked_from_the_command_line(
    own_database: ClickHouseConnection, environment: dict[str, str | None]
) -> None:
    env = environment | {"CAUSELINE_CLICKHOUSE_URL": own_database.url}
    said = CliRunner().invoke(app, ["sql", "@review", "-p", "since=2000-01-01", "--json"], env=env)
    assert said.exit_code == 0, said.output
    assert {json.loads(line)["workflow"] for line in said.stdout.splitlines()} == {"contract", "invoice", "policy"}
    shown = CliRunner().invoke(app, ["sql", "@review", "--show"], env=env)
    assert shown.stdout.strip() == questions()["review"].sql


def test_versions_and_releases_are_compared_by_counts_that_are_right(
    store: ClickHouseStore, own_database: ClickHouseConnection, environment: dict[str, str | None]
) -> None:
    released = [
        replace(run, run_id=f"{n:032x}", labels={"release": "r2" if n % 2 else "r1"}) for n, run in enumerate(RUNS, 1)
    ]
    insert_runs(own_database, *(replace(run, workflow="released") for run in released))
    of_a_gate = {"release": "r1", "eval.case": "a-case"}
    insert_runs(own_database, replace(RUNS[0], run_id="f" * 32, labels=of_a_gate, workflow="released"))
    found = versions_of(store, "released", "release", "r1", "r2", since_us=0)
    one, other = ([run for run in released if run.labels["release"] == name] for name in ("r1", "r2"))
    assert (found.left_runs, found.right_runs) == (len(one), len(other))
    shares = {each.name: (each.left, each.right) for each in found.shares}
    assert shares["answered"] == tuple(count(side, lambda run: run.final_state == "answered") for side in (one, other))
    assert shares["with a fallback"] == tuple(count(side, lambda run: run.fallbacks) for side in (one, other))
    commonest = Counter(run.route for run in released if run.route).most_common(1)[0][0]
    assert shares[f"route {commonest}"] == tuple(
        count(side, lambda run: run.route == commonest) for side in (one, other)
    )
    cost = next(each for each in found.measures if each.name == "cost_usd")
    costs = [run.cost_usd for run in one if run.cost_usd is not None]
    assert cost.left == pytest.approx(sum(costs) / len(costs))

    env = environment | {"CAUSELINE_CLICKHOUSE_URL": own_database.url}
    words = ["compare", "--release", "--workflow", "released", "--since", "2000-01-01", "r1", "r2"]
    said = CliRunner().invoke(app, words, env=env)
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines()[0] == found.verdict
    absent = CliRunner().invoke(app, [*words[:-1], "r3"], env=env)
    assert (absent.exit_code, absent.stdout.strip()) == (
        1,
        "No run of released has release r3: there is nothing to compare.",
    )


def test_two_runs_are_compared_and_habits_are_found_from_the_command_line(
    own_database: ClickHouseConnection, environment: dict[str, str | None]
) -> None:
    env = environment | {"CAUSELINE_CLICKHOUSE_URL": own_database.url}
    one, other = RUNS[0], next(run for run in RUNS if run.final_state != RUNS[0].final_state)
    said = CliRunner().invoke(app, ["compare", one.run_id, other.run_id, "--json"], env=env)
    differences = json.loads(said.stdout)["differences"]
    assert {
        "part": "outcome",
        "what": "final_state",
        "left": one.final_state,
        "right": other.final_state,
    } in differences
    table = CliRunner().invoke(app, ["compare", one.run_id, other.run_id], env=env).stdout.splitlines()
    assert f"outcome\tfinal_state\t{one.final_state}\t{other.final_state}" in table
    assert max(map(len, table)) < 250
    same = CliRunner().invoke(app, ["compare", one.run_id, one.run_id], env=env)
    assert same.stdout.strip() == f"{one.run_id} and {one.run_id} say the same."
    linted = CliRunner().invoke(app, ["lint-traces", "--since", "2000-01-01", "--json"], env=env)
    found = json.loads(linted.stdout)
    assert linted.exit_code == (1 if found["habits"] else 0)
    assert found["runs"]["invoice"] == sum(run.workflow == "invoice" for run in RUNS)
    told = CliRunner().invoke(app, ["lint-traces", "--since", "2000-01-01"], env=env).stdout
    names = {habit["habit"] for habit in found["habits"]}
    assert {name: told.count(f"What ends {name}:") for name in names} == dict.fromkeys(names, 1)


def test_why_says_the_same_on_a_terminal_in_a_ticket_and_as_json(
    own_database: ClickHouseConnection, environment: dict[str, str | None], tmp_path: Path
) -> None:
    env = environment | {"CAUSELINE_CLICKHOUSE_URL": own_database.url}
    policy = tmp_path / "policy.toml"
    policy.write_bytes((resources.files("causeline.demo") / "policy.toml").read_bytes())
    with open_store(own_database) as store:
        said = diagnose(WRONG, demo_policy(), None, cohort_of(store, WRONG, demo_policy()))
    assert said.first_cause is not None
    words = ["why", WRONG.run_id, "--policy", f"{policy}"]
    told, ticket, data = (
        CliRunner().invoke(app, [*words, *more], env=env) for more in ([], ["--markdown"], ["--json"])
    )
    assert told.stdout.splitlines()[0] == first_line(said)
    assert ticket.stdout.splitlines()[0] == f"**{first_line(said)}**"
    document = json.loads(data.stdout)
    assert document["summary"] == first_line(said)
    assert [cause["finding"]["rule"] for cause in document["causes"]] == [cause.finding.rule for cause in said.causes]
    assert document.keys() == {
        "summary", "run_id", "workflow", "outcome", "symptoms", "causes", "left_to_do", "unknown", "nearest", "alerts",
    }  # fmt: skip
