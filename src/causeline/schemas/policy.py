"""The policy: per workflow, what a run should record, what its evidence must be, and what happens when it is not.

A policy is a TOML file. Every field is described where it stands below; docs/policy.md is made from these descriptions.
Its version is the hash of its content, and every run and gap carries the hash of the policy that judged it.
"""

import hashlib
import itertools
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from causeline.schemas.events import Name, Phrase, Score
from causeline.schemas.judge import DEFAULT_STANDARD, Standard
from causeline.schemas.vocabulary import FallbackKind, FinalState, GapKind, NextStep, StepKind, Verdict

T = TypeVar("T")

_STEP = re.compile(rf"(?:{'|'.join(StepKind)})(?::.{{1,256}})?")


def _step_name(value: str) -> str:
    if not _STEP.fullmatch(value):
        raise ValueError(f"a step is a kind, or kind:name; the kinds are {', '.join(StepKind)}")
    return value


def _rising(bounds: tuple[float, ...]) -> tuple[float, ...]:
    if any(low >= high for low, high in itertools.pairwise(bounds)):
        raise ValueError("the bounds of bands rise")
    return bounds


def _no_repeat(steps: tuple[NextStep, ...]) -> tuple[NextStep, ...]:
    if len(set(steps)) != len(steps):
        raise ValueError("a next step comes up twice, so that a run would go in a circle")
    return steps


