"""Every policy that judged can be read back: by list, by hash, and by `why`."""

import json

import pytest
from typer.testing import CliRunner

from causeline.cli.app import app
from causeline.console.policies import judging_policy, kept_policies, kept_policy, uses_of
from causeline.console.store import ClickHouseStore
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import NotFound, UsageError
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.policy_file import parse_policy
from causeline.schemas.tables import POLICIES

STRICT = parse_policy("version = 1\n[workflow.invoice]\nthreshold = 0.95")


@pytest.fixture(scope="module", autouse=True)
def kept(connection: ClickHouseConnection) -> None:
    """Two policies; the second judged two partitions, and was recorded twice on one."""
    uses = [(DEFAULT_POLICY, 0, 0, 1), (STRICT, 0, 40, 2), (STRICT, 1, 7, 2), (STRICT, 1, 7, 2)]
    rows = [
        {
            "policy_hash": policy.content_hash,
            "policy": policy.canonical_text,
            "used_by": "worker",
            "source_partition": partition,
            "from_offset": offset,
            "used_at": f"2026-03-0{day} 08:00:00.000000",
        }
        for policy, partition, offset, day in uses
    ]
    with clickhouse_client(connection) as client:
        block = "\n".join(map(json.dumps, rows)).encode()
        client.raw_insert(POLICIES.rows, fmt="JSONEachRow", insert_block=block)


def test_each_is_listed_once_the_newest_first(store: ClickHouseStore) -> None:
    found = kept_policies(store)
    assert [each.policy_hash for each in found] == [STRICT.content_hash, DEFAULT_POLICY.content_hash]
    assert (found[0].policy, found[0].partitions, found[0].used_by) == (STRICT, 2, ("worker",))


def test_a_hash_or_its_beginning_finds_it_and_from_where_on_it_judged(store: ClickHouseStore) -> None:
    assert kept_policy(store, STRICT.content_hash[:6].upper()).policy == STRICT
    uses = uses_of(store, STRICT.content_hash)
    assert [(use.source_partition, use.from_offset) for use in uses] == [(0, 40), (1, 7)]
    assert judging_policy(store, STRICT.content_hash) == STRICT
    assert judging_policy(store, "0" * 16) is None
    assert judging_policy(store, None) is None


def test_what_is_no_hash_or_none_of_ours_is_told(store: ClickHouseStore) -> None:
    with pytest.raises(UsageError, match="is not the hash of a policy"):
        kept_policy(store, "strict")
    with pytest.raises(NotFound, match="No policy with the hash 00000000"):
        kept_policy(store, "00000000")


def test_the_commands_say_it(environment: dict[str, str | None]) -> None:
    listed = CliRunner().invoke(app, ["policy", "list"], env=environment)
    assert (listed.exit_code, STRICT.content_hash in listed.stdout) == (0, True)
    shown = CliRunner().invoke(app, ["policy", "show", STRICT.content_hash[:8], "--json"], env=environment)
    said = json.loads(shown.stdout)
    assert said["policy"] == {"version": 1, "workflow": {"invoice": {"threshold": 0.95}}}
    assert [use["from_offset"] for use in said["uses"]] == [40, 7]
    plain = CliRunner().invoke(app, ["policy", "show", STRICT.content_hash[:8]], env=environment)
    assert plain.stdout.startswith("# worker, partition 0: from offset 40 on, 2026-03-02 08:00:00 UTC\n")
