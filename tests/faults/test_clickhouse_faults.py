"""The engine away, slow, read-only, too full, or hanging up after it stored: nothing dies of it or is stored twice."""

import time
from collections.abc import Callable

import pytest

from causeline.stack.waiting import wait_until
from tests.faults import evidence
from tests.faults.proxy import Proxy
from tests.faults.site import ONE_MESSAGE_AN_INSERT, STORED, Site, letters

pytestmark = pytest.mark.stack

INSERT = b"insert_deduplication_token"
HANG_UPS = 5
QUICK_BACKOFF = {"CAUSELINE_LOADER_BACKOFF_MAX_S": "1"}


@pytest.mark.parametrize(("bug", "expected"), [("none", set()), ("token_made_anew", {"D"})])
def test_an_insert_whose_answer_never_comes_is_stored_once(
    site: Site, clickhouse_proxy: Proxy, bug: str, expected: set[str], tell: Callable[[str], None]
) -> None:
    """The connection is reset after the request's body, when the engine has stored it: the loader sends it again."""
    site.hold_merges()
    clickhouse_proxy.hang_up(HANG_UPS, INSERT)
    way = {**site.clickhouse_by(clickhouse_proxy.port), **ONE_MESSAGE_AN_INSERT, **QUICK_BACKOFF}
    ledger = site.publish(batch_events=20)
    with site.running("worker"), site.running("load", bug, **way):
        found = site.violations(ledger)
    assert clickhouse_proxy.hung_up == HANG_UPS
    assert found == [], site.explain(found)
    assert letters(site.stored()) == expected, f"seed {site.seed}: {site.stored()}"
    tell(f"{HANG_UPS} answers reset; {site.figures(ledger)}; stored twice: {bool(site.stored())}")


@pytest.mark.parametrize("trouble", ["gone", "deaf", "slow"])
def test_the_loader_waits_for_an_engine_that_is_out_of_reach(
    site: Site, clickhouse_proxy: Proxy, trouble: str, tell: Callable[[str], None]
) -> None:
    timeout_s = "10" if trouble == "slow" else "2"  # each 64 KiB of an insert are late, and an insert has several
    way = {**site.clickhouse_by(clickhouse_proxy.port), **QUICK_BACKOFF, "CAUSELINE_LOADER_INSERT_TIMEOUT_S": timeout_s}
    with site.running("worker"), site.running("load", **way) as loader:
        wait_until(lambda: "ready: " in loader.log, timeout_s=180, what="the loader is not ready")
        if trouble == "gone":
            clickhouse_proxy.go_away()
        clickhouse_proxy.is_deaf = trouble == "deaf"
        clickhouse_proxy.delay_s = 0.8 if trouble == "slow" else 0.0
        ledger = site.publish()
        if trouble != "slow":  # it is late then, and nothing more
            wait_until(lambda: "takes no rows" in loader.log, timeout_s=180, what="the loader does not notice")
            assert site.visible() == 0
            assert any(".loader" in each for each in evidence.behind(site.endpoints)), "committed what is not stored"
            clickhouse_proxy.heal()
        healed = time.monotonic()
        found = site.violations(ledger)
        caught_up_s = time.monotonic() - healed
    assert found == [], site.explain(found)
    assert site.dead_letters() == 0
    tell(f"{site.figures(ledger)}; caught up within {caught_up_s:.1f} s")


def test_the_loader_waits_while_the_tables_take_no_rows(site: Site, tell: Callable[[str], None]) -> None:
    """Too many parts, says the engine, until it does not any more."""
    for table in STORED:
        site.command(
            f"SYSTEM STOP MERGES {table}",
            f"ALTER TABLE {table} MODIFY SETTING parts_to_delay_insert = 1, parts_to_throw_insert = 1,"
            " max_delay_to_insert = 1",
        )
    with site.running("worker"), site.running("load", **ONE_MESSAGE_AN_INSERT, **QUICK_BACKOFF) as loader:
        ledger = site.publish(batch_events=20)
        wait_until(lambda: "TOO_MANY_PARTS" in loader.log, timeout_s=180, what="the engine takes everything")
        for table in STORED:
            site.command(
                f"ALTER TABLE {table} RESET SETTING parts_to_delay_insert, parts_to_throw_insert, max_delay_to_insert",
                f"SYSTEM START MERGES {table}",
            )
        healed = time.monotonic()
        found = site.violations(ledger)
        caught_up_s = time.monotonic() - healed
    assert found == [], site.explain(found)
    assert site.dead_letters() == 0
    tell(f"{site.figures(ledger)}; caught up within {caught_up_s:.1f} s")


def test_a_loader_whose_user_may_only_read_loses_nothing(site: Site, tell: Callable[[str], None]) -> None:
    """It says so and ends, again and again, with nothing committed; one that may write takes it up."""
    url = site.endpoints.clickhouse_url.replace(f"//{site.endpoints.clickhouse_user}@", "//reader@")
    reader = {
        "CAUSELINE_CLICKHOUSE_URL": url,
        "CAUSELINE_CLICKHOUSE_PASSWORD_FILE": str(site.endpoints.clickhouse_reader_password_file),
    }
    with site.running("worker"):
        with site.running("load", **reader, **QUICK_BACKOFF) as loader:
            ledger = site.publish()
            # The engine's reader sees its own database alone: of this one it is told that the tables are not there.
            wait_until(lambda: "lacks alert_rows" in loader.log, timeout_s=180, what="the reader may write")
            assert site.visible() == 0
        healed = time.monotonic()
        with site.running("load"):
            found = site.violations(ledger)
            caught_up_s = time.monotonic() - healed
    assert found == [], site.explain(found)
    assert site.dead_letters() == 0
    tell(f"{site.figures(ledger)}; caught up within {caught_up_s:.1f} s")
