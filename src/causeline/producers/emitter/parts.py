"""Events of several partitions as one thing to send: handed over by partition, told of once."""

import itertools
from collections.abc import Callable, Mapping, Sequence

from causeline.producers.emitter.transport import TooLarge

Report = Callable[[str | None], None]
SendItems = Callable[[int, Sequence[bytes], Report], None]
"""Hands the events of one partition to the client; reports None once the broker has them, or the error."""


def send_parts(parts: Mapping[int, Sequence[bytes]], send: SendItems, settle: Report) -> None:
    """Hand over the events of each partition; `settle` is told once all are reported: None, or one of the errors. First
    that of a part that was too large, which will not go otherwise."""
    told = itertools.count(1)
    errors: list[str] = []

    def report(error: str | None) -> None:
        if error is not None:
            errors.append(error)
        if next(told) == len(parts):
            settle(next((each for each in errors if isinstance(each, TooLarge)), errors[0]) if errors else None)

    for partition, items in parts.items():
        send(partition, items, report)
