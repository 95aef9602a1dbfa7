"""What each tool may be given: the schema that an agent sees, and what holds it to that."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from causeline.console.run_filter import Order

Short = Annotated[str, Field(max_length=200)]
RunId = Annotated[str, Field(max_length=64, description="A run id: whole, its last 8 digits, or how it begins.")]
Start = Annotated[int, Field(ge=0, le=100_000, description="How many to go over; `next` says it where more follows.")]
Parameters = Annotated[
    dict[Short, Short],
    Field(
        max_length=20, description="Values by name, for {name:Type} in the SQL; moments of a question as 7d or a date."
    ),
]


class Arguments(BaseModel):
    """Of any tool."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ExplainRun(Arguments):
    """Of `explain_run`."""

    run: RunId
    start: Start = 0


class FindRuns(Arguments):
    """Of `find_runs`."""

    id: Short | None = Field(None, description="Any part of the run id.")
    workflow: Short | None = None
    state: Literal["answered", "partial", "stopped", "failed", "handed_over"] | None = None
    record: Literal["complete", "partial", "unfinished"] | None = Field(None, description="How whole the record is.")
    status: Literal["ok", "error", "skipped"] | None = None
    model: Short | None = Field(None, description="Asked for or answering, in any call of the run.")
    prompt_version: Short | None = None
    has_gap: bool = Field(default=False, description="Only runs whose evidence fell short.")
    has_fallback: bool = False
    labels: dict[Short, Short] = Field(default_factory=dict, max_length=8)
    since: Short | None = Field(None, description="Runs started then or later: 15m, 2h, 7d, or ISO 8601 (UTC).")
    until: Short | None = None
    order: Order = Order.NEWEST
    limit: int = Field(20, ge=1, le=100)
    after: Short | None = Field(None, description="The run id that the list goes on after, by start of the run.")


class RunOutline(Arguments):
    """Of `run_outline`."""

    run: RunId
    every_step: bool = Field(default=False, description="Also steps that nothing is to be said of.")
    start: Start = 0


class OneStep(Arguments):
    """Of `step`."""

    run: RunId
    step_id: Short = Field(description="The id of a step, as explain_run and run_outline give it.")


class CompareRuns(Arguments):
    """Of `compare_runs`."""

    left: RunId
    right: RunId
    start: Start = 0


class Drift(Arguments):
    """Of `drift`."""

    workflow: Short = ""
    alert: Short = Field("", description="The id of an alert, or how it begins: what moved, and runs of both sides.")
    ended: bool = Field(default=False, description="Also alerts that are over.")
    start: Start = 0


class Causes(Arguments):
    """Of `causes`."""

    workflow: Short = ""
    since: Short = Field("7d", description="Runs started then or later: 15m, 2h, 7d, or ISO 8601 (UTC).")
    start: Start = 0


class Ask(Arguments):
    """Of `ask`."""

    question: Short = Field("", description="The name of a question; without one they are listed.")
    parameters: Parameters = {}
    start: Start = 0


class Sql(Arguments):
    """Of `sql`."""

    statement: Annotated[str, Field(max_length=20_000, description="One statement that reads.")]
    parameters: Parameters = {}
    start: Start = 0
