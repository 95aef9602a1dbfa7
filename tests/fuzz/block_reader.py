"""The worker's columnar reader: its neighbours are untouched by any value, and what it accepts can be joined, published
and read again."""

import sys

from causeline.schemas import wire
from causeline.streams.runs.assemble import assemble
from causeline.streams.runs.decode import Message, decode
from causeline.streams.worker.publications import run_batches
from tests.fuzz.driver import fuzz
from tests.unit.streams.build import SCHEMAS, batch, whole_run

BEFORE, AFTER = batch(whole_run(1)), batch(whole_run(2))


def try_bytes(data: bytes) -> None:
    """The value stands between two good messages."""
    found = decode([Message(0, offset, value) for offset, value in enumerate((BEFORE, data, AFTER))], SCHEMAS)
    offsets = found.frame["_offset"].to_list()
    assert (offsets.count(0), offsets.count(2)) == (5, 5), "a neighbour was harmed"
    assert {each.offset for each in found.unreadable} <= {1}
    assert all(each.reason and each.detail for each in found.unreadable)
    runs = assemble(found.frame, closed_at_us=0).runs
    assert set(runs["run_id"]) == set(found.frame["run_id"])
    for published in run_batches(runs, 0, SCHEMAS):
        records = wire.decode_items(wire.read_block(published.value, "run-batch", SCHEMAS))
        assert [record["run_id"] for record in records] == list(published.run_ids)


if __name__ == "__main__":
    sys.exit(fuzz("block_reader"))
