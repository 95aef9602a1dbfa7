"""How often the diagnosis finds the planted fault: demo runs, joined by the real assembler, judged by the real rules.

The workflows run for real, their events go through the wire and the assembler, and only then does anybody look at what
was planted. Faulty runs have one fault each, or two with --pairs (then either layer counts).
"""

import argparse
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from benchmarks.harness import Report, main
from causeline.console.diagnosis import Diagnosis, Finding, Health, diagnose
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.demo.plan import plan
from causeline.producers.demo.publish import demo_policy, publish_planned
from causeline.producers.emitter import Emitter
from causeline.producers.settings import EmitterSettings
from causeline.producers.tracer import Tracer
from causeline.producers.transport import Delivered
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.registry import Schemas
from causeline.schemas.run import Run
from causeline.streams.assemble import assemble
from causeline.streams.decode import Message, decode

SEEDS = (911, 1213, 1717)
"""Seeds that no rule was written against."""
_SAME_LAYER = {"classify": "route"}


class _Kept:
    """A transport that keeps what it is given, in one partition."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self._waiting: list[Delivered] = []

    def partitions(self, timeout_s: float) -> int | None:
        return 1

    def send(self, partition: int, value: bytes, delivered: Delivered) -> None:
        self.values.append(value)
        self._waiting.append(delivered)

    def poll(self, timeout_s: float) -> None:
        waiting, self._waiting = self._waiting, []
        for delivered in waiting:
            delivered(None)

    def close(self) -> None:
        self._waiting.clear()

    def abandon(self) -> None:
        self._waiting.clear()

    def take_fault(self) -> str | None:
        return None


Truth = Mapping[str, Mapping[str, object]]
"""What was planted in each run, by its id."""


def published_events(seed: int, count: int, *, faulty_share: float, pairs: bool) -> tuple[pl.DataFrame, Truth]:
    """The events of a seed's demo runs as they come off the wire, and what the truth file says."""
    kept = _Kept()
    with tempfile.TemporaryDirectory(prefix="causeline-why-") as folder:
        emitter = Emitter(EmitterSettings(buffer_events=10_000_000, buffer_bytes=2**31), transport=lambda: kept)
        with Tracer("why", emitter=emitter) as tracer:
            publish_planned(
                plan(seed, count, faulty_share=faulty_share, pairs=pairs),
                count=count,
                tracer=tracer,
                artifacts=ArtifactStore.open(folder),
                truth_file=Path(folder) / "truth.jsonl",
                session_label="why",
            )
            if left := tracer.flush(60):
                raise RuntimeError(f"{left.events} events were not kept")
        truth = {
            line["run_id"]: line for line in map(json.loads, (Path(folder) / "truth.jsonl").read_text().splitlines())
        }
    messages = [Message(0, offset, value) for offset, value in enumerate(kept.values)]
    decoded = decode(messages, Schemas())
    if decoded.unreadable:
        raise RuntimeError(f"{len(decoded.unreadable)} messages could not be read")
    return decoded.frame, truth


def joined(events: pl.DataFrame, policy: Policy) -> Iterator[Run]:
    """The runs that the assembler makes of events."""
    for record in assemble(events, closed_at_us=0, policy=policy).runs.iter_rows(named=True):
        yield Run.from_record(record)


def joined_runs(
    seed: int, count: int, *, faulty_share: float, pairs: bool, policy: Policy = DEFAULT_POLICY
) -> Iterator[tuple[Run, Mapping[str, object]]]:
    """Demo runs of a seed as the assembler makes them, each with its line of the truth file."""
    events, truth = published_events(seed, count, faulty_share=faulty_share, pairs=pairs)
    for run in joined(events, policy):
        yield run, truth[run.run_id]


def layer_of(found: Diagnosis) -> str:
    """The boundary that a diagnosis blames; `none` when it blames nobody."""
    return "none" if found.first_cause is None else _layer(found.first_cause.finding)


def layers_shown(found: Diagnosis) -> set[str]:
    """The boundaries of everything that a diagnosis finds wrong, causes and what it says to follow from them."""
    return {_layer(finding) for answer in found.answers for finding in answer.findings}


def _layer(finding: Finding) -> str:
    return _SAME_LAYER.get(finding.boundary.value, finding.boundary.value)


def blames(found: Diagnosis) -> bool:
    """Whether any of the six answers is `failed`."""
    return any(answer.health is Health.FAILED for answer in found.answers)


def measure(options: argparse.Namespace) -> Report:
    """Judge the runs of each seed and compare with what was planted."""
    count = 600 if options.quick else 2000
    seeds = [options.seed] if options.seed is not None else SEEDS
    policy = demo_policy()
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    by_fault: dict[str, Counter[str]] = defaultdict(Counter)
    confusion: dict[str, Counter[str]] = defaultdict(Counter)
    clean = blamed = both = 0
    for seed in seeds:
        for run, truth in joined_runs(seed, count, faulty_share=0.5, pairs=options.pairs, policy=policy):
            found = diagnose(run, policy)
            faults = truth["faults"]
            if not isinstance(faults, list) or not faults:
                clean += 1
                blamed += blames(found)
                if options.show and blames(found):
                    print("CLEAN", run.run_id, run.workflow, [f.rule for a in found.answers for f in a.findings])
                continue
            layers = {fault["layer"] for fault in faults}
            name = "+".join(sorted(fault["fault"] for fault in faults))
            said = layer_of(found)
            hit = said in layers
            both += layers <= layers_shown(found)
            right[run.workflow] += hit
            total[run.workflow] += 1
            by_fault[name]["right" if hit else "wrong"] += 1
            confusion["+".join(sorted(layers))][said] += 1
            if options.show and not hit:
                rules = [(c.finding.rule, c.finding.health.value) for c in found.causes]
                print("MISS", name, "said", said, run.workflow, run.final_state, rules)
    report = Report("why")
    report.rows["first_cause_accuracy"] = round(sum(right.values()) / max(sum(total.values()), 1), 4)
    report.rows["clean_false_blame"] = round(blamed / max(clean, 1), 4)
    for workflow in sorted(total):
        report.rows[f"accuracy_{workflow}"] = round(right[workflow] / total[workflow], 4)
    if options.pairs:
        report.rows["both_layers_shown"] = round(both / max(sum(total.values()), 1), 4)
    report.rows["faulty_runs"] = float(sum(total.values()))
    report.rows["clean_runs"] = float(clean)
    report.extra["by_fault"] = {
        name: round(counts["right"] / counts.total(), 3) for name, counts in sorted(by_fault.items())
    }
    report.extra["confusion"] = {layer: dict(counts) for layer, counts in sorted(confusion.items())}
    report.notes += (
        [f"{layer}: {dict(counts)}" for layer, counts in sorted(confusion.items())] if not options.pairs else []
    )
    worst = {name: share for name, share in report.extra["by_fault"].items() if share < 0.9}  # type: ignore[attr-defined]
    report.notes.append(f"faults found less than nine times in ten: {worst}" if not options.pairs else "pairs")
    return report


def options(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--seed", type=int, default=None, help="one seed in place of the three")
    parser.add_argument("--pairs", action="store_true", help="two faults in each faulty run")
    parser.add_argument("--show", action="store_true", help="print every miss")


if __name__ == "__main__":
    sys.exit(main("why", measure, options))
