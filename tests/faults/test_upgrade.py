"""An upgrade as docs/site.md has it, of a real earlier release, under load: its processes and this release's in one
group, runs open across all of it, and parts rolled back on the way. Nothing is lost, told twice or joined in part.
"""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import permutations
from pathlib import Path

import pytest

from causeline.runtime.clickhouse import clickhouse_client
from causeline.schemas.tables import VIEWS
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until
from causeline.streams.definition.run import ASSEMBLER_VERSION
from tests.faults import evidence, site_page
from tests.faults.emitting import read_ledger
from tests.faults.oracle import Ledger
from tests.faults.releases import Release, earlier
from tests.faults.site import Site
from tests.faults.test_churn import MOST_TWICE, published_twice
from tests.faults.test_states import together

pytestmark = pytest.mark.stack

EARLIER = "fe89761ca013cf6e01fc81fb8c28444b72dea9b9"
"""What is upgraded: it joins by columns, knows no compiled core that joins, and has eight migrations of the nine."""
THEN, NOW = "6", ASSEMBLER_VERSION
"""Who joins: its assembler, and this release's."""
EARLIEST = "353536531df76d6040d1c7c7dbadc64bd220839c"
"""Some emitters are older still, and write version 2 of the wire."""
JOIN_S, FLOW_S = 90.0, 120.0


class Upgrade:
    """A site whose parts are replaced one by one."""

    def __init__(self, site: Site, stack: ExitStack) -> None:
        self.site = site
        self._stack = stack
        self._parts: dict[str, ExitStack] = {}
        self._ledgers: list[Path] = []

    def start(self, name: str, command: str, release: Release | None, **environment: str) -> None:
        """Start a part; `release` is an earlier one, None this one."""
        self._parts[name] = self._stack.enter_context(ExitStack())
        self._parts[name].enter_context(self.site.running(command, "none", release, **environment))

    def stop(self, name: str) -> None:
        """Stop a part, as an operator does."""
        self._parts.pop(name).close()

    def replace_worker(self, name: str, release: Release | None) -> None:
        """Stop the worker of that name, if any, and start another in its place; then wait until both share the work."""
        if name in self._parts:
            self.stop(name)
        self.start(name, "worker", release, CAUSELINE_WORKER_INSTANCE=name)

    def replace_beside(self, old: str, new: str, command: str, group: str, release: Release | None) -> None:
        """Start another beside a part, and stop the part once they share the group's partitions."""
        self.start(new, command, release)
        self.wait_for_members(group, 2)
        self.stop(old)

    @contextmanager
    def emitting(self, release: Release | None) -> Iterator[None]:
        """Traffic by a release's emitter, until the block ends; then all of it is with the broker."""
        ledger = self.site.folder / f"ledger-{len(self._ledgers)}"
        self._ledgers.append(ledger)
        seed = str(self.site.seed + 100 * len(self._ledgers))
        environment = {**self.site.environment, **(release.environment if release else {})}
        words = [sys.executable, "-m", "tests.faults.traffic", str(ledger), seed]
        process = subprocess.Popen(words, env=environment)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(120)
        assert code == 0, "not all that it emitted is with the broker"

    @property
    def ledgers(self) -> list[Path]:
        """Of each emitter, in the order of their starts."""
        return self._ledgers

    def wait_for_members(self, group: str, count: int) -> None:
        """Until a group is stable and has so many members, each with something to do."""
        endpoints = self.site.endpoints
        full = f"{endpoints.topic_prefix}.{group}"

        def shared() -> bool:
            shares = evidence.shares(endpoints, full)
            return len(shares) == count and shares[0] > 0

        wait_until(shared, timeout_s=JOIN_S, what=f"{group}: {count} do not share the work", interval_s=0.3)

    def wait_until_joined_by(self, *assemblers: str) -> None:
        """Until new runs are shown of each partition, one by each of these assemblers, one for each worker."""
        self.wait_for_members("worker", len(assemblers))
        before = self.joined()

        def flows() -> bool:
            now = self.joined()
            return any(
                all(now[place] > before[place] for place in enumerate(order)) for order in permutations(assemblers)
            )

        wait_until(
            flows,
            timeout_s=FLOW_S,
            what=lambda: f"not each partition flows: {before}, {self.joined()}",
            interval_s=0.3,
        )

    def joined(self) -> Counter[tuple[int, str]]:
        """How many runs that no amender has touched are shown of which partition, by which assembler."""
        with clickhouse_client(self.site.endpoints.clickhouse()) as client:
            rows = client.query(
                "SELECT source_partition, assembler_version, count() FROM runs WHERE NOT amended GROUP BY ALL"
            ).result_rows
        return Counter({(int(partition), str(version)): int(count) for partition, version, count in rows})

    def follow_the_page(self) -> str:
        """What docs/site.md says of an upgrade, by this release's commands."""
        names = {"before-upgrade": f"before-upgrade-{self.site.endpoints.topic_prefix}"}
        environment = {
            **self.site.environment,
            "CAUSELINE_ARTIFACTS": str(self.site.folder / "artifacts"),
            "CAUSELINE_STATE_DIR": str(self.site.folder / "no-stack"),
        }
        return site_page.run(site_page.sections()["Upgrade and rollback"][0], self.site.folder, environment, names)


