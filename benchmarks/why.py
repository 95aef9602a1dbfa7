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

from benchmarks.harness import Report, main
from benchmarks.joined import arrivals, joined
from benchmarks.zoo import figures, through_stack
from benchmarks.zoo.kept import Kept
from benchmarks.zoo.lengths import cpu_ms
from benchmarks.zoo.plan import Sizes
from benchmarks.zoo.unread import unread
from causeline.demo.plan import plan
from causeline.demo.publish import demo_policy, publish_planned
from causeline.diagnosis import Certainty, Diagnosis, Finding, diagnose
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.tracer import Tracer
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.run import Run
from causeline.streams.definition.events import Arrival

SEEDS = (911, 1213, 1717)
"""Seeds that no rule was written against."""
_OF_REVIEW = frozenset({"correction_lost", "review_missing"})
_SAME_LAYER = {"classify": "route"}


Truth = Mapping[str, Mapping[str, object]]
"""What was planted in each run, by its id."""


def published_events(seed: int, count: int, *, faulty_share: float, pairs: bool) -> tuple[list[Arrival], Truth]:
    """The events of a seed's demo runs as they come off the wire, and what the truth file says."""
    kept = Kept()
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
    return arrivals(kept.values), truth


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
    return {
        _layer(finding)
        for cause in found.causes
        for finding in (cause.finding, *(each.finding for each in cause.consequences))
    }


def owed(found: Diagnosis) -> set[str]:
    """The layer of a fault that is told as left to do: what reviewers owe a run is told apart from causes."""
    return {"review"} if {duty.rule for duty in found.left_to_do} & _OF_REVIEW else set()


def _layer(finding: Finding) -> str:
    return _SAME_LAYER.get(finding.boundary, str(finding.boundary))


def blames(found: Diagnosis) -> bool:
    """Whether a cause is told as certain."""
    return found.first_cause is not None and found.first_cause.certainty is Certainty.CERTAIN


def _aside(options: argparse.Namespace) -> Report | None:
    """What is asked for in place of the demo: what a diagnosis costs, what no rule reads, the zoo; else None."""
    if options.lengths:
        report = Report("why --lengths")
        report.rows.update(cpu_ms())
        return report
    if options.unread:
        report = Report("why --unread")
        report.extra["unread"] = unread(options.zoo or "open", options.seed or 5, Sizes(clean=6, faulty=1))
        report.notes.append(json.dumps(report.extra["unread"], indent=1))
        return report
    if options.through_stack:
        return through_stack.measure(options)
    if options.zoo:
        return figures.measure(options)
    return None


def measure(options: argparse.Namespace) -> Report:
    """Judge the runs of each seed and compare with what was planted; with --zoo those of the zoo."""
    if (aside := _aside(options)) is not None:
        return aside
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
                    print("CLEAN", run.run_id, run.workflow, [cause.finding.rule for cause in found.causes])
                continue
            layers = {fault["layer"] for fault in faults}
            name = "+".join(sorted(fault["fault"] for fault in faults))
            said = layer_of(found)
            hit = said in layers or bool(layers & owed(found))
            both += layers <= layers_shown(found)
            right[run.workflow] += hit
            total[run.workflow] += 1
            by_fault[name]["right" if hit else "wrong"] += 1
            confusion["+".join(sorted(layers))][said] += 1
            if options.show and not hit:
                rules = [(c.finding.rule, c.certainty.value) for c in found.causes]
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
    parser.add_argument("--zoo", choices=["open", "sealed"], help="the workflows of the zoo in place of the demo's")
    parser.add_argument("--form", choices=["partial", "full", "otel"], help="with --zoo: this form only")
    parser.add_argument("--workflow", help="with --zoo: this workflow only")
    parser.add_argument("--jobs", type=int, default=2, help="with --zoo: processes at once")
    parser.add_argument(
        "--through-stack",
        action="store_true",
        help="with --zoo: runs through the stack, read by `causeline causes`",
    )
    parser.add_argument("--lengths", action="store_true", help="CPU of one diagnosis by the length of a run")
    parser.add_argument("--unread", action="store_true", help="what the zoo's runs have on record and no rule reads")
    parser.add_argument("--show", action="store_true", help="print every miss")


if __name__ == "__main__":
    sys.exit(main("why", measure, options))
