"""The workflows of one half of the zoo, found by what their modules hold."""

import importlib
import pkgutil
from collections.abc import Iterator

from benchmarks.zoo.protocol import Workflow


def workflows(half: str) -> tuple[Workflow, ...]:
    """Every workflow of `open` or `sealed`, by name; empty where the half is not there."""
    try:
        package = importlib.import_module(f"benchmarks.zoo.{half}")
    except ModuleNotFoundError:
        return ()
    listed = list(_within(vars(package)))
    if not listed:
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            listed += _within(vars(importlib.import_module(module.name)))
    return tuple(sorted({each.name: each for each in listed}.values(), key=lambda workflow: workflow.name))


def _within(names: dict[str, object]) -> Iterator[Workflow]:
    for value in names.values():
        if isinstance(value, Workflow):
            yield value
        elif isinstance(value, tuple | list):
            yield from (each for each in value if isinstance(each, Workflow))
