"""What the links of a review item are to its run: told from the places where the run has the same references."""

from collections.abc import Iterator
from dataclasses import fields

from causeline.schemas.run import Run


def roles_of(run: Run, ref: str) -> list[str]:
    """What `ref` is to the run, e.g. `supports $.total`; empty where the run does not have it.

    Where the run has the very reference, that is told; else what the document is that it points into.
    """
    exact = dict.fromkeys(role for role, has in _places(run) if ref in has)
    base = ref.partition("#")[0]
    return list(exact or dict.fromkeys(role for role, has in _places(run) if base in {_document(each) for each in has}))


def _places(run: Run) -> Iterator[tuple[str, tuple[str, ...]]]:
    for held in run.evidence:
        field = held.field_path or "a field"
        yield f"supports {field}", held.evidence_refs
        yield f"contradicts {field}", held.conflicting_refs
    yield "the run's input", (run.input_ref,) if run.input_ref else ()
    for step in run.steps:
        for name in (each.name for each in fields(step) if each.name.endswith(("_ref", "_refs"))):
            value = getattr(step, name)
            role = name.removesuffix("s").removesuffix("_ref").replace("_", " ")
            yield f"{role} of {step.full_name}", value if isinstance(value, tuple) else (value,) if value else ()


def _document(ref: str) -> str:
    return ref.partition("#")[0]
