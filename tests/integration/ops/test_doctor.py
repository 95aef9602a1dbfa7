"""The doctor on the real stack: all well, then one thing after the other broken, each told with its way out."""

import json
import time
import uuid

import pytest
from typer.testing import CliRunner

from causeline.cli.app import app
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until

pytestmark = pytest.mark.stack


def lines(stack: Endpoints, *words: str, **changes: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    env = {**stack.environment(), "CAUSELINE_STATE_DIR": str(stack.state_dir / "none"), **changes}
    said = CliRunner().invoke(app, ["doctor", "--json", *words], env=env)
    found: dict[str, list[dict[str, str]]] = {}
    for line in map(json.loads, said.stdout.splitlines()):
        found.setdefault(line["name"], []).append(line)
    return said.exit_code, found


def failed(found: dict[str, list[dict[str, str]]]) -> list[dict[str, str]]:
    return [line for each in found.values() for line in each if line["level"] == "failed"]


def test_a_stack_that_is_well_fails_nothing(stack: Endpoints) -> None:
    found: dict[str, list[dict[str, str]]] = {}

    def fails_nothing() -> bool:
        """At last: a busy machine may keep a stack from being well just after it came up."""
        code, told = lines(stack)
        found.update(told)
        return (code, failed(found)) == (0, [])

    wait_until(fails_nothing, timeout_s=120, what="the stack is not well")
    assert set(found) >= {
        "kafka", "topics", "lag", "clickhouse", "clock", "tables", "parts", "dead letters", "losses", "policy",
        "schemas", "disk", "spool",
    }  # fmt: skip


def test_a_broken_stack_is_told_within_ten_seconds(stack: Endpoints) -> None:
    began = time.monotonic()
    code, found = lines(
        stack,
        CAUSELINE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9",
        CAUSELINE_CLICKHOUSE_URL="http://causeline@127.0.0.1:9/causeline",
    )
    assert time.monotonic() - began < 10
    assert code == 1
    assert found["kafka"][0]["level"] == found["clickhouse"][0]["level"] == "failed"
    assert found["disk"][0]["level"] != "failed"


@pytest.mark.parametrize(
    ("changes", "name", "says"),
    [
        ({"CAUSELINE_TOPIC_PREFIX": f"t{uuid.uuid4().hex[:8]}"}, "topics", "topics are missing"),
        ({"CAUSELINE_REGISTRY_URL": "http://127.0.0.1:9"}, "schemas", "registry does not answer"),
        ({"CAUSELINE_POLICY": "/nowhere/policy.toml"}, "policy", "policy.toml"),
        ({"CAUSELINE_EMITTER_SPOOL": "/", "CAUSELINE_EMITTER_SPOOL_BYTES": "nonsense"}, "spool", "SPOOL_BYTES"),
    ],
)
def test_one_broken_thing_is_named(stack: Endpoints, changes: dict[str, str], name: str, says: str) -> None:
    code, found = lines(stack, **changes)
    told = [line for line in found[name] if line["level"] == "failed"]
    assert code == 1
    assert any(says.lower() in line["says"].lower() for line in told), found[name]


def test_it_is_readable_in_a_terminal(stack: Endpoints) -> None:
    env = {**stack.environment(), "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    said = CliRunner().invoke(app, ["doctor"], env=env)
    assert said.exit_code == 1
    assert "FAILED   kafka: " in said.stdout
    assert said.stdout.rstrip().endswith("warnings.")
