"""Facts that a client says nowhere but inside its content or its span events: a retriever's documents."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from pydantic_core import from_json

from causeline.otlp.receiver.drafts import Content
from causeline.otlp.receiver.telemetry import Attributes, SpanEvent, Value
from causeline.otlp.receiver.values import READERS, plain
from causeline.schemas import otel_names as names
from causeline.schemas.events import MAX_LIST

_BY_ID: Final = "gen_ai.retrieval.documents"
_Document = tuple[Value, list[tuple[str, Value]]]
"""A document's id, and all that is said of it."""


class Retrieved(NamedTuple):
    """The documents that a retrieval gave: references to them, by their ids or else their content, and their scores."""

    refs: tuple["str | Content", ...]
    scores: list[Value]
    is_empty: bool
    """Whether it says that there are none."""


def documents(attributes: Attributes, flat: list[tuple[str, Value]], events: Iterable[SpanEvent]) -> Retrieved:
    """What a retrieval gave."""
    found = [*_listed(attributes), *_numbered(flat), *_of_events(events)]
    refs = (READERS["ref"](plain(given)) or Content.of(parts) for given, parts in found)
    scores = [value for _, parts in found for key, value in parts if key == "score" or key.endswith(".score")]
    return Retrieved(
        tuple(each for each in refs if each is not None)[:MAX_LIST], scores, _parsed(attributes.get(_BY_ID)) == []
    )


def _listed(attributes: Attributes) -> Iterator[_Document]:
    said = attributes.get(_BY_ID)
    is_by_id = said is not None
    for key in names.RETRIEVED_AS_OUTPUT if not is_by_id else ():
        said = attributes.get(key)
        if said is not None:
            break
    said = _parsed(said)
    if isinstance(said, dict) and isinstance(said.get("documents"), list):
        said = said["documents"]
    if is_by_id and not isinstance(said, list | tuple):  # one reference, or no list at all: then it is content
        is_reference = isinstance(said, str) and ":" in said
        yield said if is_reference else None, [(_BY_ID, said)]
        return
    for item in said if isinstance(said, list | tuple) else ():
        members: dict[str, Value] = item if isinstance(item, dict) else {"id" if is_by_id else "content": item}
        yield _id_of(members), list(members.items())


def _id_of(members: dict[str, Value]) -> Value:
    inner = members.get("metadata")
    return members.get("id") or (inner.get("id") if isinstance(inner, dict) else None)


def _numbered(flat: list[tuple[str, Value]]) -> Iterator[_Document]:
    """`retrieval.documents.0.document.id` and its like."""
    by_number: dict[str, dict[str, Value]] = {}
    for key, value in flat:
        _, _, rest = key.partition("documents.")
        number, _, name = rest.partition(".")
        by_number.setdefault(number, {})[name.removeprefix("document.")] = value
    for number in sorted(by_number, key=lambda text: (len(text), text)):
        members = by_number[number]
        yield members.get("id"), list(members.items())


def _of_events(events: Iterable[SpanEvent]) -> Iterator[_Document]:
    """What vector stores tell as span events, one a document."""
    for event in events:
        if event.name == names.RESULT_EVENT:
            yield event.attributes.get(f"{names.RESULT_EVENT}.id"), list(event.attributes.items())


def _parsed(said: Value) -> Value:
    if isinstance(said, str) and said[:1] in ("[", "{"):
        try:
            listed: Value = from_json(said)
        except ValueError:
            return said
        return listed
    return said
