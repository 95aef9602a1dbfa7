"""Lines and bars as places in a picture: numbers in, coordinates out, so that a page draws them without a script."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A line in a picture of `width` by `height`: its points as SVG has them, and what its edges mean."""

    points: str
    width: int
    height: int
    low: float
    high: float
    values: tuple[float, ...]


def line(values: Sequence[float], *, width: int = 600, height: int = 120) -> Line:
    """The line through `values`, left to right; from zero, or the lowest where that lies below."""
    low, high = min([0.0, *values]), max([*values, 0.0])
    span = high - low or 1.0
    step = width / max(len(values) - 1, 1)
    points = " ".join(
        f"{index * step:.1f},{height - (value - low) / span * (height - 8) - 4:.1f}"
        for index, value in enumerate(values)
    )
    return Line(points, width, height, low, high, tuple(values))
