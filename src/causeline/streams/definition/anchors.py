"""Version anchors: what a step of each kind must record so that its outcome can be explained and compared later."""

from collections.abc import Iterable, Mapping

from causeline.schemas.vocabulary import Status, StepKind
from causeline.streams.definition.steps import Step

ANCHORS: Mapping[StepKind, tuple[str, ...]] = {
    StepKind.PARSE: ("parser_version",),
    StepKind.CLASSIFY: ("route", "route_reason", "route_confidence", "route_policy_version"),
    StepKind.ROUTE: ("route", "route_reason", "route_confidence", "route_policy_version"),
    StepKind.PROMPT: ("prompt_id", "prompt_version"),
    StepKind.MODEL_CALL: (
        "model_provider",
        "model_name",
        "model_policy",
        "prompt_id",
        "prompt_version",
        "temperature",
        "top_p",
        "seed",
        "system_fingerprint",
    ),
    StepKind.VALIDATE: ("schema_version",),
}
"""By kind of step, the fields it must say; a kind that is not here has none."""

REFERENCES: Mapping[StepKind, tuple[str, ...]] = {
    StepKind.INPUT: ("input_ref",),
    StepKind.PARSE: ("parsed_artifact_ref",),
    StepKind.MODEL_CALL: ("raw_output_ref",),
}
"""By kind of step, the references without which what it read or made cannot be looked up. A step that ended in error
made nothing, and a retrieval that found nothing has none to name."""

REQUIRED: tuple[tuple[str, str], ...] = tuple(
    (kind.value, name) for kind in StepKind for table in (ANCHORS, REFERENCES) for name in table.get(kind, ())
)
"""(kind, field) in the order in which causes flow."""
_BY_KIND: Mapping[str, tuple[str, ...]] = {
    kind.value: tuple(name for each, name in REQUIRED if each == kind) for kind in StepKind
}
ONLY_WHEN_OK = frozenset((kind.value, name) for kind, names in REFERENCES.items() for name in names)
"""Those of them that a step in error need not say."""


def missing_anchors(steps: Iterable[Step]) -> list[str]:
    """Version anchors that the run's steps should have recorded and did not, as kind.field, in causal order."""
    ended = [step.said for step in steps if step.said.status not in (None, Status.SKIPPED)]
    lacking = {
        (said.step_kind, name)
        for said in ended
        for name in _BY_KIND.get(said.step_kind or "", ())
        if getattr(said, name) in (None, [])
        and (said.status == Status.OK or (said.step_kind, name) not in ONLY_WHEN_OK)
    }
    return [f"{kind}.{name}" for kind, name in REQUIRED if (kind, name) in lacking]
