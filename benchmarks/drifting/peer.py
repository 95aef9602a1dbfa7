"""Evidently over the windows that `benchmarks.drift --peer` made; run by a Python that has it, and nothing of ours.

    uv venv peer && uv pip install --python peer/bin/python evidently==0.7.23 "pandas<3"

Each file holds a baseline and a window. Three ways of asking are told: by Evidently's own defaults; with its chi-square
test for every column at the level of 0.05 that it takes by default; and with that test at our level by hand.
"""

import json
import sys
import time
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

WAYS: Mapping[str, Mapping[str, object]] = {
    "evidently": {},
    "evidently, chi-square": {"cat_method": "chisquare"},
    "evidently, chi-square at 0.002 / 9": {"cat_method": "chisquare", "cat_threshold": 0.002 / 9},
}


def frame(arrays: Mapping[str, npt.NDArray[np.int64]], side: str) -> pd.DataFrame:
    """One side's runs, a column a dimension."""
    return pd.DataFrame(
        {name.split("/", 1)[1]: values.astype(str) for name, values in arrays.items() if name.startswith(side)}
    )


def drifted(before: pd.DataFrame, after: pd.DataFrame, way: Mapping[str, object]) -> set[str]:
    """The columns that a report calls drifted: the distance above its threshold, or the p-value below."""
    definition = DataDefinition(categorical_columns=list(before.columns))
    snapshot = Report([DataDriftPreset(**way)]).run(
        Dataset.from_pandas(after, definition), Dataset.from_pandas(before, definition)
    )
    found = set()
    for metric in snapshot.dict()["metrics"]:
        config = metric.get("config", {})
        if config.get("type", "").endswith("ValueDrift"):
            value, threshold = float(metric["value"]), float(config["threshold"])
            by_p = "chisquare" in config["method"]
            if value < threshold if by_p else value >= threshold:
                found.add(config["column"])
    return found


def main() -> int:
    """Judge every file of the folder and print one JSON object."""
    warnings.simplefilter("ignore")
    files = sorted(Path(sys.argv[1]).glob("*.npz"))
    rounds = len(files) // 2
    table: dict[str, dict[str, float | str]] = {}
    for name, way in WAYS.items():
        false = found = 0
        start = time.perf_counter()
        for file in files:
            arrays = dict(np.load(file))
            columns = drifted(frame(arrays, "before"), frame(arrays, "after"), way)
            if file.stem.endswith("false"):
                false += bool(columns)
            else:
                found += "route" in columns
        spent = (time.perf_counter() - start) / len(files)
        table[name] = {
            "false_alert_rate": false / rounds,
            "power_6pt": found / rounds,
            "ms_a_window": round(spent * 1000, 1),
            "version": version("evidently"),
        }
    print(json.dumps(table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
