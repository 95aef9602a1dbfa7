"""What the definition of a run costs a worker, by the core that is used, on the same lots of the same runs.

The runs are those of `benchmarks.join`: ten events each, as wide as the demo's, in the batches that our emitter sends.
CPU is this process's, a broker is not asked. Of each core, by its name:

- `us_reading_…`: from Kafka values to events, held to the contract.
- `us_joining_…`: from events to the items of runs.
- `us_whole_…`: from Kafka values to Kafka values, as a worker does it, without its offsets; `vs_compiled` is the
  readable core's over the compiled one's.
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from benchmarks.harness import Report, main, spread
from benchmarks.joining.runs import EVENTS_A_RUN, batches, events_of
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.registry import Schemas
from causeline.schemas.wire.native import CORE
from causeline.streams.definition.reading import Message
from causeline.streams.runs.compiled import CompiledCore
from causeline.streams.runs.core import Core, Part
from causeline.streams.runs.readable import ReadableCore
from causeline.streams.worker.assembler import Assembler
from causeline.streams.worker.publications import run_batches
from causeline.streams.worker.settings import Limits

T = TypeVar("T")
Lot = Sequence[Message]

_SCHEMAS = Schemas()
CORES: Mapping[str, Core] = {
    "readable": ReadableCore(_SCHEMAS),
    **({} if CORE is None else {"compiled": CompiledCore(CORE, _SCHEMAS)}),
}
"""The compiled one where it is installed."""


def measure(options: argparse.Namespace) -> Report:
    """Rounds of one lot after the other, by each core in turn."""
    rounds, size = options.rounds or (2 if options.quick else 7), 500 if options.quick else 1_000
    spent: dict[str, list[float]] = {}
    for round_ in range(rounds + 1):  # the first warms
        runs = [list(events_of(number)) for number in range(round_ * size + 1, (round_ + 1) * size + 1)]
        lot = [Message(partition, offset, value) for offset, (partition, value) in enumerate(batches(runs))]
        for name, core in CORES.items():
            for way, seconds in _spent(core, lot, size).items():
                if round_:
                    spent.setdefault(f"us_{way}_{name}", []).append(seconds * 1e6 / (size * EVENTS_A_RUN))
    report = Report("definition", rows={name: spread(each) for name, each in spent.items()})
    readable, compiled = spent["us_whole_readable"], spent.get("us_whole_compiled")
    if compiled is None:
        report.notes.append("The compiled core is not installed here and not measured.")
    else:
        report.rows["vs_compiled"] = spread([one / other for one, other in zip(readable, compiled, strict=True)])
    return report


def _spent(core: Core, lot: Lot, runs: int) -> dict[str, float]:
    """CPU seconds of each way of one lot."""
    taken, reading = _timed(lambda: core.read(lot))
    parts: dict[str, list[Part]] = {}
    for share in taken.shares:
        parts.setdefault(share.run_id, []).append(share.part)
    written, joining = _timed(
        lambda: [core.joined(some, closed_at=0, reason=None, policy=DEFAULT_POLICY) for some in parts.values()]
    )
    published, whole = _timed(lambda: _published(core, lot))
    if not len(written) == published == runs:
        raise RuntimeError(f"{len(written)} and {published} runs were joined, not {runs}")
    return {"reading": reading, "joining": joining, "whole": whole}


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    gc.collect()
    began = time.process_time()
    done = work()
    return done, time.process_time() - began


def _published(core: Core, lot: Lot) -> int:
    assembler = Assembler(Limits(), core=core)
    assembler.take(core.read(lot).shares, 0)
    published, are_more_due = 0, True
    while are_more_due:
        closed = assembler.close(0)
        published += sum(len(batch.run_ids) for batch in run_batches([run for _, run in closed.written], 0, _SCHEMAS))
        are_more_due = closed.are_more_due
    return published


if __name__ == "__main__":
    sys.exit(main("definition", measure))
