"""How a fault is written down in short."""

from benchmarks.zoo.protocol import Fault


def fault(name: str, layers: str, step: str, things: str, footprint: str, *, regression: bool = False) -> Fault:
    """`layers` have blanks between them, `things` commas."""
    return Fault(
        name=name,
        layers=tuple(layers.split()),
        step=step,
        things=tuple(t.strip() for t in things.split(",")),
        footprint=footprint,
        regression=regression,
    )
