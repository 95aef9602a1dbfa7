"""Generated writers: for a set of fields that recurs, one function that checks and encodes them all in one expression.

A workflow's steps say the same fields over and over, by the same calls. So the fields' names in their order choose a
function, made when they come a second time: it unpacks the values, has a term for each of them, and has one constant
for each stretch of fields that such an event does not say.

A generated function is never the judge of what is valid. It raises for whatever it does not know to be good, and the
caller then goes field by field.

Decided in ADR 19.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from causeline.schemas.wire.values import NULL, Encoder, Remembered, Together

WriteAll: TypeAlias = Callable[..., bytes]
"""(event id, constants of the run, its start, number, moment, values of the fields, *values of the fixed fields) -> the
item; may raise anything."""

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

    The `fixed` fields are said by every event and are no part of the names. Safe for threads: at worst two of them make
    the same function.
    """

    def __init__(
        self,
        type_text: bytes,
        slots: Mapping[str, Slot],
        places: int,
        *,
        sequence: Encoder,
        moment: Encoder,
        fixed: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self._fixed = fixed
        self._together: dict[tuple[str, ...], Together] = {}
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
        said = {*names, *self._fixed}
        required = {name for name, slot in self._slots.items() if slot.required}
        return required <= said <= self._slots.keys() and len(said) == len(names) + len(self._fixed)

    def _generate(self, names: tuple[str, ...]) -> WriteAll:
        known: dict[str, object] = {}

        def bind(thing: object) -> str:
            name = f"k{len(known)}"
            known[name] = thing
            return name

        values = {name: f"v{number}" for number, name in enumerate((*names, *self._fixed))}
        terms = ["event_id", "run", self._sequence.inline("seq", bind), bind(self._type_text), "start"]
        terms.append(self._moment.inline("at", bind))
        after = 0
        for stretch in self._stretches(values):
            first, last = self._slots[stretch[0]].place, self._slots[stretch[-1]].place
            if first > after:
                terms.append(bind(NULL * (first - after)))
            terms.append(self._term(stretch, values, bind))
            after = last + 1
        if after < self._places:
            terms.append(bind(NULL * (self._places - after)))
        unpack = f"{', '.join(values[name] for name in names)}, = values" if names else "pass"
        fixed = "".join(f", {values[name]}" for name in self._fixed)
        source = (
            f"def write_all(event_id, run, start, seq, at, values{fixed}):\n"
            f"    {unpack}\n"
            f"    return {bind(b''.join)}(({', '.join(terms)}))\n"
        )
        exec(compile(source, f"<causeline writer of {len(values)} fields>", "exec"), known)  # noqa: S102 - our own text
        return cast("WriteAll", known["write_all"])

    def _stretches(self, names: Iterable[str]) -> list[list[str]]:
        """The fields in the record's order, those together that are remembered together."""
        stretches: list[list[str]] = []
        before: Slot | None = None
        for name in sorted(names, key=lambda name: self._slots[name].place):
            slot = self._slots[name]
            if before is not None and slot.place == before.place + 1 and _is_steady(slot) and _is_steady(before):
                stretches[-1].append(name)
            else:
                stretches.append([name])
            before = slot
        return stretches

    def _term(self, stretch: list[str], values: Mapping[str, str], bind: Callable[[object], str]) -> str:
        slots = [self._slots[name] for name in stretch]
        if len(stretch) > 1:
            fields = [(slot.encode, slot.required) for slot in slots if isinstance(slot.encode, Remembered)]
            together = self._together.setdefault(tuple(stretch), Together(fields))
            return f"{bind(together)}[{', '.join(values[name] for name in stretch)}]"
        term = slots[0].encode.inline(values[stretch[0]], bind)
        return term if slots[0].required else f"({bind(NULL)} if {values[stretch[0]]} is None else {term})"


def _is_steady(slot: Slot) -> bool:
    return isinstance(slot.encode, Remembered) and slot.encode.steady
