"""Waiting, for the demo, until all that was published can be asked for, or nothing more comes."""

import time
from collections.abc import Callable

from causeline.cli import output

_POLL_S = 0.5

Numbers = tuple[int, int]


def gathered(
    look: Callable[[], Numbers],
    wanted: Numbers,
    *,
    label: str,
    patience_s: float,
    now_s: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Numbers:
    """What `look` gives once it is at least `wanted`, or has not changed for so long; the progress is shown."""
    last: Numbers | None = None
    moved = now_s()
    with output.progress() as tell:
        while True:
            there = look()
            if all(found >= asked for found, asked in zip(there, wanted, strict=True)):
                return there
            if there != last:
                last, moved = there, now_s()
            elif now_s() - moved > patience_s:
                return there
            tell(label, sum(there) / sum(wanted))
            pause(_POLL_S)
