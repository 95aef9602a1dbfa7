"""Commands from their words to what they print, over a real engine."""

import csv
import io
import json

import pytest
from typer.testing import CliRunner, Result

from causeline.cli.app import app
from causeline.schemas.llm_run_trace import LlmRunTrace
from tests.integration.clickhouse_fixture import ClickHouseProcess
from tests.unit.console.samples import clean_run, failed_run

CLEAN, FAILED = clean_run(1), failed_run(2)
Environment = dict[str, str | None]


def run(environment: Environment, *words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(words), env=environment, input=stdin)


def test_runs_prints_a_table_that_programs_can_read(environment: Environment) -> None:
    result = run(environment, "runs", "--workflow", "policy", "--has-gap")
    assert result.exit_code == 0, result.stderr
    [row] = csv.DictReader(io.StringIO(result.stdout), delimiter="\t")
    assert row["run"] == FAILED.run_id
    assert (row["record"], row["gaps"], row["review"]) == ("partial", "weak_provenance", "overridden")


def test_runs_as_json_is_one_run_a_line(environment: Environment) -> None:
    result = run(environment, "runs", "--limit", "5", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 5
    assert {"run_id", "workflow", "verdict", "started_at", "gap_kinds", "cost_usd"} <= lines[0].keys()
    assert run(environment, "runs", "--limit", "5").stderr == "5 of 32 runs; --limit shows more.\n"


def test_no_run_is_said_and_is_no_failure(environment: Environment) -> None:
    result = run(environment, "runs", "--workflow", "none")
    assert (result.exit_code, result.stderr) == (0, "No run matches.\n")


def test_show_explains_the_failed_run(environment: Environment) -> None:
    result = run(environment, "show", FAILED.run_id)
    assert result.exit_code == 0, result.stderr
    for said in (
        FAILED.run_id,
        "2 events lost; missing: output:letter",
        "validate:validate_4 ended in error SchemaError: missing $.premium.",
        "gap weak_provenance → policy says review but the workflow chose partial_output",
        "retry because schema_error",
        "reviewer:17 overrode $.premium",
        "never recorded: seed and system_fingerprint",
    ):
        assert said in result.stdout


def test_show_as_json_has_every_column_and_the_findings(environment: Environment) -> None:
    document = json.loads(run(environment, "show", FAILED.run_id, "--json", "--events").stdout)
    assert document["run_id"] == FAILED.run_id
    assert document["steps"][0]["parser_version"] == "2.1"
    assert [finding["boundary"] for finding in document["findings"]].count("validate") == 1
    assert document["events_listed"] == []
    assert document["live_gaps"] == []


def test_show_takes_many_ids_from_a_pipe(environment: Environment) -> None:
    result = run(environment, "show", "--stdin", "--json", stdin=f"{CLEAN.run_id}\n\n{FAILED.run_id} rest\n")
    assert [json.loads(line)["run_id"] for line in result.stdout.splitlines()] == [CLEAN.run_id, FAILED.run_id]


def test_a_run_that_is_not_there_ends_with_1_and_the_others_are_shown(environment: Environment) -> None:
    assert run(environment, "show", "f" * 32).exit_code == 1
    result = run(environment, "show", "f" * 32, CLEAN.run_id, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["run_id"] == CLEAN.run_id
    assert "1 of 2 runs could not be shown" in result.stderr


def test_a_malformed_id_ends_with_2(environment: Environment) -> None:
    result = run(environment, "show", "zebra")
    assert (result.exit_code, result.stderr.splitlines()[0]) == (2, "error: 'zebra' is no part of a run id.")


def test_the_minimum_trace_record_has_exactly_its_fields_or_names_what_is_missing(environment: Environment) -> None:
    result = run(environment, "show", CLEAN.run_id, "--as", "llm-run-trace")
    assert result.exit_code == 0
    assert json.loads(result.stdout).keys() == LlmRunTrace.model_fields.keys()

    environment["CAUSELINE_CLICKHOUSE_URL"] = environment["CAUSELINE_CLICKHOUSE_URL"]
    ids = "\n".join(f"{clean_run(number).run_id}" for number in range(100, 130))
    bulk = run(environment, "show", "--stdin", "--as", "llm-run-trace", stdin=ids)
    assert len([LlmRunTrace.model_validate_json(line) for line in bulk.stdout.splitlines()]) == 30


def test_sql_answers_in_every_format(environment: Environment) -> None:
    statement = "SELECT workflow, count() AS runs FROM runs GROUP BY workflow ORDER BY workflow"
    assert run(environment, "sql", statement).stdout == "workflow\truns\ncontract\t30\ninvoice\t1\npolicy\t1\n"
    assert run(environment, "sql", statement, "-f", "csv").stdout.splitlines()[1] == "contract,30"
    assert run(environment, "sql", statement, "-f", "tsv").stdout.splitlines()[1] == "contract\t30"
    lines = run(environment, "sql", "--json", stdin=statement + ";\n").stdout.splitlines()
    assert json.loads(lines[2]) == {"workflow": "policy", "runs": 1}


def test_sql_without_a_row_to_show_says_what_it_would_have_and_is_no_error(environment: Environment) -> None:
    answer = run(environment, "sql", "SELECT run_id FROM runs WHERE workflow = 'nosuch'")
    assert (answer.exit_code, answer.stdout) == (0, "run_id\n")


def test_sql_takes_parameters_as_values(environment: Environment) -> None:
    statement = "SELECT count() AS n FROM runs WHERE workflow = {w:String}"
    assert run(environment, "sql", statement, "-p", "w=policy", "--json").stdout == '{"n": 1}\n'
    assert run(environment, "sql", statement, "-p", "w=' OR 1=1 --", "--json").stdout == '{"n": 0}\n'
    missing = run(environment, "sql", "SELECT 1", "-p", "w=x")
    assert (missing.exit_code, missing.stderr.splitlines()[0]) == (2, "error: The SQL has no parameter {w:Type}.")


def test_sql_shows_a_bounded_number_of_rows(environment: Environment) -> None:
    result = run(environment, "sql", "SELECT number FROM numbers(1000000)", "--limit", "10", "--json")
    assert len(result.stdout.splitlines()) == 10
    assert result.stderr == "Only the first 10 rows are shown; --limit shows more.\n"


def test_sql_spreadsheets_run_no_formula(environment: Environment) -> None:
    result = run(environment, "sql", "SELECT '=cmd()' AS a, '+1' AS b, -1 AS c, 'x' AS d", "--format", "csv")
    assert result.stdout == "a,b,c,d\n'=cmd(),'+1,-1,x\n"


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE run_rows",
        "INSERT INTO run_rows SELECT * FROM run_rows",
        "SELECT 1; DROP TABLE run_rows",
        "/* SELECT */ TRUNCATE TABLE run_rows",
        "WITH 1 AS x INSERT INTO run_rows SELECT * FROM run_rows",
        "SET max_memory_usage = 0",
    ],
)
def test_sql_changes_nothing(environment: Environment, statement: str) -> None:
    result = run(environment, "sql", statement)
    assert result.exit_code == 2, result.output
    assert run(environment, "sql", "SELECT count() AS n FROM runs", "--json").stdout == '{"n": 32}\n'


