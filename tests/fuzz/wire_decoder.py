"""Any value of any topic is read, or refused with a reason; nothing else."""

import sys

from causeline.schemas import wire
from causeline.schemas.errors import UnreadableMessage
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import TOPICS
from tests.fuzz.driver import fuzz

SCHEMAS = Schemas()
SUBJECTS = sorted({topic.subject for topic in TOPICS})
_LONGEST_SENTENCE = 1000
BATCHES = ("run-batch", "trace-batch")


def try_bytes(data: bytes) -> None:
    """The first byte chooses the subject, the rest is the value."""
    if not data:
        return
    subject, value = SUBJECTS[data[0] % len(SUBJECTS)], data[1:]
    try:
        if subject in BATCHES:
            block = wire.read_block(value, subject, SCHEMAS)
            assert len(wire.decode_items(block)) == block.count
        else:
            wire.decode_datum(value, subject, SCHEMAS)
    except UnreadableMessage as error:
        _require(told=bool(error.reason) and len(str(error)) < _LONGEST_SENTENCE)


def _require(*, told: bool) -> None:
    assert told, "refused without a reason, or with the input in it"


if __name__ == "__main__":
    sys.exit(fuzz("wire_decoder"))
