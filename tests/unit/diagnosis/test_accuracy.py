"""The planted fault is found on a seed that no rule was written against; `benchmarks.why` says it of many more runs."""

from collections import Counter
from typing import cast

import pytest

from benchmarks.why import blames, joined_runs, layer_of, layers_shown, owed
from causeline.demo.faults import FAULTS
from causeline.demo.publish import demo_policy
from causeline.diagnosis import diagnose

POLICY = demo_policy()


@pytest.mark.parametrize("pairs", [False, True])
def test_the_first_cause_is_a_planted_layer_and_clean_runs_are_not_blamed(*, pairs: bool) -> None:
    right, shown, blamed = Counter[bool](), Counter[bool](), Counter[bool]()
    for run, truth in joined_runs(3301, 160, faulty_share=0.75, pairs=pairs, policy=POLICY):
        found = diagnose(run, POLICY)
        faults = cast("list[dict[str, str]]", truth["faults"])
        layers = {fault["layer"] for fault in faults}
        if not layers:
            blamed[blames(found)] += 1
            continue
        right[bool(layers & ({layer_of(found)} | owed(found)))] += 1
        shown[layers <= layers_shown(found) | owed(found)] += 1

    assert right.total() > 100
    assert right[True] / right.total() >= 0.95
    assert shown[True] / shown.total() >= (0.65 if pairs else 0.95)
    assert blamed.total() > 20
    assert blamed[True] == 0


def test_there_are_faults_enough_in_every_layer() -> None:
    layers = Counter(fault.layer for fault in FAULTS.values())

    assert len(FAULTS) >= 24
    assert min(layers.values()) >= 2
