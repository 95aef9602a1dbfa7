"""An eval case: one readable file in the application's own repository. References only, never content.

Its id follows from its cause (workflow, boundary, field), so the same cause is one case however often it comes up, with
the runs in which it did. docs/eval.md shows one; `case.schema.json` beside this module is its JSON Schema.
"""

import hashlib
import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from causeline.schemas.errors import UsageError
from causeline.schemas.events import Name, Phrase, Ref
from causeline.schemas.vocabulary import FallbackKind, FinalState, ReviewOutcome, StepKind

MAX_RUNS = 50
MAX_BYTES = 1 << 20
MAX_DEPTH = 20
_UNSAFE = re.compile(r"[^a-z0-9]+")
_SHA256 = re.compile(r"sha256/([0-9a-f]{2})/([0-9a-f]{62})", re.ASCII)
CaseId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,199}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OutputSchema(_Part):
    """The JSON Schema that the answer must keep."""

    file: str = Field(description="Its file, from the case's folder.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Hash of the file: where it differs the case is stale.")


class Expected(_Part):
    """What must hold of an answer; what is not said may be anything."""

    route: Name | None = Field(default=None, description="The route.")
    not_route: Name | None = Field(default=None, description="A route that a reviewer found wrong.")
    corrected: dict[Phrase, Ref] = Field(
        default_factory=dict, description="By field path, the reference of the right value, as the reviewer gave it."
    )
    supported: tuple[Phrase, ...] = Field(default=(), description="Fields whose last check must have no gap.")
    output_schema: OutputSchema | None = Field(default=None, description="What the answer's shape must be.")
    fallback: FallbackKind | Literal["none"] | None = Field(default=None, description="The fallback, or none at all.")
    final_state: FinalState | None = Field(default=None, description="How the run must end.")


class FirstCause(_Part):
    """What the diagnosis named as the first cause: it must not come back."""

    boundary: StepKind = Field(description="Where it stood.")
    rule: Name = Field(description="The rule that found it.")
    field: Phrase | None = Field(default=None, description="The field path that it is about.")
    headline: str = Field(description="In one sentence.")


class Reviewed(_Part):
    """What the reviewer decided."""

    outcome: ReviewOutcome = Field(description="approved, overridden, rejected or escalated.")
    field: Phrase | None = Field(default=None, description="About which field.")
    override_ref: Ref | None = Field(default=None, description="What stands instead.")


class EvalCase(_Part):
    """One case."""

    version: Literal[1] = Field(description="Version of the format.")
    id: CaseId = Field(description="Follows from workflow, boundary and field.")
    workflow: Name = Field(description="The workflow that answers it.")
    input_ref: Ref = Field(description="What goes in: a reference with its content's hash.")
    expect: Expected = Field(description="What must hold of the answer.")
    first_cause: FirstCause = Field(description="Why the run failed.")
    review: tuple[Reviewed, ...] = Field(default=(), description="What reviewers decided.")
    anchors: dict[str, str] = Field(default_factory=dict, description="The versions at the failure.")
    runs: tuple[str, ...] = Field(
        min_length=1, max_length=MAX_RUNS, description="Runs that failed so, the first first."
    )
    policy_hash: str | None = Field(default=None, description="The policy that judged the run.")
    note: str = Field(default="", description="For people.")


def case_id(workflow: str, boundary: str, field: str | None) -> str:
    """The id of a cause: readable, and another for every other cause."""
    readable = "-".join(
        filter(None, (_UNSAFE.sub("-", part.lower()).strip("-") for part in (workflow, boundary, field or "")))
    )
    digest = hashlib.sha256("\x1f".join((workflow, boundary, field or "")).encode()).hexdigest()[:6]
    return f"{readable[:180]}-{digest}"


def content_hash(ref: str) -> str | None:
    """The SHA-256 in a reference, in hex; None where it has none."""
    found = _SHA256.search(ref)
    return None if found is None else found[1] + found[2]


def read_case(file: Path) -> EvalCase:
    """The case of a file; raises UsageError naming the file and the first thing that is wrong."""
    try:
        content = yaml.safe_load(_text_of(file))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = (
            f" at line {error.problem_mark.line + 1}"
            if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark
            else ""
        )
        raise UsageError(f"{file} is no YAML{line}.", hint="causeline eval export writes cases.") from None
    try:
        return EvalCase.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the case"
        raise UsageError(f"{file}: {where}: {first['msg']}.", hint="docs/eval.md says what a case has.") from None


def _text_of(file: Path) -> str:
    """The text of a case's file, which needs neither many bytes nor anchors that multiply them."""
    with file.open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UsageError(f"{file} is larger than {MAX_BYTES:,d} bytes.")
    text = data.decode("utf-8")
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:  # PyYAML takes the square of the depth, and Python's stack has an end
            raise UsageError(f"{file} is nested too deeply for a case.")
        if isinstance(event, yaml.AliasEvent):
            raise UsageError(f"{file} has an alias (*), which no case needs.")
    return text


def as_yaml(case: EvalCase) -> str:
    """The case as its file has it: what says nothing is left out, and the same case is the same text."""
    asked = case.model_dump(mode="json", exclude_defaults=True)
    asked = {
        "version": 1,
        "id": case.id,
        **{name: value for name, value in asked.items() if name not in {"version", "id"}},
    }
    return yaml.safe_dump(asked, sort_keys=False, allow_unicode=True, width=100)
