"""The worker's core: its neighbours are untouched by any value, and what it accepts can be joined, published and read
again."""

import sys

from causeline.schemas import wire
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.streams.definition.reading import Message
from causeline.streams.runs.core import Part
from causeline.streams.worker.publications import run_batches
from tests.fuzz.driver import fuzz
from tests.unit.streams.build import CORE, SCHEMAS, batch, whole_run

BEFORE, AFTER = batch(whole_run(1)), batch(whole_run(2))


def try_bytes(data: bytes) -> None:
    """The value stands between two good messages."""
    found = CORE.read([Message(0, offset, value) for offset, value in enumerate((BEFORE, data, AFTER))])
    counts = [sum(len(share.part) for share in found.shares if share.offset == offset) for offset in range(3)]
    assert (counts[0], counts[2], sum(counts)) == (5, 5, found.events), "a neighbour was harmed"
    assert {each.offset for each in found.unreadable} <= {1}
    assert all(each.reason and each.detail for each in found.unreadable)
    parts: dict[str, list[Part]] = {}
    for share in found.shares:
        parts.setdefault(share.run_id, []).append(share.part)
    runs = [CORE.joined(some, closed_at=0, reason=None, policy=DEFAULT_POLICY) for some in parts.values()]
    assert [run.brief.run_id for run in runs] == list(parts)
    for published in run_batches(runs, 0, SCHEMAS):
        records = wire.decode_items(wire.read_block(published.value, "run-batch", SCHEMAS))
        assert [record["run_id"] for record in records] == list(published.run_ids)


if __name__ == "__main__":
    sys.exit(fuzz("block_reader"))
