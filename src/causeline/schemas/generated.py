"""Generated writers: for a set of fields that recurs, one function that checks and encodes them all in one expression.

A workflow's steps say the same fields over and over, by the same calls. So the fields' names in their order choose a
function, made when they come a second time: it unpacks the values, has a term for each of them, and has one constant
for each stretch of fields that such an event does not say.

A generated function is never the judge of what is valid. It raises for whatever it does not know to be good, and the
caller then goes field by field.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from causeline.schemas.values import NULL, Encoder

WriteAll: TypeAlias = Callable[[bytes, bytes, bytes, int, int, Iterable[Any]], bytes]
"""(event id, constants of the run, its start, number, moment, values of the fields) -> the item; may raise anything."""

_MAX_GENERATED: Final = 512
"""A type of event: a few KB and a millisecond each. Sets that come after go field by field."""
_MAX_SEEN_ONCE: Final = 4096


@dataclass(frozen=True, slots=True)
class Slot:
    """A field of one event type: its place in the record, its encoder, and whether it must be said."""

    place: int
    encode: Encoder
    required: bool


class Generated(dict[tuple[str, ...], WriteAll | None]):
    """The functions of one event type, by the names of the fields that an event says; None where none is made.

    Safe for threads: at worst two of them make the same function.
    """

    def __init__(
        self, type_text: bytes, slots: Mapping[str, Slot], places: int, *, sequence: Encoder, moment: Encoder
    ) -> None:
        super().__init__()
        self._type_text = type_text
        self._slots = slots
        self._places = places
        self._sequence = sequence
        self._moment = moment
        self._seen_once: set[tuple[str, ...]] = set()

    def __missing__(self, names: tuple[str, ...]) -> WriteAll | None:
        if len(self) >= _MAX_GENERATED:
            return None
        if names not in self._seen_once:
            if len(self._seen_once) >= _MAX_SEEN_ONCE:
                self._seen_once.clear()
            self._seen_once.add(names)
            return None
        made = self[names] = self._generate(names) if self._can_be_good(names) else None
        self._seen_once.discard(names)
        return made

    def _can_be_good(self, names: tuple[str, ...]) -> bool:
        return set(names) <= self._slots.keys() and {n for n, s in self._slots.items() if s.required} <= set(names)

    def _generate(self, names: tuple[str, ...]) -> WriteAll:
        known: dict[str, object] = {}

        def bind(thing: object) -> str:
            name = f"k{len(known)}"
            known[name] = thing
            return name

        said = sorted((self._slots[name].place, f"v{number}", self._slots[name]) for number, name in enumerate(names))
        terms = [
            "event_id", "run", self._sequence.inline("seq", bind), bind(self._type_text), "start",
            self._moment.inline("at", bind),
        ]  # fmt: skip
        after = 0
        for place, value, slot in said:
            if place > after:
                terms.append(bind(NULL * (place - after)))
            term = slot.encode.inline(value, bind)
            terms.append(term if slot.required else f"({bind(NULL)} if {value} is None else {term})")
            after = place + 1
        if after < self._places:
            terms.append(bind(NULL * (self._places - after)))
        unpack = f"{', '.join(f'v{number}' for number in range(len(names)))}, = values" if names else "pass"
        source = (
            "def write_all(event_id, run, start, seq, at, values):\n"
            f"    {unpack}\n"
            f"    return {bind(b''.join)}(({', '.join(terms)}))\n"
        )
        exec(compile(source, f"<causeline writer of {len(names)} fields>", "exec"), known)  # noqa: S102 - our own text
        return cast("WriteAll", known["write_all"])
