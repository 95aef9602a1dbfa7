"""How well drift is found: false alerts on data that does not drift, power against the size of a move, and the anchor.

Windows are drawn, with seeds, from one workflow of nine dimensions and five anchors, and judged by the very code of the
watch. A planted move comes with a new value of one anchor, which serves some of the runs; decoys change share too and
mean nothing. With --peer PYTHON the same windows are given to Evidently, run by that interpreter. `--engine` measures
how long a window of ten million runs takes to judge, from roll-ups that the engine counted; `--demo` watches the demo.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.drifting.plot import power_plot
from benchmarks.harness import Report, main
from causeline.drift.counts import ANCHORS, NONE, Counts
from causeline.drift.judging import Baseline, Judgement, Outcome, Question, judge

RUNS = 2_000
BASELINE_WINDOWS = 24
SEED = 20_261_102
EFFECTS = (0.0, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.10)
PLANTED = "system_fingerprint"
SERVED = 0.6
"""Share of the runs that the changed provider serves."""

DIMENSIONS: Mapping[str, tuple[float, ...]] = {
    "route": (0.46, 0.31, 0.16, 0.05, 0.02),
    "fallback": (0.90, 0.05, 0.03, 0.015, 0.005),
    "gaps": (0.78, 0.09, 0.07, 0.04, 0.02),
    "review_outcome": (0.75, 0.17, 0.06, 0.02),
    "refusal": (0.99, 0.01),
    "final_state": (0.88, 0.06, 0.03, 0.02, 0.01),
    "confidence": (0.02, 0.08, 0.30, 0.45, 0.15),
    "provenance": (0.03, 0.07, 0.20, 0.40, 0.30),
    "label:language": (0.55, 0.25, 0.15, 0.05),
}
_RADIX = 8
"""More than any anchor has values."""
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Drawn:
    """The runs of one stretch of time: for each anchor and dimension, the place of each run's value."""

    anchors: Mapping[str, Ints]
    values: Mapping[str, Ints]

    def counts(self, dimension: str) -> Counts:
        """What a roll-up would hold of it."""
        code = self.values[dimension].astype(np.int64)
        for values in self.anchors.values():
            code = code * _RADIX + values
        found = {}
        for cell, count in zip(*np.unique(code, return_counts=True), strict=True):
            rest, said = int(cell), {}
            for name in reversed(list(self.anchors)):
                rest, said[name] = divmod(rest, _RADIX)
            combination = tuple(f"{name}-{said[name]}" if name in said else NONE for name in ANCHORS)
            found[combination, f"v{rest}"] = int(count)
        return Counts(found)


def draw(rng: np.random.Generator, runs: int, *, moved: float = 0.0, decoys: bool = False) -> Drawn:
    """Runs as ever; or with `moved` of all of them gone from the first route to the second, under a new fingerprint.

    With decoys a fifth of the runs has a new parser, and the mix of prompts changes; neither does anything.
    """
    served = rng.random(runs) < SERVED
    anchors = {
        "model_provider": served.astype(np.int64),
        PLANTED: np.where(served, 1 if not (moved or decoys) else 2, 0),
        "prompt_version": rng.choice(3, runs, p=(0.5, 0.3, 0.2) if not decoys else (0.4, 0.3, 0.3)),
        "parser_version": (rng.random(runs) < (0.2 if decoys else 0.0)).astype(np.int64),
        "route_policy_version": rng.choice(2, runs, p=(0.9, 0.1)),
    }
    values = {name: rng.choice(len(shares), runs, p=shares) for name, shares in DIMENSIONS.items()}
    if moved:
        route = values["route"]
        chance = moved / (SERVED * DIMENSIONS["route"][0])
        route[served & (route == 0) & (rng.random(runs) < chance)] = 1
    return Drawn(anchors, values)


def judged(before: Drawn, after: Drawn) -> Sequence[Judgement]:
    """Every dimension of a window, as the watch judges it."""
    return judge(
        [Question("invoice", name, Baseline.PREVIOUS, before.counts(name), after.counts(name)) for name in DIMENSIONS]
    )


