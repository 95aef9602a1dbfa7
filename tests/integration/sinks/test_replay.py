"""Dead letters on a real Kafka and a real ClickHouse: sent again after a fix, and poison never goes round."""

import json
from functools import partial

import pytest
from typer.testing import CliRunner, Result

from causeline.cli.app import app
from causeline.schemas import topics
from causeline.stack.waiting import wait_until
from tests.integration.sinks.rig import Rig, batch, event

pytestmark = pytest.mark.stack

POISON = b"\x00\xff\xff\xff\xff" + b"poison"


def causeline(rig: Rig, *words: str) -> Result:
    environment = {
        "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": rig.kafka.bootstrap_servers,
        "CAUSELINE_CLICKHOUSE_URL": rig.clickhouse.url,
        "CAUSELINE_CLICKHOUSE_PASSWORD": rig.clickhouse.password.get_secret_value(),
        "CAUSELINE_TOPIC_PREFIX": rig.prefix,
        "CAUSELINE_STATE_DIR": str(rig.folder / "no-stack"),
    }
    return CliRunner().invoke(app, ["dead", *words], env=environment)


def listed(rig: Rig, *words: str) -> list[dict[str, object]]:
    answer = causeline(rig, "list", "--json", *words)
    assert answer.exit_code == 0, answer.output
    return [json.loads(line) for line in answer.stdout.splitlines()]


def all_returned(rig: Rig, attempt: int) -> bool:
    return [(each["state"], each["replays"]) for each in listed(rig)] == [("returned", attempt)] * 2


@pytest.mark.slow
def test_after_a_fix_the_message_is_stored_once_and_poison_is_refused(rig: Rig) -> None:
    # A message under a schema id that the loader does not know: what a producer ahead of its consumers writes.
    ahead = batch([event(1), event(2)])
    unknown = b"\x00\x00\xff\xff\xf0" + ahead[5:]
    rig.publish(topics.EVENTS, [unknown, POISON, batch([event(3)])], partition=1)
    loader = rig.start_loader()
    rig.visible("dead_messages", 2)
    [first] = [each for each in listed(rig) if each["bytes"] == len(unknown)]
    shown = causeline(rig, "show", str(first["message_id"])[:12])
    assert "unknown_schema" in shown.stdout
    raw = causeline(rig, "show", str(first["message_id"]), "--raw")
    assert raw.stdout_bytes == unknown

    # Nothing is mended yet: it comes back, as the same message.
    for attempt in (1, 2):
        sent = causeline(rig, "replay", "--all")
        assert (sent.exit_code, sent.stdout) == (0, "2 of 2 messages sent again.\n"), sent.output
        wait_until(
            partial(all_returned, rig, attempt),
            timeout_s=30,
            what=f"both messages to come back: {rig.logs()}",
        )
    assert {each["letters"] for each in listed(rig)} == {3}
    assert loader.end() == 0

    # The fix: a loader that knows the id. Replaying twice stores it once.
    rig.start_loader("knows-more")
    for _ in range(2):
        assert causeline(rig, "replay", str(first["message_id"]), "--max-replays", "9").exit_code == 0
    rig.visible("events", 3)
    rig.caught_up(topics.EVENTS)
    assert rig.count("events") == 3
    again = {each["message_id"]: (each["state"], each["replays"]) for each in listed(rig)}
    assert again[first["message_id"]] == ("replayed", 4)

    # Poison is refused once it came back too often, and is not sent.
    assert causeline(rig, "replay", "--all").exit_code == 0
    wait_until(
        lambda: [each["replays"] for each in listed(rig, "--state", "returned")] == [3],
        timeout_s=30,
        what="the poison to come back",
    )
    end = rig.end(topics.EVENTS, 1)
    refused = causeline(rig, "replay", "--all")
    assert refused.exit_code == 1
    assert "came back too often" in refused.stderr
    assert rig.end(topics.EVENTS, 1) == end
    assert [each["offset"] for each in listed(rig, "--state", "returned")] == [end - 1]


def test_the_copy_goes_to_its_own_partition_under_its_own_key(rig: Rig) -> None:
    rig.publish(topics.EVENTS, [POISON], partition=1)
    rig.start_loader()
    rig.visible("dead_messages", 1)
    assert causeline(rig, "replay", "--all").exit_code == 0
    rig.visible("dead_letters", 2)
    rows = rig.query("SELECT partition, key, hex(value) FROM dead_letters ORDER BY offset")
    assert rows == [(1, "key", POISON.hex().upper())] * 2
    assert rig.end(topics.EVENTS, 0) == 0


@pytest.mark.parametrize("words", [["replay"], ["replay", "ab12", "--all"], ["show", "../etc"]])
def test_what_is_not_said_well_is_refused(rig: Rig, words: list[str]) -> None:
    assert causeline(rig, *words).exit_code == 2
