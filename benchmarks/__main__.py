"""Every benchmark, one after the other: `python -m benchmarks [--quick] [--only NAME]`. Prints one table."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

_NOT_BENCHMARKS = {"__init__", "__main__", "harness", "reference_joiner"}


def main() -> int:
    """Run each in a process of its own, so that none warms or burdens the next; 1 when one failed."""
    known = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - _NOT_BENCHMARKS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds of less, to see that they run")
    parser.add_argument("--only", action="append", choices=known, help="this one; repeat it for more")
    options = parser.parse_args()
    table = Table("benchmark", "figure", "value", "spread of the rounds")
    failed = 0
    for name in options.only or known:
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *(["--quick"] if options.quick else [])]
        print(f"{name} …", file=sys.stderr, flush=True)
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if run.returncode:
            failed += 1
            table.add_row(name, "failed", str(run.returncode), "")
            continue
        figures = json.loads(run.stdout.strip().splitlines()[-1])
        spread = figures.pop("spread", {})
        for figure, value in figures.items():
            if isinstance(value, int | float | str) and figure != "benchmark":
                low, high = spread.get(figure, ("", ""))
                table.add_row(name, figure, str(value), f"{low} to {high}" if low != "" else "")
    Console().print(table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