def test_a_site_is_upgraded_part_by_part_under_load_and_rolled_back_on_the_way(
    infra: Endpoints, tmp_path: Path, seed: int, tell: Callable[[str], None]
) -> None:
    old, oldest = earlier(EARLIER, tmp_path / "earlier"), earlier(EARLIEST, tmp_path / "earliest")
    began = time.monotonic()
    site = Site(infra, tmp_path, seed, old)
    with ExitStack() as parts, ExitStack() as emitters:
        up = Upgrade(site, parts)
        for number in (0, 1):
            up.replace_worker(f"worker-{number}", old)
        up.start("loader", "load", old)
        up.start("amender", "amend --follow", old)
        emitters.enter_context(up.emitting(old))
        up.wait_until_joined_by(THEN, THEN)

        said = up.follow_the_page()
        assert "0009_run_id_filter" in said, said
        up.wait_until_joined_by(THEN, THEN)  # the old release alone, on the new one's tables
        assert "run_id" in site.causeline("runs", "--limit", "3", "--json", release=old)

        up.replace_beside("loader", "new-loader", "load", "loader", None)
        up.replace_worker("worker-0", None)
        emitters.enter_context(up.emitting(None))  # sooner than the page has it: old workers read what it writes
        up.wait_until_joined_by(THEN, NOW)

        up.replace_beside("new-loader", "loader", "load", "loader", old)
        up.replace_worker("worker-0", old)
        up.wait_until_joined_by(THEN, THEN)

        up.replace_beside("loader", "new-loader", "load", "loader", None)
        up.replace_worker("worker-0", None)
        emitters.enter_context(up.emitting(oldest))
        up.wait_until_joined_by(THEN, NOW)
        up.replace_worker("worker-1", None)
        up.replace_beside("amender", "new-amender", "amend --follow", "amender", None)
        up.wait_until_joined_by(NOW, NOW)
        emitters.close()

        ledgers = [read_ledger(each) for each in up.ledgers]
        ledger = together(*ledgers)
        found = site.violations(ledger)
    by, (twice, runs) = up.joined(), published_twice(site)
    shares = [
        f"{sum(by[place] for place in by if place[1] == each)} joined by assembler {each}" for each in (THEN, NOW)
    ]
    tell(f"{site.figures(ledger)}; {', '.join(shares)}")
    tell(f"{twice} of {runs} runs published twice; {time.monotonic() - began:.0f} s")
    assert found == [], site.explain(found)
    assert ledger.acknowledged == ledger.emitted.keys()
    assert twice < MOST_TWICE * runs
    assert site.dead_letters() == 0
    look_at_everything(site, ledgers)


def look_at_everything(site: Site, ledgers: Sequence[Ledger]) -> None:
    """Every view is asked, and a run of each emitter is shown and explained."""
    with clickhouse_client(site.endpoints.clickhouse()) as client:
        for view in VIEWS:
            client.query(f"SELECT * FROM {view} LIMIT 10")
    for ledger in ledgers:
        run_id = min(ledger.runs)
        assert run_id in site.causeline("show", run_id, "--json")
        assert "Nothing went wrong" in site.causeline("why", run_id)
