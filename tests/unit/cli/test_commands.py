"""The command line before anything is reached: what is wrong with it, and where it would go."""

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from causeline.cli import connections, shield
from causeline.cli.app import app
from causeline.cli.options import ClickHouseUrl
from causeline.schemas.errors import CauselineError, EnvironmentFault, NotFound, Unreachable, UsageError

NOWHERE: dict[str, str | None] = {
    "CAUSELINE_STATE_DIR": "/nonexistent/causeline",
    "CAUSELINE_CLICKHOUSE_URL": None,
    "CAUSELINE_CLICKHOUSE_PASSWORD": None,
    "CAUSELINE_CLICKHOUSE_PASSWORD_FILE": None,
    "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": None,
    "CAUSELINE_TOPIC_PREFIX": None,
    "CAUSELINE_ARTIFACTS": None,
    "CAUSELINE_DEBUG": None,
    "CAUSELINE_READER_OF": None,
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers here; how long a command waits for that is not what is tested."""
    for place in ("ops.lag.LOOK_UP_TIMEOUT_S", "ops.topics.LOOK_UP_TIMEOUT_S", "kafka.preflight._TIMEOUT_S"):
        monkeypatch.setattr(f"causeline.{place}", 0.2)


def run(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(app, list(words), env={**NOWHERE, **environment})


def test_a_pipe_that_names_no_run_leaves_nothing_to_amend() -> None:
    """`causeline runs --verdict partial --json | jq -r .run_id | causeline amend --stdin`, where every run is whole."""
    result = CliRunner().invoke(app, ["amend", "--stdin"], env=NOWHERE, input="\n")
    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        "",
        "No run is named on stdin: nothing is to be amended.\n",
    )
    assert run("amend").exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["bogus"],
        ["runs", "--bogus"],
        ["runs", "--verdict", "perfect"],
        ["runs", "--limit", "0"],
        ["runs", "--since", "yesterday"],
        ["runs", "--label", "novalue"],
        ["runs", "--id", "xyz"],
        ["show"],
        ["show", "RUN", "--as", "poem"],
        ["sql", "DROP TABLE runs"],
        ["sql", "SELECT 1; SELECT 2"],
        ["sql", "SELECT 1", "--param", "x"],
        ["sql", "SELECT 1", "--limit", "-5"],
        ["topics", "apply", "--partitions", "0"],
        ["demo", "--runs", "0"],
        ["up", "--kafka-port", "99999"],
        ["serve", "--port", "99999"],
        ["serve", "--host", "0.0.0.0"],  # noqa: S104 - refused, which is the point
        ["runs", "--clickhouse-url", "ftp://x"],
        ["runs", "--clickhouse-url", "http://u:secret@h:1/d"],
    ],
)
def test_a_wrong_command_line_ends_with_2_and_says_why(words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert "rror" in result.stderr
    assert "Traceback" not in result.stderr
    assert "secret" not in result.output


@pytest.mark.parametrize("words", [["runs"], ["show", "abc"], ["sql", "SELECT 1"], ["migrate"], ["load"], ["status"]])
def test_without_a_stack_the_way_out_is_named(words: list[str]) -> None:
    result = run(*words, CAUSELINE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert result.exit_code == (1 if words == ["status"] else 3), result.output
    if words != ["status"]:
        assert result.stderr == (
            "error: No stack is running here and CAUSELINE_CLICKHOUSE_URL is not set.\nhint: causeline up\n"
        )


def test_without_a_broker_the_way_out_is_named() -> None:
    for words in (["worker"], ["topics", "list"]):
        result = run(*words)
        assert result.exit_code == 3
        assert "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS is not set" in result.stderr


def test_a_bad_setting_of_a_service_is_named() -> None:
    kafka = {"CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    worker = run("worker", CAUSELINE_WORKER_GRACE_S="long", **kafka)
    assert (worker.exit_code, "CAUSELINE_WORKER_GRACE_S" in worker.stderr) == (2, True)
    unknown = run("worker", CAUSELINE_WORKER_BOGUS="1", **kafka)
    assert (unknown.exit_code, "CAUSELINE_WORKER_BOGUS is not a setting" in unknown.stderr) == (2, True)


def test_a_broker_that_is_not_there_ends_with_3() -> None:
    result = run("topics", "apply", "--kafka", "127.0.0.1:1")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: Kafka does not answer")


def test_an_export_without_a_broker_says_so_and_ends() -> None:
    result = run("export", "--once", "--kafka", "127.0.0.1:1")
    assert result.exit_code == 3
    assert "Kafka does not answer at 127.0.0.1:1" in result.stderr


def test_down_without_a_stack_is_no_failure(tmp_path: Path) -> None:
    result = run("down", "--json", "--state-dir", str(tmp_path))
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"state_dir": str(tmp_path), "stopped": False})


def test_version_is_said() -> None:
    assert json.loads(run("version", "--json").stdout).keys() == {"causeline", "python"}
    assert run("version").stdout.startswith("causeline 0.")


def test_every_group_has_help_that_teaches() -> None:
    for name in ("demo", "up", "down", "status", "runs", "show", "sql", "migrate", "worker", "load", "serve"):
        result = run(name, "--help")
        assert result.exit_code == 0
        assert "Examples:\n    causeline" in result.stdout or "Examples:\n" in result.stdout, name


# --- what an error looks like


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (NotFound("No run.", hint="Look."), 1, "error: No run.\nhint: Look.\n"),
        (UsageError("Wrong."), 2, "error: Wrong.\n"),
        (Unreachable("Away."), 3, "error: Away.\n"),
        (EnvironmentFault("No Java."), 4, "error: No Java.\n"),
        (CauselineError("Odd."), 5, "error: Odd.\n"),
        (CauselineError("\x1b[2J"), 5, "error: \\x1b[2J\n"),
        (
            ModuleNotFoundError("x", name="chdb.sub"),
            4,
            "error: This command needs the 'stack' extra.\nhint: pip install",
        ),
        (OSError(errno.ENOSPC, "full", "/data"), 4, "error: No space is left on the device: /data.\n"),
        (PermissionError(errno.EACCES, "no", "/data"), 4, "error: There is no permission: /data.\n"),
        (ValueError("boom"), 5, "error: ValueError: boom.\nhint: This is a fault of causeline"),
        (ModuleNotFoundError("x", name="unheard_of"), 5, "error: ModuleNotFoundError: x."),
    ],
)
def test_every_error_is_a_sentence_and_a_documented_code(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shield.explain(error) == code
    assert capsys.readouterr().err.startswith(said)


def failing(error: BaseException) -> typer.Typer:
    small = typer.Typer(cls=shield.Shielded, rich_markup_mode=None)

    @small.callback()
    def _root() -> None:
        """A command line that fails."""

    @small.command("fail")
    def _fail() -> None:
        raise error

    return small


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("No."), 1),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (typer.Exit(7), 7),
        (RuntimeError(), 5),
    ],
)
def test_a_command_ends_with_its_error_s_code(error: BaseException, code: int) -> None:
    result = CliRunner().invoke(failing(error), ["fail"], env=NOWHERE)
    assert result.exit_code == code
    assert "Traceback" not in result.output


# --- where a command goes


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in NOWHERE:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def stack_in(folder: Path) -> Path:
    (folder / "owner").write_text("owner-password")
    (folder / "reader").write_text("reader-password")
    endpoints = {
        "state_dir": str(folder),
        "kafka_bootstrap_servers": "127.0.0.1:1111",
        "clickhouse_url": "http://causeline@127.0.0.1:2222/causeline",
        "clickhouse_user": "causeline",
        "clickhouse_password_file": str(folder / "owner"),
        "clickhouse_reader_password_file": str(folder / "reader"),
        "console_url": "http://127.0.0.1:3333",
        "otlp_url": "http://127.0.0.1:4444",
        "otlp_grpc_url": "http://127.0.0.1:5555",
        "artifacts": str(folder / "artifacts"),
        "topic_prefix": "causeline",
    }
    (folder / "endpoints.json").write_text(json.dumps(endpoints))
    return folder


def test_the_running_stack_is_found_by_its_state_folder(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare.setenv("CAUSELINE_STATE_DIR", str(stack_in(tmp_path)))
    found = connections.clickhouse()
    assert (found.port, found.password.get_secret_value()) == (2222, "owner-password")
    assert connections.kafka().bootstrap_servers == "127.0.0.1:1111"
    assert connections.artifacts() == str(tmp_path / "artifacts")


def test_readers_of_the_running_stack_are_its_reader(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare.setenv("CAUSELINE_STATE_DIR", str(stack_in(tmp_path)))
    found = connections.reader()
    assert (found.user, found.password.get_secret_value()) == ("reader", "reader-password")


def given_by_env(folder: Path) -> dict[str, str]:
    answer = CliRunner().invoke(app, ["env", "--json", "--state-dir", str(folder)])
    given: dict[str, str] = json.loads(answer.stdout)
    return given


def test_env_gives_others_the_reader_and_our_own_commands_find_the_owner(
    bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = given_by_env(stack_in(tmp_path))
    assert given["CAUSELINE_CLICKHOUSE_URL"] == "http://reader@127.0.0.1:2222/causeline"
    for name, value in given.items():
        bare.setenv(name, value)

    found = connections.clickhouse()

    assert (found.user, found.password.get_secret_value()) == ("causeline", "owner-password")
    assert connections.reader().user == "reader"


def test_a_reader_whom_the_user_chose_is_not_overridden(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the variables themselves, where `causeline env` did not give them."""
    given = given_by_env(stack_in(tmp_path))
    del given["CAUSELINE_READER_OF"]
    for name, value in given.items():
        bare.setenv(name, value)

    found = connections.clickhouse()

    assert (found.user, found.password.get_secret_value()) == ("reader", "reader-password")


def test_a_reader_on_the_command_line_is_not_overridden_either(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in given_by_env(stack_in(tmp_path)).items():
        bare.setenv(name, value)
    chosen = typer.Typer()
    users: list[str] = []

    @chosen.command()
    def who(clickhouse_url: ClickHouseUrl = None) -> None:
        users.extend(connections.clickhouse(None, clickhouse_url).user for _ in range(2))

    assert CliRunner().invoke(chosen, ["--clickhouse-url", "http://reader@127.0.0.1:2222/causeline"]).exit_code == 0
    assert users == ["reader", "reader"]


def test_what_is_said_wins_over_the_stack_and_its_password_stays_at_home(
    bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bare.setenv("CAUSELINE_STATE_DIR", str(stack_in(tmp_path)))
    found = connections.reader(clickhouse_url="http://me@elsewhere:9/d")
    assert (found.host, found.user, found.password.get_secret_value()) == ("elsewhere", "me", "")
    assert "CAUSELINE_CLICKHOUSE_PASSWORD_FILE" not in os.environ
    assert connections.kafka(kafka_servers="k:1").bootstrap_servers == "k:1"


def test_another_database_of_the_stack_takes_its_password_too(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare.setenv("CAUSELINE_STATE_DIR", str(stack_in(tmp_path)))
    found = connections.reader(clickhouse_url="http://causeline@127.0.0.1:2222/looked_at")
    assert (found.database, found.password.get_secret_value()) == ("looked_at", "owner-password")


# --- the process


def python(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CAUSELINE_")}
    return subprocess.run(
        [sys.executable, *words], env={**clean, **environment}, capture_output=True, text=True, check=False, timeout=60
    )


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['causeline', '--help']\n"
        "from causeline.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'rich.console', 'confluent_kafka', 'clickhouse_connect', 'fastapi', 'faust', 'polars', 'chdb'}\n"
        "loaded = sorted(heavy & sys.modules.keys())\n"
        "sys.exit(repr(loaded) if loaded else 0)"
    )
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
    assert "Exit codes:" in result.stdout


def test_a_core_install_is_told_which_extra_brings_the_commands() -> None:
    code = "import sys; sys.modules['typer'] = None\nfrom causeline.cli import main\nmain()"
    result = python("-c", code)
    assert result.returncode == 4
    assert result.stderr == "error: The causeline commands are not installed.\nhint: pip install 'causeline[console]'\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "causeline.cli", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, stderr = process.communicate(timeout=60)
    assert stderr == b""


def test_output_is_readable_where_the_terminal_knows_ascii_only() -> None:
    result = python("-m", "causeline.cli", "topics", "list", "--help", PYTHONIOENCODING="ascii")
    assert result.returncode == 0, result.stderr


# --- the documentation


def test_every_command_and_option_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text("utf-8")
    undocumented = []
    for name, options in _options("causeline", typer.main.get_command(app)):
        section = re.search(rf"^### `{re.escape(name)}`\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
        said = section[1] if section else ""
        undocumented += [f"{name} {option}" for option in options if f"`{option}" not in said]
        undocumented += [name] * (section is None)
    assert undocumented == []


def _options(name: str, command: Any) -> Iterator[tuple[str, list[str]]]:
    """Every command below `command`, with its long options."""
    for word, each in getattr(command, "commands", {}).items():
        yield from _options(f"{name} {word}", each)
    if not hasattr(command, "commands"):
        options = (option for each in command.params for option in each.opts if option.startswith("--"))
        yield name, [option for option in options if option != "--help"]


@pytest.mark.parametrize(("words", "given"), [([], "None"), (["--clickhouse-url", "http://h/x"], "http://h/x")])
def test_the_url_of_a_variable_is_left_to_the_variable(words: list[str], given: str) -> None:
    """`causeline env` gives the reader's; a command that settles Kafka first must not bring it back."""
    small = typer.Typer()

    @small.command()
    def ask(clickhouse_url: ClickHouseUrl = None) -> None:
        typer.echo(str(clickhouse_url))

    said = CliRunner().invoke(small, words, env={"CAUSELINE_CLICKHOUSE_URL": "http://reader@127.0.0.1:1/causeline"})
    assert said.stdout == f"{given}\n"
