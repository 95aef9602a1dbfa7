"""What is run of a workflow: clean runs first, then each fault's, in an order and with draws that a seed fixes."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from benchmarks.zoo.protocol import Fault, Form, Workflow


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many runs of a workflow and form."""

    clean: int = 300
    faulty: int = 20
    """Of each fault."""


QUICK = Sizes(clean=80, faulty=6)


@dataclass(frozen=True, slots=True)
class Planned:
    """One run to do."""

    number: int
    fault: Fault | None
    random: Random


def plan(workflow: Workflow, form: Form, seed: int, sizes: Sizes) -> Iterator[Planned]:
    """The runs of a workflow in a form; the clean ones come first, so that a release comes after them."""
    faults: list[Fault | None] = [None] * sizes.clean
    faults += [fault for fault in workflow.faults for _ in range(sizes.faulty)]
    for number, fault in enumerate(faults):
        name = f"{seed}/{workflow.name}/{form}/{fault.name if fault else ''}/{number}"
        yield Planned(number, fault, Random(zlib.crc32(name.encode())))
