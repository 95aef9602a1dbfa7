"""What every benchmark shares: interleaved rounds, CPU time as well as wall, median and spread, one line of JSON.

Contenders run in rounds, one after the other, so that a noisy minute hits all of them. Ratios are taken within a round
and only then summed up: absolute times of these machines do not hold, ratios do.
"""

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, and how far they lay apart."""

    median: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


def spread(values: Sequence[float]) -> Spread:
    """Median, least and greatest of `values`; raises ValueError for none."""
    if not values:
        raise ValueError("no rounds were measured")
    return Spread(statistics.median(values), min(values), max(values), len(values))


@dataclass(slots=True)
class Stopwatch:
    """CPU seconds of this process (children apart) and wall seconds between `start` and `stop`."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    _cpu: float = 0.0
    _wall: float = 0.0

    def __enter__(self) -> "Stopwatch":
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_s = time.process_time() - self._cpu
        self.wall_s = time.perf_counter() - self._wall


def peak_rss_mb() -> float:
    """The greatest resident size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@dataclass(slots=True)
class Report:
    """Named figures of a benchmark, in the order in which they are shown."""

    name: str
    rows: dict[str, Spread | float | str | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    extra: dict[str, object] = field(default_factory=dict)
    """For the JSON only."""

    def as_json(self) -> dict[str, object]:
        """Flat figures: medians, and under `spread` how far the rounds lay apart."""
        flat: dict[str, object] = {"benchmark": self.name, **machine()}
        apart = {}
        for key, value in self.rows.items():
            if isinstance(value, Spread):
                flat[key] = round(value.median, 6)
                apart[key] = [round(value.low, 6), round(value.high, 6)]
            else:
                flat[key] = value
        return flat | {"spread": apart, "notes": self.notes, **self.extra}


def machine(packages: Sequence[str] = ()) -> Mapping[str, object]:
    """What the figures were taken on."""
    return {"python": platform.python_version(), "cpus": _cpus(), **{name: version(name) for name in packages}}


def _cpus() -> int:
    import os  # noqa: PLC0415 - only here

    return len(os.sched_getaffinity(0))


def main(
    name: str,
    measure: Callable[[argparse.Namespace], Report],
    more_options: Callable[[argparse.ArgumentParser], None] | None = None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse the options that all benchmarks share, measure, and print a table or, last, one JSON object."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=sys.modules["__main__"].__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object on the last line")
    parser.add_argument("--quick", action="store_true", help="fewer rounds of less, to see that it runs")
    parser.add_argument("--rounds", type=int, default=None, help="rounds a contender (default: the benchmark's own)")
    if more_options is not None:
        more_options(parser)
    options = parser.parse_args(arguments)
    report = measure(options)
    if options.json:
        print(json.dumps(report.as_json()))
        return 0
    table = Table(title=name)
    table.add_column("figure")
    table.add_column("median (least to greatest)", justify="right")
    for key, value in report.rows.items():
        table.add_row(key, str(value))
    console = Console()
    console.print(table)
    for note in report.notes:
        console.print(f"  {note}")
    return 0
