"""The compiled core (`core/`), where it is installed: its pen writes events in the place of the generated functions.

The pen is told of each layout what the encoders say of themselves (their `plan`), so that nothing is said twice. It is
never the judge of what is valid: what it does not know to be good it gives back as None, also where it is itself at
fault, and the event then goes the way that it goes without it.

`CAUSELINE_CORE=python` leaves the core aside.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple, Protocol, cast

_SEAM: Final = 2
"""What the core has to say of itself; a number for each set of names and arguments that lie between it and us."""
_VARIABLE: Final = "CAUSELINE_CORE"


class Layout(Protocol):
    """One type of event, as the pen has it."""


class RunPen(Protocol):
    """Writes the events of one run. Safe for threads."""

    def write(
        self, layout: Layout, seq: object, at: object, fields: Mapping[str, object], fixed: object = None, /
    ) -> tuple[str, bytes] | None:
        """An event with a new id, and its item; `fixed` are the values of the layout's fixed fields."""

    def encode(
        self, layout: Layout, event_id: str, seq: object, at: object, fields: Mapping[str, object], /
    ) -> bytes | None:
        """The item of an event that has its id already."""


class NativePart(Protocol):
    """Events of one run, as the core keeps them."""

    def __len__(self) -> int: ...

    def items(self) -> list[tuple[bytes, tuple[int, int, int] | None]] | None:
        """Each event's bytes, and its place: partition, offset, which one of the message. None where it is damaged."""


class NativeKnown(Protocol):
    """The events of one run, by their ids."""

    def take(self, part: NativePart, /) -> tuple[NativePart | None, int, int, int] | None:
        """The values of a `Fresh`; None where an event is not sound."""


class Core(Protocol):
    """What the module `causeline_core` has."""

    __version__: str
    SEAM: int

    def Layout(  # noqa: N802 - a class of the module
        self, type_text: bytes, fields: list[Any], places: int, fixed: Sequence[str], most_bytes: int, /
    ) -> Layout:
        """A type of event: `fields` are (name, place, branch, plan, encoder, whether it must be said)."""

    def RunPen(self, run: bytes, start: bytes, draw: Callable[[], str], /) -> RunPen:  # noqa: N802 - as above
        """The pen of one run: what all its events say, and who draws the first 29 digits of ids."""

    def take(
        self, value: bytes, partition: int, offset: int, /
    ) -> tuple[int, list[tuple[Any, ...]], list[tuple[Any, ...]]] | None:
        """What stands in a framed value of the newest schema: how many events, the values of a `Share` of each run and
        emitter, those of an `Event` of each piece of evidence. None unless all of it keeps the contract."""

    def part_of(self, items: Sequence[tuple[bytes, tuple[int, int, int] | None]], /) -> NativePart | None:
        """Events with their places; None where one is not sound."""

    def Known(self) -> NativeKnown:  # noqa: N802 - a class of the module
        """Nothing is known of a run yet."""

    def together(self, parts: list[NativePart], /) -> NativePart | None:
        """The same events as one part; None where one is damaged."""

    def join(
        self,
        parts: list[NativePart],
        closed: tuple[int, str | None, bool, str, tuple[int | None, int | None, int | None] | None],
        judge: Callable[[list[tuple[Any, ...]]], tuple[bytes, bytes, bytes]],
        /,
    ) -> tuple[Any, ...] | None:
        """A run: its record, then the values of a `Brief` but for what `judge` knows, then those of a `Written`.

        `closed`: when, why, whether anew, by which policy, where in the log. `judge` gives three arrays as written.
        """


class State(NamedTuple):
    """What there is to say of the core."""

    says: str
    is_well: bool = True
    """Whether it is as somebody meant it to be."""


def _installed() -> tuple[Core | None, State]:
    if os.environ.get(_VARIABLE) == "python":
        return None, State(f"left aside by {_VARIABLE}")
    try:
        found = cast("Core", import_module("causeline_core"))
        seam, version = found.SEAM, found.__version__
    except ModuleNotFoundError:
        return None, State("not installed")
    except (ImportError, AttributeError):
        return None, State("damaged: it cannot be loaded", is_well=False)
    if seam != _SEAM:
        return None, State(f"version {version} is of another causeline", is_well=False)
    return found, State(f"version {version}")


CORE, CORE_STATE = _installed()
"""The core, None where Python does all; and what there is to say of it."""
