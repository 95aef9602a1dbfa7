"""What is on record and no rule reads: fields and labels of the zoo's runs, watched while rules look."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace

from benchmarks.zoo.halves import workflows
from benchmarks.zoo.plan import Sizes
from benchmarks.zoo.protocol import Form
from benchmarks.zoo.recorded import record
from causeline.diagnosis import diagnose
from causeline.diagnosis.traits import traits_of
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.run import Step


class _Watched(Mapping[str, str]):
    """Labels that remember which of them were asked for by name."""

    def __init__(self, labels: Mapping[str, str], asked: set[str]) -> None:
        self._labels, self._asked = labels, asked

    def __getitem__(self, name: str) -> str:
        self._asked.add(name)
        return self._labels[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)


def unread(half: str, seed: int, sizes: Sizes) -> dict[str, dict[str, list[str]]]:
    """By form: step fields that are on record and neither rules nor traits read, and labels that are no trait."""
    found: dict[str, dict[str, list[str]]] = {}
    for form in (Form.PARTIAL, Form.FULL):
        there: set[str] = set()
        asked: set[str] = set()
        read: set[str] = set()
        labels: dict[str, bool] = defaultdict(bool)
        for workflow in workflows(half):
            for run in record(half, workflow, form, seed, sizes).runs(DEFAULT_POLICY):
                watched = replace(
                    run, steps=tuple(replace(step, labels=_Watched(step.labels, asked)) for step in run.steps)
                )
                there |= {each.name for step in run.steps for each in fields(Step) if getattr(step, each.name)}
                traits = traits_of(run)
                for key in {key for step in run.steps for key in step.labels}:
                    labels[key] |= any(trait.partition("|")[2].startswith(f"label {key}") for trait in traits)
                with _noticing(read):
                    diagnose(watched)
                    traits_of(watched)
        found[form.value] = {
            "fields": sorted(there - read),
            "labels": sorted(key for key, is_trait in labels.items() if not is_trait and key not in asked),
        }
    return found


class _noticing:  # noqa: N801 - reads as a verb where it is used
    """While it lasts, the names of a step's fields that are read go into a set."""

    def __init__(self, read: set[str]) -> None:
        self._read = read

    def __enter__(self) -> None:
        read, look = self._read, object.__getattribute__

        def noticed(step: Step, name: str) -> object:
            read.add(name)
            return look(step, name)

        Step.__getattribute__ = noticed  # type: ignore[method-assign,assignment]

    def __exit__(self, *_: object) -> None:
        del Step.__getattribute__