Seconds = Annotated[float, Field(gt=0, le=30 * 24 * 3600, allow_inf_nan=False)]
StepRef = Annotated[str, AfterValidator(_step_name)]
Bands = Annotated[tuple[Score, ...], Field(max_length=9), AfterValidator(_rising)]
NextSteps = Annotated[tuple[NextStep, ...], Field(min_length=1), AfterValidator(_no_repeat)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectedStep(_Table):
    """A step that every run of the workflow takes."""

    step: StepRef = Field(description="Its kind, or kind:name.")
    due_s: Seconds | None = Field(default=None, description="Seconds from the run's start by which it is over.")


class EvidenceRule(_Table):
    """What is asked of the evidence for one field; what it lacks is that of the workflow."""

    required: bool = Field(default=True, description="The field needs a citation, whatever the event says.")
    threshold: Score | None = Field(default=None, description="A score under it is weak provenance.")
    support_floor: Score | None = Field(default=None, description="A score under it is no support.")
    masked_as: tuple[Name, ...] = Field(default=(), description="Entity types whose masking would hide its source.")
    next_steps: dict[GapKind, NextSteps] = Field(
        default_factory=dict, description="What to do about a gap, in order; else that of the workflow."
    )


class ReviewWhen(_Table):
    """Which runs a review rule is about: all that it says must hold; what it does not say may be anything."""

    gap: GapKind | None = Field(default=None, description="The run has a gap of this kind.")
    field_path: Phrase | None = Field(default=None, description="The gap is in this field.")
    next_step: NextStep | None = Field(default=None, description="The policy wants this done about the gap.")
    route: Name | None = Field(default=None, description="The run took this route.")
    confidence_below: Score | None = Field(default=None, description="The route's confidence is lower.")
    fallback: FallbackKind | None = Field(default=None, description="The run took this fallback.")
    final_state: FinalState | None = Field(default=None, description="The run ended so.")
    verdict: Verdict | None = Field(default=None, description="The run's record is so.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.field_path is not None and self.gap is None:
            raise ValueError("field_path needs gap beside it")
        return self


_ANY_RUN = ReviewWhen()


class ReviewRule(_Table):
    """When a person should look at a run."""

    name: Name = Field(description="The reason that the reviewer sees; one item a run and name.")
    question: Phrase = Field(description="What the reviewer is asked.")
    when: ReviewWhen = Field(default=_ANY_RUN, description="Which runs it is about.")
    priority: Annotated[int, Field(ge=1, le=5)] = Field(default=3, description="1 is most urgent, 5 least.")
    sample: Score = Field(default=1.0, description="Share of the matching runs, chosen by their id.")
    due_in_s: Seconds = Field(default=24 * 3600.0, description="Seconds after the run's end when it is due.")


class WorkflowPolicy(_Table):
    """What holds for one workflow; a setting that it lacks is that of `[defaults]`."""

    routes: tuple[Name, ...] = Field(default=(), description="Allowed routes; empty allows any.")
    confidence_floor: Score | None = Field(default=None, description="A route decided with less is suspect.")
    parse_quality_floor: Score | None = Field(default=None, description="Parsed with less, the source is suspect.")
    context_expected: bool | None = Field(default=None, description="A model call without context is a failure.")
    threshold: Score | None = Field(default=None, description="A provenance score under it is weak.")
    support_floor: Score | None = Field(default=None, description="A provenance score under it is no support.")
    idle_timeout_s: Seconds | None = Field(
        default=None, description="A run without an event for so long is closed; else the worker's own setting."
    )
    max_open_s: Seconds | None = Field(
        default=None, description="A run open for so long is closed; else the worker's own setting."
    )
    authority: tuple[Name, ...] = Field(default=(), description="Kinds of source, the most authoritative first.")
    next_steps: dict[GapKind, NextSteps] = Field(
        default_factory=dict,
        description="What to do about a gap, in order: the next is for when the last did not help.",
    )
    expect: tuple[ExpectedStep, ...] = Field(default=(), description="Steps that every run takes.")
    evidence: dict[Phrase, EvidenceRule] = Field(default_factory=dict, description="Rules by field path.")
    review: tuple[ReviewRule, ...] = Field(default=(), description="When a person should look.")
    confidence_bands: Bands | None = Field(default=None, description="Upper bounds of the bands that drift watches.")
    provenance_bands: Bands | None = Field(default=None, description="Upper bounds of the bands that drift watches.")

    @model_validator(mode="after")
    def _does_not_contradict_itself(self) -> Self:
        for problem in self._contradictions():
            raise ValueError(problem)
        return self

    def _contradictions(self) -> Iterator[str]:
        tables: list[tuple[str, WorkflowPolicy | EvidenceRule]] = [("", self)]
        tables += [(f"evidence.{path!r}: ", rule) for path, rule in self.evidence.items()]
        for table, rule in tables:
            if rule.threshold is not None and rule.support_floor is not None and rule.support_floor >= rule.threshold:
                yield f"{table}support_floor is not under threshold"
            for kind, steps in rule.next_steps.items():
                if NextStep.APPLY_AUTHORITY in steps and not self.authority:
                    yield f"{table}next_steps.{kind} applies an authority that is not ranked"
        names = [item.name for item in self.review]
        for item in self.review:
            if names.count(item.name) > 1:
                yield f"two review rules are named {item.name!r}"
            if item.when.route is not None and self.routes and item.when.route not in self.routes:
                yield f"review {item.name!r} is about the route {item.when.route!r}, which is not allowed"
        if len(set(self.authority)) != len(self.authority):
            yield "authority ranks a kind of source twice"
        if len({expected.step for expected in self.expect}) != len(self.expect):
            yield "expect names a step twice"


_SILENT = WorkflowPolicy()


class Policy(_Table):
    """A whole policy: the format's version, what holds everywhere, and what holds for one workflow."""

    version: Literal[1] = Field(description="Version of the format.")
    defaults: WorkflowPolicy = Field(default=_SILENT, description="What holds where a workflow is silent.")
    workflow: dict[Name, WorkflowPolicy] = Field(default_factory=dict, description="Rules by workflow.")

    @cached_property
    def content_hash(self) -> str:
        """The policy's version: 16 hex digits of the hash of what it says, whatever its layout or comments."""
        return hashlib.blake2b(self.canonical_text.encode(), digest_size=8).hexdigest()

    @cached_property
    def canonical_text(self) -> str:
        """What it says as JSON, whatever its layout or comments: read back by `Policy.model_validate_json`."""
        return self.model_dump_json(exclude_defaults=True)

    def rules(self, workflow: str) -> "Rules":
        """What holds for a workflow, every setting resolved; remembered, since it is asked for every event."""
        found = self._resolved.get(workflow)
        if found is None:
            found = Rules(self, workflow)
            if len(self._resolved) < _MAX_RESOLVED:
                self._resolved[workflow] = found
        return found

    @property
    def longest_open_s(self) -> float | None:
        """The longest that any workflow lets a run be open, where one says so."""
        said = [rules.max_open_s for rules in (self.defaults, *self.workflow.values()) if rules.max_open_s is not None]
        return max(said, default=None)

    @cached_property
    def _resolved(self) -> dict[str, "Rules"]:
        return {}


class Rules:
    """A workflow's rules with every setting resolved: its own, else the policy's defaults, else the built-in ones."""

    def __init__(self, policy: Policy, workflow: str) -> None:
        own = policy.workflow.get(workflow, _SILENT)
        layers = (own, policy.defaults, _BUILT_IN)

        def first(of: Callable[[WorkflowPolicy], T | None]) -> T:
            return next(value for layer in layers if (value := of(layer)) is not None)

        self.policy_hash = policy.content_hash
        self.routes = own.routes or policy.defaults.routes
        self.authority = own.authority or policy.defaults.authority
        self.expect = own.expect or policy.defaults.expect
        self.evidence = {**policy.defaults.evidence, **own.evidence}
        self.review = own.review or policy.defaults.review
        self.confidence_floor = first(lambda layer: layer.confidence_floor)
        self.parse_quality_floor = first(lambda layer: layer.parse_quality_floor)
        self.context_expected = first(lambda layer: layer.context_expected)
        self.idle_timeout_s = own.idle_timeout_s or policy.defaults.idle_timeout_s
        self.max_open_s = own.max_open_s or policy.defaults.max_open_s
        self.confidence_bands = first(lambda layer: layer.confidence_bands)
        self.provenance_bands = first(lambda layer: layer.provenance_bands)
        self._standard = Standard(
            threshold=first(lambda layer: layer.threshold),
            support_floor=first(lambda layer: layer.support_floor),
            next_steps={kind: steps for layer in reversed(layers) for kind, steps in layer.next_steps.items()},
        )
        self._standards = {path: self._standard_of(rule) for path, rule in self.evidence.items()}

    def standard(self, field_path: str | None) -> Standard:
        """What is asked of the evidence for a field."""
        return self._standards.get(field_path or "", self._standard)

    def _standard_of(self, rule: EvidenceRule) -> Standard:
        base = self._standard
        return Standard(
            required=True if rule.required else None,
            threshold=base.threshold if rule.threshold is None else rule.threshold,
            support_floor=base.support_floor if rule.support_floor is None else rule.support_floor,
            next_steps={**base.next_steps, **rule.next_steps},
        )


_MAX_RESOLVED = 10_000
_BUILT_IN = WorkflowPolicy(
    confidence_floor=0.6,
    parse_quality_floor=0.8,
    context_expected=False,
    threshold=DEFAULT_STANDARD.threshold,
    support_floor=DEFAULT_STANDARD.support_floor,
    next_steps=dict(DEFAULT_STANDARD.next_steps),
    confidence_bands=(0.5, 0.7, 0.85, 0.95),
    provenance_bands=(0.3, 0.5, 0.7, 0.85),
)
DEFAULT_POLICY = Policy(version=1)
"""What judges where no policy is given."""
