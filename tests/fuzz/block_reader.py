"""The reader of every core: its neighbours are untouched by any value, and what it accepts can be joined, published and
read again."""

import sys

from causeline.schemas import wire
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.streams.runs.core import Core, Part
from causeline.streams.worker.publications import run_batches
from tests.fuzz.driver import fuzz
from tests.unit.streams.both import CORES, decoded
from tests.unit.streams.build import SCHEMAS, batch, in_partition, whole_run

BEFORE, AFTER = batch(whole_run(1)), batch(whole_run(2))


def try_bytes(data: bytes) -> None:
    """The value stands between two good messages."""
    found = decoded(in_partition((BEFORE, data, AFTER)))
    offsets = [place.offset for _, place in found.arrivals if place is not None]
    assert (offsets.count(0), offsets.count(2)) == (5, 5), "a neighbour was harmed"
    assert {each.offset for each in found.unreadable} <= {1}
    assert all(each.reason and each.detail for each in found.unreadable)
    run_ids = {event.run_id for event, _ in found.arrivals}
    for core in CORES:
        try_joining(core, data, run_ids)


def try_joining(core: Core, data: bytes, run_ids: set[str]) -> None:
    """What a core has read becomes runs that anyone can read."""
    parts: dict[str, list[Part]] = {}
    for share in core.read(in_partition((BEFORE, data, AFTER))).shares:
        parts.setdefault(share.run_id, []).append(share.part)
    assert set(parts) == run_ids
    written = [core.joined(some, closed_at=0, reason=None, policy=DEFAULT_POLICY) for some in parts.values()]
    for published in run_batches(written, 0, SCHEMAS):
        records = wire.decode_items(wire.read_block(published.value, "run-batch", SCHEMAS))
        assert [record["run_id"] for record in records] == list(published.run_ids)


if __name__ == "__main__":
    sys.exit(fuzz("block_reader"))
