"""What will be published: for each index the documents, what is planted, and how chance goes; the same for one seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from causeline.demo.cases import FIELDS, TARGETS, make_case
from causeline.demo.desk import Behaviour
from causeline.demo.documents import Case, Nature
from causeline.demo.faults import ALL, FAULTS, Fault, faults_of
from causeline.demo.model import PERSONAS, switched

FAULTY_SHARE = 0.18
_LEGACY_SHARE = 0.02
_AUDITED_SHARE = 0.15
_STUMBLE_SHARE = 0.03
_ABSENT_SHARE = 0.03
_SMUDGED_SHARE = 0.07
_CONFLICT_SHARE = 0.06
_DRIFTING = "acme"
"""The provider that changes its backend in the drift scenario."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run to be: its documents, how it goes, the faults planted in it, and whether its model is another by now."""

    index: int
    case: Case
    behaviour: Behaviour
    faults: tuple[Fault, ...]
    drifted: bool = False


def plan(
    seed: int,
    runs: int,
    *,
    faulty_share: float = FAULTY_SHARE,
    pairs: bool = False,
    drift_at: float | None = None,
) -> Iterator[PlannedRun]:
    """The runs of a seed. `pairs` plants two faults at a time; `drift_at` is the share of runs after which one
    provider changes its backend."""
    for index in range(runs):
        rng = random.Random(f"{seed}:{index}")
        workflow = ALL[rng.randrange(len(ALL))]
        faults: tuple[Fault, ...] = ()
        if rng.random() < faulty_share:
            known = faults_of(workflow)
            faults = tuple(rng.sample(known, 2)) if pairs else (rng.choice(known),)
        drifted = drift_at is not None and index >= drift_at * runs
        yield planned(seed, index, workflow, faults, rng, drifted=drifted)


def planned(
    seed: int, index: int, workflow: str, faults: tuple[Fault, ...], rng: random.Random, *, drifted: bool = False
) -> PlannedRun:
    """One run of a workflow with these faults planted."""
    nature = _nature(workflow, faults, rng)
    twist = frozenset(fault.name for fault in faults)
    persona = PERSONAS[workflow]
    drifted = drifted and persona.provider == _DRIFTING
    behaviour = Behaviour(
        twist=twist,
        persona=switched(persona) if drifted else persona,
        rng=random.Random(f"{seed}:{index}:model"),
        legacy=rng.random() < _LEGACY_SHARE,
        stumbles=rng.random() < _STUMBLE_SHARE,
        audited=rng.random() < _AUDITED_SHARE or "correction_lost" in twist,
    )
    case = make_case(workflow, index, rng, nature)
    # A duplicate stops before most steps, so that what is planted in them would not show.
    return PlannedRun(index, replace(case, duplicate=False) if faults else case, behaviour, faults, drifted)


def _nature(workflow: str, faults: tuple[Fault, ...], rng: random.Random) -> Nature:
    """What the documents are like. A fault does not make them any better: what it needs comes on top.

    Only a conflict stays away from what a fault needs: the run would be handed over before it shows.
    """
    target = TARGETS[workflow]
    noise = 0.15 if rng.random() < 0.05 else 0.0
    nature = _as_it_comes(workflow, target, rng, noise)
    needs = {fault.needs for fault in faults if fault.needs}
    if not needs:
        return nature
    spared = "$.tax" if workflow == "invoice" else target  # the order lookup would see a misprinted total
    return replace(
        nature,
        conflict=None,
        absent=target if "absent" in needs else nature.absent,
        smudged=target if "smudged" in needs else nature.smudged,
        misprint=spared if "misprint" in needs else None,
    )


def _as_it_comes(workflow: str, target: str, rng: random.Random, noise: float) -> Nature:
    chance = rng.random()
    path = rng.choice([field.path for field in FIELDS[workflow] if field.kind in ("money", "date", "id")])
    if chance < _ABSENT_SHARE * (3 if noise else 1):
        return Nature(absent=path, scan_noise=noise)
    if chance < (_ABSENT_SHARE + _SMUDGED_SHARE) * (2 if noise else 1):
        return Nature(smudged=path, scan_noise=noise)
    return Nature(conflict=target if chance > 1 - _CONFLICT_SHARE else None, scan_noise=noise)


def catalogue() -> tuple[Fault, ...]:
    """Every fault that can be planted."""
    return tuple(FAULTS.values())