def alerts(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Those that drift."""
    return [each for each in judgements if each.outcome is Outcome.DRIFTING]


def power(rng: np.random.Generator, effect: float, rounds: int, *, windows: int = BASELINE_WINDOWS) -> float:
    """How often a move of `effect` is found in the first full window that has it."""
    found = 0
    for _ in range(rounds):
        before, after = draw(rng, RUNS * windows), draw(rng, RUNS, moved=effect)
        found += any(each.question.dimension == "route" for each in alerts(judged(before, after)))
    return found / rounds


def first_named(rng: np.random.Generator, rounds: int) -> float:
    """How often the planted anchor comes first, decoys beside it, of planted moves of six points."""
    right = total = 0
    while total < rounds:
        before, after = draw(rng, RUNS * BASELINE_WINDOWS), draw(rng, RUNS, moved=0.06, decoys=True)
        for each in alerts(judged(before, after)):
            if each.question.dimension == "route":
                total += 1
                right += each.attributions()[0].anchor == PLANTED
    return right / total


def against_peer(python: str, rounds: int) -> Mapping[str, object]:
    """The same windows judged by the peer: its false alerts and its power, by its defaults and by a chi-square test."""
    rng = np.random.default_rng(SEED + 1)
    with tempfile.TemporaryDirectory(prefix="causeline-drift-") as folder:
        ours: dict[str, int] = {"false": 0, "found": 0}
        for number in range(rounds):
            before = draw(rng, RUNS * BASELINE_WINDOWS)
            for kind, effect in (("false", 0.0), ("found", 0.06)):
                after = draw(rng, RUNS, moved=effect)
                moved = alerts(judged(before, after))
                ours[kind] += any(kind == "false" or each.question.dimension == "route" for each in moved)
                arrays = {f"before/{name}": before.values[name] for name in DIMENSIONS}
                arrays |= {f"after/{name}": after.values[name] for name in DIMENSIONS}
                np.savez(Path(folder) / f"{number}-{kind}.npz", **arrays)  # type: ignore[arg-type]
        script = Path(__file__).parent / "drifting" / "peer.py"
        run = subprocess.run([python, str(script), folder], stdout=subprocess.PIPE, text=True, check=True)
    theirs = json.loads(run.stdout.strip().splitlines()[-1])
    return {
        "causeline": {"false_alert_rate": ours["false"] / rounds, "power_6pt": ours["found"] / rounds},
        **theirs,
    }


def measure(chosen: argparse.Namespace) -> Report:
    """All figures."""
    rng = np.random.default_rng(SEED)
    windows = 100 if chosen.quick else 1_000
    rounds = 20 if chosen.quick else 200
    report = Report("drift")
    false = sum(bool(alerts(judged(draw(rng, RUNS * BASELINE_WINDOWS), draw(rng, RUNS)))) for _ in range(windows))
    report.rows["false_alert_rate"] = false / windows
    tries = {effect: rounds if effect == 0.06 else rounds // 4 for effect in EFFECTS}
    curve = [(effect, power(rng, effect, tries[effect])) for effect in EFFECTS]
    single = [(effect, power(rng, effect, tries[effect], windows=1)) for effect in EFFECTS]
    report.rows["power_6pt"] = dict(curve)[0.06]
    report.rows["power_6pt_one_window_before"] = dict(single)[0.06]
    report.rows["attribution_top1"] = first_named(rng, rounds)
    before, after = draw(rng, RUNS * BASELINE_WINDOWS), draw(rng, RUNS, moved=0.06)
    counted = [
        Question("invoice", name, Baseline.PREVIOUS, before.counts(name), after.counts(name)) for name in DIMENSIONS
    ]
    start = time.perf_counter()
    for _ in range(20):
        for each in judge(counted):
            each.attributions()
    report.rows["judge_ms"] = round((time.perf_counter() - start) / 20 * 1000, 2)
    report.rows["vs_peer"] = None
    if chosen.peer:
        table = against_peer(chosen.peer, 20 if chosen.quick else 40)
        report.extra["peer"] = table
        report.notes += [f"{name}: {figures}" for name, figures in table.items()]
        ours, theirs = table["causeline"], table["evidently"]
        assert isinstance(ours, dict)
        assert isinstance(theirs, dict)
        report.rows["vs_peer"] = round(ours["power_6pt"] - theirs["power_6pt"], 4)
    else:
        report.notes.append(
            "vs_peer: give --peer the Python of an environment with evidently (benchmarks/drifting/peer.py)"
        )
    report.extra["power"] = {"day_of_windows_before": curve, "one_window_before": single}
    if chosen.plot:
        Path(chosen.plot).write_text(power_plot(curve, single), "utf-8")
    if chosen.demo:
        from benchmarks.drifting.demo import measure_demo  # noqa: PLC0415 - starts an engine

        said = measure_demo(900, 20 if chosen.quick else 200)
        report.extra["demo"] = said
        report.notes += [f"{name}: {value}" for name, value in said.items()]
    if chosen.engine:
        from benchmarks.drifting.engine import measure_engine  # noqa: PLC0415 - starts an engine

        report.rows.update(measure_engine(1_000_000 if chosen.quick else 10_000_000))
    return report


def options(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--peer", default=None, help="a Python that has evidently; vs_peer is null without")
    parser.add_argument("--plot", default=None, help="write power against effect as SVG here")
    parser.add_argument("--demo", action="store_true", help="also watch the demo's drift scenario, in the engine")
    parser.add_argument("--engine", action="store_true", help="also judge a window of ten million runs in the engine")


if __name__ == "__main__":
    sys.exit(main("drift", measure, options))
