"""How a run's steps hand things on, told by addresses and counts alone: no content is read. Pure, linear in steps.

An artifact's reference is made of its bytes, so that two that are equal say the same. A trait here names which earlier
step a step read from, how much of what was found was passed on, and by how many
tokens the next model call grew over the last one, which is how long the answer of the step between them was.
"""

from collections.abc import Iterator, Sequence

from causeline.schemas.run import Step
from causeline.schemas.vocabulary import StepKind

Trait = tuple[str, str, str | float]
"""Full name of a step, name of the trait, value."""
_SHOWN = (StepKind.PROMPT, StepKind.MODEL_CALL)


def handed_on(steps: Sequence[Step]) -> Iterator[Trait]:
    """The traits of a run's steps; of a step that runs again the last, of tokens the fewest."""
    yield from _read_from(steps)
    yield from _passed_on(steps)
    yield from _tokens_added(steps)


def _read_from(steps: Sequence[Step]) -> Iterator[Trait]:
    makers: dict[str, str] = {}
    for step in steps:
        if step.input_ref is not None:
            yield step.full_name, "input from", makers.get(step.input_ref, "elsewhere")
        for ref in (step.parsed_artifact_ref, step.raw_output_ref):
            if ref is not None:
                makers[ref] = step.full_name


def _passed_on(steps: Sequence[Step]) -> Iterator[Trait]:
    """How much of what was found, by whatever finds or ranks last, a prompt or a call is shown."""
    found: frozenset[str] = frozenset()
    for step in steps:
        refs = frozenset(step.context_refs)
        if step.step_kind not in _SHOWN:
            found = refs or found
        elif found:
            yield step.full_name, "share of what was found", len(refs & found) / len(found)


def _tokens_added(steps: Sequence[Step]) -> Iterator[Trait]:
    least: dict[str, float] = {}
    last: Step | None = None
    between: list[str] = []
    for step in steps:
        if step.step_kind != StepKind.MODEL_CALL:
            if step.step_kind in (StepKind.TOOL, StepKind.RETRIEVE):
                between.append(step.full_name)
            continue
        if (
            last is not None
            and len(between) == 1
            and last.parent_step_id == step.parent_step_id
            and last.full_name == step.full_name
            and last.model_name == step.model_name
            and step.input_tokens is not None
            and last.input_tokens is not None
        ):
            added = float(step.input_tokens - last.input_tokens - (last.output_tokens or 0))
            least[between[0]] = min(added, least.get(between[0], added))
        if step.input_tokens is not None:
            last, between = step, []
    for name, added in least.items():
        yield name, "tokens that it adds", added
