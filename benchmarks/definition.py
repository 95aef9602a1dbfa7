"""What the readable definition of a run costs beside the worker's columns, on the same lots of the same runs.

The runs are those of `benchmarks.join`: ten events each, as wide as the demo's, in the batches that our emitter sends.
CPU is this process's, a broker is not asked.

- `us_joining`: from decoded events to records, by the definition (`streams/definition`); `us_joining_columns`: by
  the columns (`streams/runs`), from a frame to a frame.
- `us_whole`: from Kafka values to Kafka values, one event after the other: decoded, held to the contract, joined,
  written. `us_whole_columns`: the worker's own way of the same, without its offsets.
- `vs_worker` is `us_whole` over `us_whole_columns`: what a worker without columns would cost.
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable, Sequence

from causeline.streams.runs.assemble import assemble
from causeline.streams.runs.decode import Message, decode

from benchmarks.harness import Report, Spread, main, spread
from benchmarks.joining.runs import EVENTS_A_RUN, batches, events_of
from causeline.schemas import catalogue, wire
from causeline.schemas.registry import Schemas
from causeline.streams.definition.events import by_run
from causeline.streams.definition.reading import arrivals_in
from causeline.streams.definition.run import run_of
from causeline.streams.runs.records import arrivals_of
from causeline.streams.worker.assembler import Assembler
from causeline.streams.worker.publications import run_batches
from causeline.streams.worker.settings import Limits

_SCHEMAS = Schemas()
_RUN = catalogue.latest("run-batch")
_BATCH_RUNS = 128
Lot = Sequence[Message]


def measure(options: argparse.Namespace) -> Report:
    """Rounds of one lot after the other, each way in turn."""
    rounds, size = options.rounds or (2 if options.quick else 7), 500 if options.quick else 1_000
    ways: dict[str, Callable[[Lot], float]] = {
        "joining": _joining,
        "joining_columns": _joining_columns,
        "whole": _whole,
        "whole_columns": _whole_columns,
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(rounds + 1):  # the first warms
        runs = [list(events_of(number)) for number in range(round_ * size + 1, (round_ + 1) * size + 1)]
        lot = [Message(partition, offset, value) for offset, (partition, value) in enumerate(batches(runs))]
        for name, way in ways.items():
            us = way(lot) * 1e6 / (size * EVENTS_A_RUN)
            if round_:
                spent[name].append(us)
    report = Report("definition", rows={f"us_{name}": spread(each) for name, each in spent.items()})
    report.rows["vs_columns"] = _over(spent["joining"], spent["joining_columns"])
    report.rows["vs_worker"] = _over(spent["whole"], spent["whole_columns"])
    return report


def _over(mine: Sequence[float], theirs: Sequence[float]) -> Spread:
    return spread([a / b for a, b in zip(mine, theirs, strict=True)])


def _cpu_s(work: Callable[[], int], runs: int) -> float:
    gc.collect()
    began = time.process_time()
    joined = work()
    spent = time.process_time() - began
    if joined != runs:
        raise RuntimeError(f"{joined} runs were joined, not {runs}")
    return spent


def _joining(lot: Lot) -> float:
    runs = by_run(arrivals_of(decode(lot, _SCHEMAS).frame))
    return _cpu_s(lambda: len([run_of(some, closed_at=0) for some in runs.values()]), len(runs))


def _joining_columns(lot: Lot) -> float:
    frame = decode(lot, _SCHEMAS).frame
    return _cpu_s(lambda: assemble(frame, closed_at_us=0).runs.height, frame["run_id"].n_unique())


def _whole(lot: Lot) -> float:
    return _cpu_s(lambda: _one_by_one(lot), _runs_of(lot))


def _whole_columns(lot: Lot) -> float:
    return _cpu_s(lambda: _by_columns(lot), _runs_of(lot))


def _runs_of(lot: Lot) -> int:
    return decode(lot, _SCHEMAS).frame["run_id"].n_unique()


def _one_by_one(lot: Lot) -> int:
    arrivals = [
        arrival
        for message in lot
        for arrival in arrivals_in(message.value, message.partition, message.offset, _SCHEMAS)
    ]
    items = [wire.encode_record(_RUN, dict(run_of(some, closed_at=0).run)) for some in by_run(arrivals).values()]
    for at in range(0, len(items), _BATCH_RUNS):
        wire.encode_batch(_RUN.schema_id, wire.encode_long(0), items[at : at + _BATCH_RUNS])
    return len(items)


def _by_columns(lot: Lot) -> int:
    assembler = Assembler(Limits())
    assembler.add(decode(lot, _SCHEMAS).frame, 0)
    closed = assembler.close(0)
    return sum(len(batch.run_ids) for batch in run_batches(closed.runs, 0, _SCHEMAS))


if __name__ == "__main__":
    sys.exit(main("definition", measure))