def test_sql_errors_are_one_sentence(environment: Environment) -> None:
    result = run(environment, "sql", "SELECT bogus FROM runs")
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert "UNKNOWN_IDENTIFIER" in line
    assert "Stack trace" not in line
    assert "DB::Exception" not in line


def test_sql_that_takes_too_long_is_stopped(environment: Environment) -> None:
    result = run(environment, "sql", "SELECT count() FROM numbers(100000000000) WHERE rand() = 1", "--timeout", "1")
    assert result.exit_code == 1
    assert "TIMEOUT_EXCEEDED" in result.stderr


def test_sql_as_the_reader_is_fenced_by_the_engine(environment: Environment, clickhouse: ClickHouseProcess) -> None:
    environment["CAUSELINE_CLICKHOUSE_URL"] = clickhouse.reader.connection_url
    environment["CAUSELINE_CLICKHOUSE_PASSWORD"] = clickhouse.reader.password
    assert run(environment, "sql", "SELECT count() AS n FROM runs", "--json").stdout == '{"n": 32}\n'
    assert run(environment, "sql", "DESCRIBE runs").exit_code == 0
    assert run(environment, "sql", "SELECT file('/etc/hostname')").exit_code == 2


def test_a_wrong_password_and_a_closed_port_end_with_3(environment: Environment) -> None:
    wrong = run({**environment, "CAUSELINE_CLICKHOUSE_PASSWORD": "wrong"}, "runs")
    assert wrong.exit_code == 3
    assert "does not let 'causeline' in" in wrong.stderr
    closed = run({**environment, "CAUSELINE_CLICKHOUSE_URL": "http://causeline@127.0.0.1:1/causeline"}, "runs")
    assert closed.exit_code == 3
    assert len(closed.stderr.splitlines()) == 2


def test_sql_asks_the_engine_to_hold_it_to_reading_and_to_its_bounds(environment: Environment) -> None:
    statement = (
        "SELECT getSetting('readonly') AS r, getSetting('max_memory_usage') AS m, getSetting('max_execution_time') AS t"
    )
    answer = json.loads(run(environment, "sql", statement, "--timeout", "7", "--json").stdout)
    assert (answer["r"], answer["m"], int(answer["t"])) == (2, 1 << 30, 7)
