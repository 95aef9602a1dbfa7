"""The engine's disk full under load, for a while, and a restart after it: what is gone is told, and comes back."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from causeline.cli.app import app
from causeline.producers.tracer import Tracer
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until
from tests.faults.site import PROJECT, Site, letters
from tests.faults.small_disk import small_disk
from tests.faults.test_broker_faults import bring_in, steps_for
from tests.integration.clickhouse_fixture import ClickHouseProcess

pytestmark = pytest.mark.stack

FULL_S = 20.0
OFTEN = {"CAUSELINE_LOADER_BACKOFF_MAX_S": "1", "CAUSELINE_LOADER_MAX_BLOCK_ROWS": "50"}
"""Many small inserts, so that the engine merges all the time."""
HELD_AGAINST_EACH_OTHER = {"stored", "joined", "topics stored"}


def on(engine: ClickHouseProcess, infra: Endpoints) -> Endpoints:
    """The shared broker, and this engine."""
    return infra.model_copy(
        update={
            "clickhouse_url": engine.endpoint.connection_url,
            "clickhouse_user": engine.endpoint.user,
            "clickhouse_password_file": engine.folder / "owner.password",
            "clickhouse_reader_password_file": engine.folder / "reader.password",
        }
    )


def doctor(site: Site) -> dict[str, dict[str, str]]:
    """What it says, by name; of several lines of one name the worst."""
    words = ["doctor", "--since", "1h", "--settle", "0", "--within", "60", "--json"]
    said = CliRunner().invoke(app, words, env=site.environment)
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    lines.sort(key=lambda line: ("ok", "warning", "failed").index(line["level"]))
    return {line["name"]: line for line in lines}


def test_a_disk_that_was_full_under_load_hides_nothing_that_it_took(
    infra: Endpoints, tmp_path: Path, seed: int, tell: Callable[[str], None]
) -> None:
    """No word of what is missing may be "well"; what the doctor says to do brings all of it back."""
    dice = random.Random(seed)
    with small_disk(tmp_path / "disk") as disk, ClickHouseProcess(tmp_path / "disk" / "clickhouse") as engine:
        site = Site(on(engine, infra), tmp_path, seed)
        emitter = site.emitter()
        with site.running("worker"), site.running("load", **OFTEN) as loader, site.running("amend --follow"):
            with Tracer(PROJECT, emitter=emitter, enabled=True) as tracer:
                steps_for(tracer, 4.0, dice)
                wait_until(lambda: site.visible() or None, timeout_s=180, what="nothing is stored")
                disk.fill(engine.pid)
                steps_for(tracer, FULL_S, dice)
                wait_until(lambda: "takes no rows" in loader.log, timeout_s=180, what="the disk takes everything")
                meanwhile = doctor(site)
                disk.free(engine.pid)
                steps_for(tracer, 2.0, dice)
                bring_in(tracer)
            site.violations(emitter.ledger())
            engine.stop()
            engine.start()
            lost = site.violations(emitter.ledger())
            after = doctor(site)
            told = {name for name in HELD_AGAINST_EACH_OTHER if after[name]["level"] == "failed"}
            assert bool(told) == bool(lost), f"{site.explain(lost)}\n{after}"
            for way_out in sorted({after[name]["way_out"] for name in told}):
                command = re.search(r"causeline (load --again \S+)", way_out)
                assert command is not None, way_out
                site.causeline(*command[1].split())
            found = site.violations(emitter.ledger())
        assert found == [], site.explain(found)
        assert meanwhile["lag"]["level"] != "ok" or meanwhile["disk"]["level"] == "failed", meanwhile
        aside = after["parts set aside"]
        tell(
            f"{disk.name}, full for {FULL_S:g} s; {site.figures(emitter.ledger())}; after the restart"
            f" {len(lost)} violations ({', '.join(sorted(letters(lost))) or 'none'}); {aside['says']}"
        )
