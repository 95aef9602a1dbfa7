"""The types of `streams/definition/records.py`, made from the committed schemas.

`python -m tests.contract.record_types` writes them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from causeline.schemas import catalogue

PATH = Path(__file__).parents[2] / "src" / "causeline" / "streams" / "definition" / "records.py"
_HEAD = '''"""An event that the contract lets through, and a run's record as its topic has it; times are microseconds.

Made from the newest `trace-batch` and `run-batch` by `python -m tests.contract.record_types`: what a field means stands
there. What may be None is what a run may lack.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypedDict
'''
_PRIMITIVES = {"string": "str", "int": "int", "long": "int", "double": "float", "boolean": "bool"}
_LAST_OF_ALL_RUNS = "closed_at"
"""`run-batch` says that no field up to this one is null in fact, and no array."""
_SAYS = {"Label": "A label: of an event, a step or a run.", "ConflictSide": "What one source says of a field."}
Fields = list[dict[str, Any]]


def text() -> str:
    """The module."""
    event, run = (_item(subject) for subject in ("trace-batch", "run-batch"))
    named = {"Label": _nested(event, "labels"), "ConflictSide": _nested(event, "conflict_sides")}
    parts = [_HEAD]
    parts += [_class(name, "TypedDict", fields, _SAYS[name]) for name, fields in named.items()]
    parts.append(_class("Event", "NamedTuple", event, "What one event says."))
    for array, fields in _arrays_of_records(run):
        if (name := _record_name(run, array)) not in named:
            parts.append(_class(name, "TypedDict", fields, f"One of a run's `{array}`."))
    parts.append(_class("RunRecord", "TypedDict", run, "One run, joined.", never_null=_up_to(run, _LAST_OF_ALL_RUNS)))
    return "\n\n".join(parts)


def _item(subject: str) -> Fields:
    item = catalogue.latest(subject).item
    assert item is not None
    return list(item["fields"])


def _branch(avro: Any) -> Any:
    return next(each for each in avro if each != "null") if isinstance(avro, list) else avro


def _arrays_of_records(fields: Fields) -> Iterator[tuple[str, Fields]]:
    for field in fields:
        kind = _branch(field["type"])
        if isinstance(kind, dict) and isinstance(item := _branch(kind["items"]), dict):
            yield field["name"], item["fields"]


def _nested(fields: Fields, name: str) -> Fields:
    return dict(_arrays_of_records(fields))[name]


def _up_to(fields: Fields, last: str) -> frozenset[str]:
    names = [field["name"] for field in fields]
    return frozenset(names[: names.index(last) + 1])


def _record_name(fields: Fields, array: str) -> str:
    (field,) = (each for each in fields if each["name"] == array)
    name = str(_branch(_branch(field["type"])["items"])["name"]).rpartition(".")[2]
    return "Label" if name.endswith("Label") else f"{name.removeprefix('Run')}Record"


def _class(name: str, base: str, fields: Fields, says: str, never_null: frozenset[str] = frozenset()) -> str:
    lines = [f"class {name}({base}):", f'    """{says}"""', ""]
    lines += [f"    {field['name']}: {_hint(fields, field, field['name'] in never_null)}" for field in fields]
    return "\n".join(lines) + "\n"


def _hint(fields: Fields, field: Mapping[str, Any], never_null: bool) -> str:
    kind = _branch(field["type"])
    if isinstance(kind, dict):
        item = _branch(kind["items"])
        return f"Sequence[{_PRIMITIVES[item] if isinstance(item, str) else _named(fields, field['name'], item)}]"
    nullable = isinstance(field["type"], list) and not never_null
    return f"{_PRIMITIVES[kind]} | None" if nullable else _PRIMITIVES[kind]


def _named(fields: Fields, array: str, item: Mapping[str, Any]) -> str:
    name = str(item["name"]).rpartition(".")[2]
    return name if name in {"Label", "ConflictSide"} else _record_name(fields, array)


if __name__ == "__main__":
    PATH.write_text(text(), "utf-8")
